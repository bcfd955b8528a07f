"""Image features of CLIP or DINO from a local folder; the only file that knows transformers.

CLIP: the projected image embedding. DINO: the class token after the last layer norm.
"""

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.core.errors import GraftworkError, one_line

CLIP = ("clip", "siglip", "siglip2")
DINO = ("vit", "dinov2", "dinov2_with_registers", "dinov3_vit")
_LAYOUT = "config.json, preprocessor_config.json and model.safetensors"
_BATCH = 32


class Pretrained:
    """The image tower of a CLIP or DINO folder as transformers saves it. See `pretrained`."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoConfig, AutoImageProcessor, AutoModel

        # Nothing is fetched, no code of the folder runs, and no pickle is opened.
        local: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        self.kind: str = AutoConfig.from_pretrained(folder, **local).model_type
        if self.kind not in CLIP + DINO:
            known = ", ".join(CLIP + DINO)
            raise GraftworkError(f"{folder}: a model of type '{self.kind}'; use one of: {known}")
        # Through PIL, so that the numbers do not depend on whether torchvision is installed.
        self.processor: Any = AutoImageProcessor.from_pretrained(folder, backend="pil", **local)
        self.model, report = AutoModel.from_pretrained(
            folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **local
        )
        # transformers would fill a gap with random numbers. DINO has no use for the pooler.
        if gaps := [key for key in report["missing_keys"] if not key.startswith("pooler.")]:
            raise GraftworkError(f"{folder}: model.safetensors lacks '{min(gaps)}'; copy it anew")
        self.model.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(
        self, images: Float[Tensor, "images 3 height width"]
    ) -> Float[Tensor, "images dims"]:
        """Features of images in 0..1, which are first rounded to 8 bits as in a file."""
        self.model.to(images.device)
        return torch.cat([self._features(batch) for batch in images.split(_BATCH)])

    def _features(self, images: Tensor) -> Tensor:
        pixels = self._pixels(images)
        if self.kind in DINO:
            return self.model(pixel_values=pixels).last_hidden_state[:, 0]
        found = self.model.get_image_features(pixel_values=pixels)
        # transformers 5 changed from the tensor to an output object around it.
        return found if isinstance(found, Tensor) else found.pooler_output

    def _pixels(self, images: Tensor) -> Tensor:
        bytes_ = (images.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        inputs = self.processor(
            images=list(bytes_), input_data_format="channels_last", return_tensors="pt"
        )
        return inputs["pixel_values"].to(images.device)


def pretrained(folder: Path, *, place: str) -> Pretrained:
    """The model in `folder`, loaded once in a process.

    Raises:
        GraftworkError: transformers is missing, or the folder holds no CLIP or DINO that can be
            read; begins with `place`.
    """
    if not (folder / "config.json").is_file():
        raise GraftworkError(f"{place}: {folder} has no config.json; it must hold {_LAYOUT}")
    try:
        return _load(folder.resolve())
    except ModuleNotFoundError as error:
        raise GraftworkError(
            f"{place}: module '{error.name}' is not installed; "
            "run: pip install 'graftwork-metrics[clip]'"
        ) from error
    except GraftworkError as error:
        raise GraftworkError(f"{place}: {error}") from error
    # Whatever a damaged folder makes transformers raise, the user can only mend the folder.
    except Exception as error:
        raise GraftworkError(
            f"{place}: {folder} cannot be loaded ({one_line(error)}); it must hold {_LAYOUT}"
        ) from error


@functools.cache
def _load(folder: Path) -> Pretrained:
    with _quiet():
        return Pretrained(folder)


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers without its progress bars and reports: what matters becomes an error here."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()
