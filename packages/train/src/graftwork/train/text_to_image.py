"""The task of backbones that draw pictures from prompts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from graftwork.core import atomic
from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.task import Evaluation, Task
from graftwork.nn.text_to_image import CaptionedImages, TextToImage
from graftwork.train import pictures
from graftwork.train.image_evaluation import ImageEvaluation, Judging


@config
class Drawing:
    """What to draw with a trained run."""

    prompt: tuple[str, ...] = ()
    """What to draw; give it several times for several. The run's own prompts by default."""

    seeds: Annotated[int, Ge(1)] = 4
    """Pictures for each prompt."""

    steps: Annotated[int, Ge(1)] | None = None
    """Sampling steps; absent for the run's own."""

    guidance: Annotated[float, Ge(0)] | None = None
    """Scale of classifier-free guidance; absent for the run's own."""


class DrawingPictures(Task):
    """Pictures from prompts."""

    def evaluation(
        self, backbone: Backbone, data: Dataset, settings: Judging, *, cache: Path | None = None
    ) -> ImageEvaluation:
        """Samples of the adapted and the frozen backbone."""
        assert isinstance(backbone, TextToImage)
        assert isinstance(data, CaptionedImages)
        return ImageEvaluation(backbone, data, settings, cache=cache)

    def sample(
        self,
        evaluation: Evaluation,
        inputs: Sequence[Path],
        settings: Drawing,
        out: Path,
        *,
        identity: str,
    ) -> str:
        """Draw: a PNG for each prompt and seed, and `grid.png` with all of them."""
        assert isinstance(evaluation, ImageEvaluation)
        if inputs:
            raise GraftworkError(f"{inputs[0]}: pictures are drawn from prompts; use --prompt")
        prompts, own = settings.prompt or evaluation.subject_prompts, evaluation.settings
        pairs = [(prompt, seed) for prompt in prompts for seed in range(settings.seeds)]
        drawn = evaluation.backbone.sample(
            [prompt for prompt, _ in pairs],
            [seed for _, seed in pairs],
            steps=settings.steps or own.steps,
            guidance=own.guidance if settings.guidance is None else settings.guidance,
        )
        with atomic.folder(out) as target:
            rows, columns = range(len(prompts)), range(settings.seeds)
            names = [f"{row:02d}-{column:02d}" for row in rows for column in columns]
            pictures.save_all(drawn, names, target)
            pictures.grid(drawn, columns=settings.seeds).save(target / "grid.png")
        return f"{len(drawn)} pictures in {out}"
