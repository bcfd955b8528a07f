"""What the metrics look at images with."""

from collections.abc import Callable
from pathlib import Path

from jaxtyping import Float
from torch import Tensor

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import nearest
from graftwork.metrics.descriptor import descriptor
from graftwork.metrics.pretrained import pretrained
from graftwork.nn.text_to_image import Pictures

Images = Float[Tensor, "images 3 height width"]
Features = Float[Tensor, "images dims"]
Extractor = Callable[[Pictures, Images], Features]

_NAMES = ("auto", "descriptor")
_PLACE = "metric.features"


@config
class FeatureConfig:
    """Settings of a metric on image features."""

    features: str = "auto"
    """What images are compared with: "auto" (the backbone's own extractor, or the descriptor
    where it has none), "descriptor" (colours and gradients, no download), or a local folder with
    a CLIP or DINO model."""


def extractor(features: str) -> Extractor:
    """The extractor that the setting `features` names.

    Raises:
        GraftworkError: it is no name and no folder with a model that can be loaded. The extractor
            raises it for images that hold NaN.
    """
    look = _chosen(features)

    def extract(evaluation: Pictures, images: Images) -> Features:
        if not images.isfinite().all():
            raise GraftworkError(
                "metric: a sample holds NaN or infinite pixels; lower optimizer.lr, or set "
                "train.precision = 'fp32'"
            )
        return look(evaluation, images)

    return extract


def _chosen(features: str) -> Extractor:
    if features == "auto":
        return _own
    if features == "descriptor":
        return lambda _, images: descriptor(images)
    model = pretrained(_folder(features), place=_PLACE)
    return lambda _, images: model(images)


def _own(evaluation: Pictures, images: Images) -> Features:
    own = evaluation.features(images)
    return descriptor(images) if own is None else own


def _folder(features: str) -> Path:
    folder = Path(features).expanduser()
    if not folder.is_dir():
        name = nearest(features, _NAMES)
        remedy = f"did you mean {name!r}?" if name else f"known names: {', '.join(_NAMES)}"
        raise GraftworkError(f"{_PLACE}: {features!r} is neither a name nor a folder; {remedy}")
    return folder
