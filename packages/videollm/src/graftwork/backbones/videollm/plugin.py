"""What this distribution registers: video LLMs."""

from graftwork.core import BackboneSpec, hookimpl

_VALLEY = (
    "arXiv:2306.07207 Luo et al. 2023, Valley: Video Assistant with Large Language model Enhanced "
    "abilitY"
)
_FAMILIES = (
    "arXiv:2311.10122 Lin et al. 2023, Video-LLaVA",
    "arXiv:2408.03326 Li et al. 2024, LLaVA-OneVision",
    "arXiv:2502.13923 Bai et al. 2025, Qwen2.5-VL Technical Report",
    "arXiv:2504.05299 Marafioti et al. 2025, SmolVLM",
    "arXiv:2504.10479 Zhu et al. 2025, InternVL3",
    "arXiv:2511.21631 Bai et al. 2025, Qwen3-VL Technical Report",
)


@hookimpl
def backbones() -> list[BackboneSpec]:
    """valley, tiny-valley, transformers-video."""
    return [
        BackboneSpec(
            name="valley",
            target="graftwork.backbones.videollm.valley_backbone:ValleyBackbone",
            config="graftwork.backbones.videollm.settings:ValleySettings",
            summary="a Valley from a folder: a frozen tower, a temporal module and a decoder",
            task="video-chat",
            default_loss="language-modeling",
            cites=(_VALLEY,),
        ),
        BackboneSpec(
            name="tiny-valley",
            target="graftwork.backbones.videollm.tiny:TinyValley",
            config="graftwork.backbones.videollm.settings:TinyValleySettings",
            summary="a small Valley that ships with the package, for films of shapes; for CPUs",
            task="video-chat",
            default_loss="language-modeling",
            cites=(_VALLEY,),
        ),
        BackboneSpec(
            name="transformers-video",
            target="graftwork.backbones.videollm.families.backbone:TransformersVideo",
            config="graftwork.backbones.videollm.settings:ChatSettings",
            summary="a video LLM of transformers from a folder: Qwen-VL, LLaVA, InternVL, SmolVLM",
            task="video-chat",
            default_loss="language-modeling",
            cites=_FAMILIES,
        ),
    ]
