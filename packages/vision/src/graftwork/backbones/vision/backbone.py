"""Any model of timm as a backbone."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from graftwork.backbones.vision.loading import load
from graftwork.backbones.vision.looking import Looking
from graftwork.backbones.vision.module import BODY, SITE, Blank, Classifier, is_blank, split
from graftwork.backbones.vision.pixels import Pixels
from graftwork.backbones.vision.saving import save
from graftwork.backbones.vision.settings import TimmSettings
from graftwork.core.errors import GraftworkError
from graftwork.labels.classifier import ImageClassifier, Predicted
from graftwork.labels.head import head_on, watched
from graftwork.labels.images import Images, LabelledImages
from graftwork.labels.step import LabelStep
from graftwork.nn import fingerprint, grafts
from graftwork.nn.match import all_sites
from graftwork.nn.moving import move

_ROWS = 4096
"""Features that go through the classifier at once."""


@dataclass(kw_only=True)
class Examples:
    """A training set that has been looked at once."""

    data: LabelledImages
    labels: Int[Tensor, "examples"]
    kept: Int[Tensor, "readable"]
    """Which examples can be read."""
    frozen_features: Float[Tensor, "readable dims"] | None = None
    """F of those, once something asks for them."""

    def __len__(self) -> int:
        return len(self.kept)


class TimmBackbone(ImageClassifier):
    """A model of timm, frozen and in evaluation mode: `module` holds `body` and `classifier`.

    As long as no graft acts on the body, a data set goes through it once: the pooled features are
    kept, in memory and in the folder `cache`, and what trains sees them alone.

    Raises:
        GraftworkError: the model cannot be had, or a setting does not fit it.
    """

    module: Classifier
    settings: TimmSettings

    def __init__(self, settings: TimmSettings) -> None:
        super().__init__(settings)
        model = load(settings)
        pixels = Pixels(model, size=settings.image_size, augment=settings.augment)
        body, own, self.dims = split(model, pixels.size)
        """`dims` is the width of pooled features."""
        if settings.gradient_checkpointing:
            _checkpoint(body)
        first = Blank(self.dims, 1) if settings.classifier == "new" else _own(own)
        self.module = Classifier(body, first)
        self.module.requires_grad_(False).eval()
        self.looking = Looking(pixels, settings)

    def default_sites(self) -> tuple[str, ...]:
        """The projections of attention where there is some, or else all layers of the body."""
        attends = any("attn." in name for name in all_sites(self.module.body))
        return (f"{BODY}.*attn.*",) if attends else (f"{BODY}.*",)

    def head_sites(self) -> tuple[str, ...]:
        """The classifier."""
        return (SITE,)

    def meet(self, data: LabelledImages) -> None:
        """Give the classifier the classes of the data.

        Raises:
            GraftworkError: the model's own classifier has other classes.
        """
        layer, classes = self.module.classifier, len(data.classes)
        if layer.out_features == classes:
            return
        if self.settings.classifier == "own":
            raise GraftworkError(
                f"backbone.classifier: the model's own has {layer.out_features} classes, and the "
                f"data {classes}; set it to 'new' and train a head"
            )
        fresh = Blank(self.dims, classes).to(layer.weight.device, layer.weight.dtype)
        self.module.classifier = fresh.eval()

    def prepare(self, data: LabelledImages) -> Examples:
        """Look at every image once.

        Raises:
            GraftworkError: an image cannot be read, or nothing trains a blank classifier.
        """
        if head_on(self.module, SITE) is None and is_blank(self.module.classifier):
            raise GraftworkError(
                "adapter: the backbone's classifier is blank and no head takes its place; add "
                "[[adapter]] with kind = 'linear-head', or set backbone.classifier to 'own'"
            )
        if self._adapts() or self.settings.augment is not None:
            read = self.looking.batches(data, keep=self.settings.augment is None)
            kept = torch.tensor([place for places, _ in read for place in places])
            return Examples(data=data, labels=data.labels(), kept=kept)
        features, kept = self.looking.features(self.module, data)
        return Examples(data=data, labels=data.labels(), kept=kept, frozen_features=features)

    def step(
        self,
        examples: Examples,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> LabelStep:
        """The forward pass on `examples[indices]`, counted round where some cannot be read."""
        rows = torch.tensor([index % len(examples) for index in indices])
        places, wanted = examples.kept[rows], "features" in needs
        if self._live():
            adapted = self._shown(examples, places.tolist(), generator)
        else:
            adapted = self._frozen(examples)[rows]
        logits, features = self._classify(adapted)
        device = logits.device
        return LabelStep(
            labels=examples.labels[places].to(device),
            indices=places.to(device),
            examples=len(examples.labels),
            logits=logits if "prediction" in needs else None,
            features=features if wanted else None,
            frozen_features=self._frozen(examples)[rows].to(device) if wanted else None,
        )

    @torch.no_grad()
    def predict(self, images: Images) -> Predicted:
        """Every image that can be read; through the body only where it is adapted.

        Raises:
            GraftworkError: one cannot be read, and the images are not tolerant; or none can.
        """
        frozen_features, kept = self.looking.features(self.module, images)
        if self._adapts():
            shown = self.looking.batches(images, keep=True)
            parts = (self.looking.pooled(self.module, pictures) for _, pictures in shown)
        else:
            parts = (part for part in frozen_features.split(_ROWS))
        made = [self._classify(part) for part in parts]
        return Predicted(
            kept=kept,
            logits=torch.cat([logits.float().cpu() for logits, _ in made]),
            features=torch.cat([features.float().cpu() for _, features in made]),
            frozen_features=frozen_features,
        )

    def _live(self) -> bool:
        """Whether what trains sees images, and not features that are kept."""
        return self._adapts() or self.settings.augment is not None

    def _adapts(self) -> bool:
        """Whether a graft acts on the body."""
        return any(
            site.startswith(f"{BODY}.")
            for handle in grafts(self.module).values()
            if handle.enabled and handle.weight
            for site in handle.sites
        )

    def _frozen(self, examples: Examples) -> Float[Tensor, "readable dims"]:
        """F of a training set, looked at once."""
        if examples.frozen_features is None:
            examples.frozen_features = self.looking.features(self.module, examples.data)[0]
        return examples.frozen_features

    def _shown(
        self, examples: Examples, places: Sequence[int], generator: torch.Generator
    ) -> Float[Tensor, "batch dims"]:
        """Features of examples as grafts let the body make them."""
        if self.settings.augment is None:
            pictures = [self.looking.picture(examples.data, one, keep=True) for one in places]
        else:
            pictures = [self.looking.augmented(examples.data, one, generator) for one in places]
        return self.looking.pooled(self.module, torch.stack(pictures))

    def _classify(
        self, features: Float[Tensor, "batch dims"]
    ) -> tuple[Float[Tensor, "batch classes"], Float[Tensor, "batch head_dims"]]:
        """Logits, and what the classifier makes them of."""
        weight = self.module.classifier.weight
        given = features.to(weight.device, weight.dtype)
        with watched(head_on(self.module, SITE)) as seen:
            logits = self.module.classifier(given)
        return logits, seen[-1] if seen else given

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move the model; adapters change device and keep their dtype."""
        move(self.module, device, dtype)

    def fingerprint(self) -> str:
        """Hash of the architecture and weights, as they are now."""
        return fingerprint(self.module)

    def save(self, folder: Path) -> None:
        """Write the model as timm's `save_for_hf` does; a blank classifier is left out.

        Raises:
            GraftworkError: an adapter is still on it, or the folder is taken.
        """
        if grafts(self.module):
            raise GraftworkError("save: adapters are on the backbone; merge or detach them first")
        save(self.module, folder, shown=self.looking.pixels.config)


def _checkpoint(body: nn.Module) -> None:
    try:
        body.set_grad_checkpointing(True)  # type: ignore[operator]
    except (AssertionError, AttributeError) as error:
        raise GraftworkError(
            "backbone.gradient_checkpointing: timm has none for this model; set it to false"
        ) from error


def _own(classifier: nn.Linear | None) -> nn.Linear:
    if classifier is None:
        raise GraftworkError(
            "backbone.classifier: the model has none of its own that is one linear layer; set it "
            "to 'new'"
        )
    return classifier
