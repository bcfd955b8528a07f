"""The task of backbones that answer questions about clips."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

from graftwork.core import atomic, plugins
from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.task import Evaluation, Task
from graftwork.video.chat import Decoding, VideoChat
from graftwork.video.evaluation import Judging, VideoEvaluation
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.record import Record, ask


@config
class Asking:
    """What is asked about a clip on disk."""

    question: tuple[str, ...] = ()
    """What to ask; give it several times for several. Each is asked of every clip."""

    tokens: Annotated[int, Ge(1)] = 256
    """How long an answer may be."""

    temperature: Annotated[float, Ge(0)] = 0.0
    """0 for the likeliest answer, word by word; above, answers are drawn, the wilder the higher."""

    seed: int = 0
    """Of what is drawn."""

    together: bool = False
    """Whether all clips go into one question, which names them in their order."""


class Chatting(Task):
    """Questions about clips, answered in words."""

    def evaluation(
        self, backbone: Backbone, data: Dataset, settings: Judging, *, cache: Path | None = None
    ) -> VideoEvaluation:
        """The records that the data holds out, answered."""
        assert isinstance(backbone, VideoChat)
        assert isinstance(data, VideoInstructions)
        return VideoEvaluation(backbone, data, settings, cache=cache)

    def sample(
        self,
        evaluation: Evaluation,
        inputs: Sequence[Path],
        settings: Asking,
        out: Path,
        *,
        identity: str,
    ) -> str:
        """Answer, word by word as they come, and write `answers.jsonl`."""
        assert isinstance(evaluation, VideoEvaluation)
        records = list(_records(inputs, settings))
        evaluation.backbone.look(records)  # refuses before anything is answered
        decoding = Decoding(
            tokens=settings.tokens, temperature=settings.temperature, seed=settings.seed
        )
        rows = []
        for record in records:
            answer = _said(evaluation.backbone, record, decoding)
            clips = [clip.name for clip in record.clips]
            rows.append({"clips": clips, "question": record.turns[0].question, "answer": answer})
        with atomic.folder(out) as target:
            lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (target / "answers.jsonl").write_text(lines, encoding="utf-8")
        return f"{len(rows)} answers in {out}"


def _records(inputs: Sequence[Path], settings: Asking) -> Iterator[Record]:
    if not settings.question:
        raise GraftworkError("sample: nothing is asked; give --question 'What happens here?'")
    if not inputs:
        raise GraftworkError("sample: no clip is given; name a film, a folder of frames, ...")
    clips = [FileSource(path) for path in inputs]
    groups = [clips] if settings.together else [[clip] for clip in clips]
    for group in groups:
        for question in settings.question:
            yield ask(f"'{question}'", group, question)


def _said(backbone: VideoChat, record: Record, decoding: Decoding) -> str:
    hook = plugins.manager().hook
    said = ""
    for piece in backbone.stream(record, decoding):
        hook.text_written(text=piece)
        said += piece
    hook.text_written(text="\n")
    return said
