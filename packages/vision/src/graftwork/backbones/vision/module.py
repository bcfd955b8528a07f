"""A model of timm, its body and its classifier apart."""

from collections.abc import Iterator

import torch
from jaxtyping import Float
from torch import Tensor, nn

SITE = "classifier"
"""The dotted name of the classifier."""
BODY = "body"
"""The dotted name of what makes features."""


class Blank(nn.Linear):
    """A classifier that knows nothing: zeros, no bias. A head takes its place."""

    def __init__(self, dims: int, classes: int) -> None:
        super().__init__(dims, classes, bias=False)
        nn.init.zeros_(self.weight)
        self.requires_grad_(False)  # `Classifier`, which hides it, would not


class Classifier(nn.Module):
    """logits = W F + b with F = body(x), pooled.

    A blank classifier, which goes with the data, is none of the parameters: the backbone is known
    again beside other data, and without any.

    Args:
        body: a model of timm without its classifier.
        classifier: the last linear layer.
    """

    def __init__(self, body: nn.Module, classifier: nn.Linear) -> None:
        super().__init__()
        self.body = body
        self.classifier = classifier

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, nn.Parameter]]:
        """All but a blank classifier's weight."""
        hidden = self.classifier._parameters["weight"] if self._blank else None
        every = super().named_parameters(prefix, recurse, remove_duplicate)
        return ((name, parameter) for name, parameter in every if parameter is not hidden)

    @property
    def _blank(self) -> bool:
        return isinstance(self.classifier, Blank)

    def maps(self, x: Float[Tensor, "batch 3 height width"]) -> Tensor:
        """Features before pooling: tokens or feature maps, as the architecture has them."""
        return self.body.forward_features(x)  # type: ignore[operator]

    def features(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch dims"]:
        """F: pooled features."""
        return self.body(x)

    def forward(self, x: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch classes"]:
        """Logits."""
        return self.classifier(self.features(x))


def is_blank(layer: nn.Linear) -> bool:
    """Whether a classifier knows nothing."""
    return not layer._parameters["weight"].any()  # type: ignore[union-attr]


def split(model: nn.Module, size: tuple[int, int, int]) -> tuple[nn.Module, nn.Linear | None, int]:
    """The body of a model of timm, its classifier if it is one linear layer, and the width of F.

    Args:
        model: of timm; its classifier is taken off.
        size: channels, height and width of an image, to measure the width of F with.
    """
    own = model.get_classifier()  # type: ignore[operator]
    model.reset_classifier(0)  # type: ignore[operator]
    with torch.no_grad():
        dims = model(torch.zeros(1, *size)).shape[-1]
    fits = isinstance(own, nn.Linear) and own.in_features == dims
    return model, own if fits else None, dims
