"""What this distribution registers: two backbones and two file formats."""

from graftwork.core import BackboneSpec, FormatSpec, hookimpl

_HERE = "graftwork.backbones.diffusion"


@hookimpl
def backbones() -> list[BackboneSpec]:
    """Stable Diffusion of any size, and the small one that ships here."""
    return [
        BackboneSpec(
            name="stable-diffusion",
            target=f"{_HERE}.backbone:StableDiffusion",
            config=f"{_HERE}.settings:StableDiffusionConfig",
            summary="Stable Diffusion 1 or 2 from a folder, a .safetensors file or the hub",
            task="text-to-image",
            default_loss="denoising",
            cites=("arXiv:2112.10752 Rombach et al. 2022, Latent Diffusion Models",),
        ),
        BackboneSpec(
            name="tiny-sd",
            target=f"{_HERE}.tiny:TinySD",
            config=f"{_HERE}.settings:TinySDConfig",
            summary="a small Stable Diffusion whose weights ship with the package; for CPUs",
            task="text-to-image",
            default_loss="denoising",
        ),
    ]


@hookimpl
def formats() -> list[FormatSpec]:
    """The files that `load_lora_weights` and `load_textual_inversion` of diffusers read."""
    return [
        FormatSpec(
            name="diffusers",
            target=f"{_HERE}.lora_format:DiffusersFormat",
            config="graftwork.nn.converting:SVDConfig",
            summary="LoRA and DoRA as diffusers pipelines load and save them",
            suffixes=(".safetensors",),
            reads=True,
            writes=True,
        ),
        FormatSpec(
            name="embeddings",
            target=f"{_HERE}.embeddings_format:EmbeddingsFormat",
            summary="learned words as diffusers and A1111 load them, one file for each",
            suffixes=(".safetensors",),
            reads=True,
            writes=True,
        ),
    ]
