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


@hookimpl
def losses() -> list[LossSpec]:
    """The losses of diffusion backbones, of raw-video denoisers and of video LLMs."""
    return [*_DIFFUSION, *_RAW_VIDEO, *_VIDEO_CHAT]
