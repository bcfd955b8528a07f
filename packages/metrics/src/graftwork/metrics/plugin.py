"""What this distribution registers."""

from graftwork.core import MetricSpec, hookimpl

_CONFIG = "graftwork.metrics.features:FeatureConfig"


@hookimpl
def metrics() -> list[MetricSpec]:
    """Of text-to-image backbones, raw-video denoisers and video LLMs."""
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
    ]
