"""What this distribution registers: video LLMs."""

from graftwork.core import BackboneSpec, hookimpl

_VALLEY = (
    "arXiv:2306.07207 Luo et al. 2023, Valley: Video Assistant with Large Language model Enhanced "
    "abilitY"
)


@hookimpl
def backbones() -> list[BackboneSpec]:
    """valley."""
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
    ]
