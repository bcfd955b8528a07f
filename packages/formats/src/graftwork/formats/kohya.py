"""The format of kohya's scripts, which A1111, ComfyUI and diffusers read."""

from pathlib import Path

from torch import nn

from graftwork.formats import difference, low_rank, single_file
from graftwork.formats.names import UNET, kohya_name
from graftwork.nn import Graft
from graftwork.nn.converting import ConvertConfig
from graftwork.nn.exporting import Export

_LEAVES = low_rank.LEAVES | difference.LEAVES
_PREFIXES = (UNET, "lora_te_", "lora_te1_", "lora_te2_")


class KohyaFormat:
    """LoRA and DoRA of a UNet and its text encoders, and whole differences.

    A graft's weight is folded in. alpha is always written, for without one readers take 1 for the
    scale.
    """

    @staticmethod
    def detect(path: Path) -> bool:
        """Whether `path` is such a file, or a folder with one."""
        keys = single_file.keys(path)
        known = any(key.partition(".")[2] in _LEAVES for key in keys)
        return known and all(key.startswith(_PREFIXES) for key in keys)

    def write(self, handle: Graft, path: Path, settings: ConvertConfig) -> Export:
        """Write a graft to a folder, or to a .safetensors file.

        Raises:
            GraftworkError: the format has no place for the method, a site, or the weight.
        """
        names = {
            layer: kohya_name(layer, handle.model, format="kohya")
            for layer in single_file.layer_names(handle)
        }
        layers, error = single_file.plain_layers(handle, settings, format="kohya")
        file = single_file.write(
            path,
            {names[layer]: leaves for layer, leaves in layers.items()},
            dtype=settings.dtype,
            metadata={"ss_network_module": "networks.lora"},
        )
        return Export(path=file, error=error)

    def read(
        self, model: nn.Module, path: Path, *, name: str = "default", weight: float | None = None
    ) -> Graft:
        """Graft a file onto `model`, whose parts are `unet` and the text encoders.

        Raises:
            GraftworkError: the file is damaged, made for another model, or holds something else.
        """
        return single_file.read(model, path, name=name, weight=weight)
