"""Names of layers in single-file adapters, where the dots of a module's path are underscores.

kohya's scripts begin the UNet's names with `lora_unet_` and the text encoder's with `lora_te_`
(`lora_te1_` and `lora_te2_` where there are two); LyCORIS's wrapper begins all with `lycoris_`.
An underscore may have been a dot or not, so names are looked up among those of the model.
"""

from collections.abc import Iterable
from pathlib import Path

from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.formats.packed import by_layer
from graftwork.nn import Site
from graftwork.nn.match import all_sites

WRAPPER = "lycoris_"
UNET = "lora_unet_"
_ENCODERS = {
    "text_encoder": ("lora_te_", "lora_te1_"),
    "text_encoder_2": ("lora_te2_",),
}


def kohya_name(site: str, model: nn.Module, *, format: str) -> str:
    """The name by which A1111, ComfyUI and diffusers know a layer.

    Raises:
        GraftworkError: the layer is in no part that has such a name.
    """
    part, _, path = site.partition(".")
    if part == "unet":
        return UNET + _flat(path)
    if part in _ENCODERS:
        prefixes = _ENCODERS[part]
        two = part == "text_encoder" and hasattr(model, "text_encoder_2")
        # The level `text_model` was dropped from the newest text encoders, and stays in files.
        return prefixes[two] + _flat(f"text_model.{path.removeprefix('text_model.')}")
    raise GraftworkError(
        f"format '{format}': '{site}' is in neither the UNet nor a text encoder; set names = "
        "'wrapper' in the format 'lycoris', or use 'peft'"
    )


def wrapper_name(site: str, part: str) -> str:
    """The name by which LyCORIS's wrapper around `part` (empty: the whole model) knows a layer."""
    return WRAPPER + _flat(site.removeprefix(f"{part}.") if part else site)


class Names:
    """The sites of a model by all the names they have in files."""

    def __init__(self, model: nn.Module) -> None:
        self._layers: dict[str, dict[str, list[Site]]] = {}
        for layer, sites in by_layer(all_sites(model).values()).items():
            for name in _spellings(layer):
                self._layers.setdefault(name, {})[layer] = sites

    def sites(self, name: str, file: Path) -> list[Site]:
        """The site of that name, or the parts of the packed projection.

        Raises:
            GraftworkError: there is none, or more than one.
        """
        found = self._layers.get(name, {})
        if not found:
            raise GraftworkError(
                f"{file}: '{name}' is no layer of this model; load the backbone it was made for"
            )
        if len(found) > 1:
            raise GraftworkError(
                f"{file}: '{name}' may be {' or '.join(map(repr, sorted(found)[:2]))}; load it on "
                "the part of the model that it is for"
            )
        return next(iter(found.values()))


def _spellings(site: str) -> Iterable[str]:
    part, _, path = site.partition(".")
    yield WRAPPER + _flat(site)
    if path:  # a wrapper around one part of the model
        yield WRAPPER + _flat(path)
    if part == "unet":
        yield UNET + _flat(path)
    for prefix in _ENCODERS.get(part, ()):
        yield prefix + _flat(path)
        yield prefix + _flat(f"text_model.{path.removeprefix('text_model.')}")


def _flat(path: str) -> str:
    return path.replace(".", "_")
