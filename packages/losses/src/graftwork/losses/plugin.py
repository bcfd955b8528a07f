"""What this distribution registers."""

from graftwork.core import LossSpec, hookimpl

_MIN_SNR = "arXiv:2303.09556 Hang et al. 2023, Efficient Diffusion Training via Min-SNR Weighting"


@hookimpl
def losses() -> list[LossSpec]:
    """The losses of diffusion backbones."""
    return [
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
