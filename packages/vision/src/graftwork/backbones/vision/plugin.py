"""What this distribution registers: image classifiers."""

from graftwork.core import BackboneSpec, hookimpl


@hookimpl
def backbones() -> list[BackboneSpec]:
    """timm."""
    return [
        BackboneSpec(
            name="timm",
            target="graftwork.backbones.vision.backbone:TimmBackbone",
            config="graftwork.backbones.vision.settings:TimmSettings",
            summary="any model of timm: by name, from a folder or a file, or of the hub",
            task="classification",
            default_loss="cross-entropy",
        ),
    ]
