"""The task of backbones that tell images apart."""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from graftwork.core import atomic
from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.labels.classifier import ImageClassifier
from graftwork.labels.evaluation import ClassificationEvaluation, Judging
from graftwork.labels.file_images import FileImages
from graftwork.labels.images import LabelledImages
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.task import Evaluation, Task


@config
class Naming:
    """What is said of images on disk."""

    top: Annotated[int, Ge(1)] = 3
    """How many classes of each image, the likeliest first."""


class Classifying(Task):
    """Images told apart by class."""

    def evaluation(
        self, backbone: Backbone, data: Dataset, settings: Judging, *, cache: Path | None = None
    ) -> ClassificationEvaluation:
        """The images that the data holds out. A backbone keeps features in a cache of its own."""
        assert isinstance(backbone, ImageClassifier)
        assert isinstance(data, LabelledImages)
        return ClassificationEvaluation(backbone, data, settings)

    def sample(
        self,
        evaluation: Evaluation,
        inputs: Sequence[Path],
        settings: Naming,
        out: Path,
        *,
        identity: str,
    ) -> str:
        """Name what is in images on disk, and write `classes.jsonl`."""
        assert isinstance(evaluation, ClassificationEvaluation)
        if not inputs:
            raise GraftworkError("sample: no image is given; name an image file, or several")
        files = FileImages(inputs, evaluation.data)
        rows = list(_rows(evaluation, files, settings.top))
        with atomic.folder(out) as target:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (target / "classes.jsonl").write_text(lines, encoding="utf-8")
        said = ", ".join(f"{Path(row['image']).name} {row['classes'][0]['class']}" for row in rows)
        return f"{said} ({out / 'classes.jsonl'})"


def _rows(
    evaluation: ClassificationEvaluation, files: FileImages, top: int
) -> Iterator[Mapping[str, Any]]:
    shares = evaluation.backbone.predict(files).logits.softmax(1)
    best = shares.topk(min(top, shares.shape[1]))
    for row in range(len(files)):
        pairs = zip(best.indices[row].tolist(), best.values[row].tolist(), strict=True)
        named = [
            {"class": evaluation.data.classes[label], "probability": round(share, 4)}
            for label, share in pairs
        ]
        yield {"image": files.name(row), "classes": named}
