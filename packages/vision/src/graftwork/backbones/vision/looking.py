"""What a model of timm is shown, and what its frozen body makes of it, once."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor

from graftwork.backbones.vision.kept import identity, kept
from graftwork.backbones.vision.module import Classifier
from graftwork.backbones.vision.pixels import Pixels, Shown
from graftwork.backbones.vision.reading import batches
from graftwork.backbones.vision.settings import TimmSettings
from graftwork.core import plugins
from graftwork.labels.images import Images
from graftwork.nn import frozen


class Looking:
    """Pictures as the body is shown them, and the features that it has of them when frozen."""

    def __init__(self, pixels: Pixels, settings: TimmSettings) -> None:
        self.pixels, self.settings = pixels, settings
        self._features: dict[str, Mapping[str, Tensor]] = {}
        self._ready: dict[tuple[str, int], Tensor] = {}
        self._bytes = 0

    def features(
        self, module: Classifier, images: Images
    ) -> tuple[Float[Tensor, "readable dims"], Int[Tensor, "readable"]]:
        """F of every image that can be read, by the frozen body, and which these are.

        Raises:
            GraftworkError: an image cannot be read and the images are not tolerant; or none can.
        """
        key = self._key(module, images)
        found = self._features.get(key)
        if found is None:
            folder = None if self.settings.cache is None else Path(self.settings.cache)
            found = kept(folder, key, lambda: self._look(module, images))
            if folder is None or self._has_room(found["features"]):
                self._features[key] = found
        if len(found["kept"]) < len(images) and not images.tolerant:
            missing = set(range(len(images))) - set(found["kept"].tolist())
            images.image(min(missing))  # says what is wrong with it
        return found["features"], found["kept"]

    def pooled(
        self, module: Classifier, pictures: UInt8[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, "batch dims"]:
        """Features as grafts let the body make them, gradients included."""
        weight = next(module.body.parameters())
        return module.features(self.pixels.normalised(pictures, weight))

    def batches(
        self, images: Images, *, keep: bool
    ) -> Iterator[tuple[Sequence[int], UInt8[Tensor, "batch 3 height width"]]]:
        """All images that can be read, with their places; `keep` them while there is room."""
        return batches(
            images,
            lambda place: self.picture(images, place, keep=keep),
            size=self.settings.batch,
            workers=self.settings.workers,
        )

    def picture(self, images: Images, place: int, *, keep: bool) -> Shown:
        """An image as the model is tested with."""
        name = images.picture_hash()
        if (name, place) in self._ready:
            return self._ready[name, place]
        found = self.pixels.plain(images.image(place))
        if keep and self._has_room(found):
            self._ready[name, place] = found
        return found

    def augmented(self, images: Images, place: int, generator: torch.Generator) -> Shown:
        """An image as the model is trained with; all that is drawn follows from `generator`."""
        return self.pixels.augmented(images.image(place), generator)

    def _has_room(self, tensor: Tensor) -> bool:
        """Whether a tensor may stay in memory; it then counts."""
        if self._bytes + tensor.nbytes > self.settings.memory * 2**20:
            return False
        self._bytes += tensor.nbytes
        return True

    def _look(self, module: Classifier, images: Images) -> Mapping[str, Tensor]:
        rows: list[Tensor] = []
        places: list[int] = []
        hook = plugins.manager().hook
        with torch.no_grad(), frozen(module):
            for part, pictures in self.batches(images, keep=False):
                rows.append(self.pooled(module, pictures).float().cpu())
                places += part
                hook.work_done(what="images", done=places[-1] + 1, total=len(images))
        return {"features": torch.cat(rows), "kept": torch.tensor(places)}

    def _key(self, module: Classifier, images: Images) -> str:
        shown = sorted((name, str(value)) for name, value in self.pixels.config.items())
        parts = (identity(module.body), shown, images.picture_hash())
        return hashlib.sha256(repr(parts).encode()).hexdigest()
