"""What this distribution registers."""

from graftwork.core import MetricSpec, hookimpl

_NMTUNE = (
    "arXiv:2309.17002 Chen et al. 2024, Understanding and Mitigating the Label Noise in "
    "Pre-training on Downstream Tasks"
)
_CONFIG = "graftwork.metrics.features:FeatureConfig"


@hookimpl
def metrics() -> list[MetricSpec]:
    """Of text-to-image backbones, raw-video denoisers, video LLMs and image classifiers."""
    return [
        MetricSpec(
            name="kps",
            target="graftwork.metrics.kps:KPS",
            config=_CONFIG,
            summary="likeness of adapted to frozen samples without the trigger (KPS-proxy)",
            task="text-to-image",
            cites=("arXiv:2404.07554 Park et al. 2024, CAT: Contrastive Adapter Training",),
        ),
        MetricSpec(
            name="fidelity",
            target="graftwork.metrics.fidelity:Fidelity",
            config=_CONFIG,
            summary="likeness of samples with the trigger to the subject's images",
            task="text-to-image",
            cites=("arXiv:2208.12242 Ruiz et al. 2023, DreamBooth",),
        ),
        MetricSpec(
            name="balance",
            target="graftwork.metrics.balance:Balance",
            config=_CONFIG,
            summary="harmonic mean of fidelity and KPS: high only where both are",
            task="text-to-image",
        ),
        MetricSpec(
            name="diversity",
            target="graftwork.metrics.diversity:Diversity",
            config=_CONFIG,
            summary="difference between samples of one prompt from several seeds",
            task="text-to-image",
        ),
        MetricSpec(
            name="psnr",
            target="graftwork.metrics.raw_quality:RawPSNR",
            config="graftwork.metrics.raw_quality:QualityConfig",
            summary="PSNR in dB of denoised raw frames",
            task="raw-video",
        ),
        MetricSpec(
            name="ssim",
            target="graftwork.metrics.raw_quality:RawSSIM",
            config="graftwork.metrics.raw_quality:QualityConfig",
            summary="structural similarity of denoised raw frames",
            task="raw-video",
        ),
        MetricSpec(
            name="srgb-psnr",
            target="graftwork.metrics.raw_quality:SRGBPSNR",
            summary="PSNR in dB of denoised frames through graftwork-isp-1",
            task="raw-video",
        ),
        MetricSpec(
            name="temporal-psnr",
            target="graftwork.metrics.raw_quality:TemporalPSNR",
            summary="PSNR in dB of the change from frame to frame: low where a film flickers",
            task="raw-video",
        ),
        MetricSpec(
            name="video-qa",
            target="graftwork.metrics.answers:VideoQA",
            summary="share of answers to questions about clips that are exactly right",
            task="video-chat",
        ),
        MetricSpec(
            name="video-choice",
            target="graftwork.metrics.answers:VideoChoice",
            config="graftwork.metrics.answers:ChoiceConfig",
            summary="share of questions with options for which the right one is chosen",
            task="video-chat",
        ),
        MetricSpec(
            name="video-pairs",
            target="graftwork.metrics.answers:VideoPairs",
            summary="share of pairs, such as a clip and the same backwards, right both",
            task="video-chat",
        ),
        MetricSpec(
            name="accuracy",
            target="graftwork.metrics.classification:Accuracy",
            config="graftwork.metrics.classification:AccuracyConfig",
            summary="share of images whose class is seen, in the domain and out of it",
            task="classification",
        ),
        MetricSpec(
            name="calibration-error",
            target="graftwork.metrics.classification:CalibrationError",
            config="graftwork.metrics.classification:CalibrationConfig",
            summary="gap between probabilities and how often they are right",
            task="classification",
            higher_is_better=False,
            cites=("arXiv:1706.04599 Guo et al. 2017, On Calibration of Modern Neural Networks",),
        ),
        MetricSpec(
            name="sve",
            target="graftwork.metrics.feature_spectrum:SingularValueEntropy",
            config="graftwork.metrics.feature_spectrum:SpectrumConfig",
            summary="entropy of the singular values of features: how evenly they are spread",
            task="classification",
            cites=(_NMTUNE,),
        ),
        MetricSpec(
            name="lsvr",
            target="graftwork.metrics.feature_spectrum:LargestSingularValueRatio",
            config="graftwork.metrics.feature_spectrum:SpectrumConfig",
            summary="minus the logarithm of the largest singular value's share of all",
            task="classification",
            higher_is_better=False,
            cites=(_NMTUNE,),
        ),
    ]
