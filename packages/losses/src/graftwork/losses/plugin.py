"""What this distribution registers."""

from graftwork.core import LossSpec, hookimpl

_MIN_SNR = "arXiv:2303.09556 Hang et al. 2023, Efficient Diffusion Training via Min-SNR Weighting"

_DIFFUSION = [
    LossSpec(
        name="denoising",
        target="graftwork.losses.denoising:Denoising",
        config="graftwork.losses.denoising:DenoisingConfig",
        summary="squared error of the predicted noise, velocity or image",
        task="text-to-image",
        cites=(
            "arXiv:2006.11239 Ho et al. 2020, Denoising Diffusion Probabilistic Models",
            _MIN_SNR,
        ),
    ),
    LossSpec(
        name="cat",
        target="graftwork.losses.cat:CAT",
        config="graftwork.losses.cat:CATConfig",
        summary="keeps predictions without the trigger as the frozen backbone makes them",
        task="text-to-image",
        cites=(
            "arXiv:2404.07554 Park et al. 2024, CAT: Contrastive Adapter Training",
            _MIN_SNR,
        ),
    ),
    LossSpec(
        name="dreamartist",
        target="graftwork.losses.dreamartist:DreamArtistLoss",
        config="graftwork.losses.dreamartist:DreamArtistLossConfig",
        summary="squared error of the prediction that a learned pair of words guides",
        task="text-to-image",
        cites=(
            "arXiv:2211.11337 Dong et al. 2022, DreamArtist: Towards Controllable One-Shot "
            "Text-to-Image Generation via Positive-Negative Prompt-Tuning",
            _MIN_SNR,
        ),
    ),
]

_RVIDEFORMER = (
    "arXiv:2305.00767 Yue et al. 2023, RViDeformer: Efficient Raw Video Denoising Transformer with "
    "a Larger Benchmark Dataset"
)

_RAW_VIDEO = [
    LossSpec(
        name="l1-raw",
        target="graftwork.losses.restoration:L1Raw",
        summary="absolute error of raw frames",
        task="raw-video",
        cites=(_RVIDEFORMER,),
    ),
    LossSpec(
        name="l1-srgb",
        target="graftwork.losses.restoration:L1SRGB",
        summary="absolute error of raw frames after graftwork-isp-1",
        task="raw-video",
        cites=(_RVIDEFORMER,),
    ),
    LossSpec(
        name="l1-stabilised",
        target="graftwork.losses.restoration:L1Stabilised",
        summary="absolute error of raw frames in units of their noise",
        task="raw-video",
        cites=(
            "arXiv:2010.06935 Wang et al. 2020, Practical Deep Raw Image Denoising on Mobile "
            "Devices",
        ),
    ),
    LossSpec(
        name="charbonnier",
        target="graftwork.losses.restoration:Charbonnier",
        config="graftwork.losses.restoration:CharbonnierConfig",
        summary="absolute error of raw frames, quadratic where it is small",
        task="raw-video",
        cites=("arXiv:1704.03915 Lai et al. 2017, Deep Laplacian Pyramid Networks",),
    ),
    LossSpec(
        name="neighbor2neighbor",
        target="graftwork.losses.neighbor2neighbor:Neighbor2Neighbor",
        config="graftwork.losses.neighbor2neighbor:Neighbor2NeighborConfig",
        summary="learns from noisy clips alone, by comparing neighbouring pixels",
        task="raw-video",
        cites=(
            "arXiv:2101.02824 Huang et al. 2021, Neighbor2Neighbor: Self-Supervised Denoising from "
            "Single Noisy Images",
        ),
    ),
]

_VIDEO_CHAT = [
    LossSpec(
        name="language-modeling",
        target="graftwork.losses.language:LanguageModeling",
        config="graftwork.losses.language:LanguageModelingConfig",
        summary="cross-entropy of the tokens of answers",
        task="video-chat",
        cites=(
            "arXiv:2306.07207 Luo et al. 2023, Valley: Video Assistant with Large Language model "
            "Enhanced abilitY",
        ),
    ),
    LossSpec(
        name="language-preservation",
        target="graftwork.losses.language:LanguagePreservation",
        summary="keeps answers without the trigger as the frozen backbone gives them",
        task="video-chat",
        cites=("arXiv:2404.07554 Park et al. 2024, CAT: Contrastive Adapter Training",),
    ),
]

_CLASSIFICATION = [
    LossSpec(
        name="cross-entropy",
        target="graftwork.losses.cross_entropy:CrossEntropy",
        config="graftwork.losses.cross_entropy:CrossEntropyConfig",
        summary="cross-entropy of the classes of images",
        task="classification",
        cites=(
            "arXiv:1512.00567 Szegedy et al. 2016, Rethinking the Inception Architecture for "
            "Computer Vision",
        ),
    ),
    LossSpec(
        name="generalized-cross-entropy",
        target="graftwork.losses.cross_entropy:GeneralizedCrossEntropy",
        config="graftwork.losses.cross_entropy:GeneralizedCrossEntropyConfig",
        summary="between cross-entropy and absolute error: wrong labels weigh less",
        task="classification",
        cites=(
            "arXiv:1805.07836 Zhang and Sabuncu 2018, Generalized Cross Entropy Loss for Training "
            "Deep Neural Networks with Noisy Labels",
        ),
    ),
    LossSpec(
        name="symmetric-cross-entropy",
        target="graftwork.losses.cross_entropy:SymmetricCrossEntropy",
        config="graftwork.losses.cross_entropy:SymmetricCrossEntropyConfig",
        summary="cross-entropy both ways: of labels by predictions, and the reverse",
        task="classification",
        cites=(
            "arXiv:1908.06112 Wang et al. 2019, Symmetric Cross Entropy for Robust Learning with "
            "Noisy Labels",
        ),
    ),
    LossSpec(
        name="early-learning",
        target="graftwork.losses.early_learning:EarlyLearning",
        config="graftwork.losses.early_learning:EarlyLearningConfig",
        summary="cross-entropy, and what was predicted early held against it",
        task="classification",
        cites=(
            "arXiv:2007.00151 Liu et al. 2020, Early-Learning Regularization Prevents Memorization "
            "of Noisy Labels",
        ),
    ),
    LossSpec(
        name="nmtune",
        target="graftwork.losses.nmtune:NMTune",
        config="graftwork.losses.nmtune:NMTuneConfig",
        summary="keeps the frozen features and smooths their spectrum",
        task="classification",
        cites=(
            "arXiv:2309.17002 Chen et al. 2024, Understanding and Mitigating the Label Noise in "
            "Pre-training on Downstream Tasks",
        ),
    ),
]


@hookimpl
def losses() -> list[LossSpec]:
    """Of diffusion backbones, raw-video denoisers, video LLMs and image classifiers."""
    return [*_DIFFUSION, *_RAW_VIDEO, *_VIDEO_CHAT, *_CLASSIFICATION]
