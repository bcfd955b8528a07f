"""How many questions about clips are answered rightly."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Literal

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.metrics.letters import meant
from graftwork.metrics.normalising import normalised
from graftwork.nn.metric import Metric
from graftwork.video.evaluation import Answered, Answers


class VideoQA(Metric):
    """Share of answers that are exactly the given one, after `normalised`."""

    def __call__(self, evaluation: Answers) -> dict[str, float]:
        """video-qa, and video-qa_GROUP of each group of questions."""
        return by_group("video-qa", evaluation.answered(adapted=True), is_exact)


@config
class ChoiceConfig:
    """How a choice is read."""

    by: Literal["likelihood", "letter"] = "likelihood"
    """likelihood: the option that the backbone finds likeliest. letter: the option that its
    answer names; an answer that names none is wrong."""


class VideoChoice(Metric):
    """Share of questions with options for which the right one is chosen."""

    settings: ChoiceConfig

    def __call__(self, evaluation: Answers) -> dict[str, float]:
        """video-choice, and video-choice_GROUP of each group of questions.

        Raises:
            GraftworkError: no record has options.
        """
        chosen = [one for one in evaluation.answered(adapted=True) if one.record.options]
        if not chosen:
            raise GraftworkError(
                "metric.video-choice: no record has options; take the metric out, or give "
                "'options' in the data"
            )
        return by_group("video-choice", chosen, self._is_right)

    def _is_right(self, one: Answered) -> bool:
        options = one.record.options
        place = one.choice if self.settings.by == "likelihood" else meant(one.answer, options)
        return place is not None and normalised(options[place]) == normalised(one.record.answer)


class VideoPairs(Metric):
    """Share of pairs of records that are answered rightly both.

    For clips and the same backwards, where what ignores the order of frames is right once at most.
    """

    def __call__(self, evaluation: Answers) -> dict[str, float]:
        """video-pairs, and video-pairs_GROUP of each group of questions.

        Raises:
            GraftworkError: no record belongs to a pair.
        """
        pairs: dict[str, list[Answered]] = {}
        for one in evaluation.answered(adapted=True):
            if one.record.pair:
                pairs.setdefault(one.record.pair, []).append(one)
        if not pairs:
            raise GraftworkError(
                "metric.video-pairs: no record belongs to a pair; take the metric out, or give "
                "'pair' in the data"
            )
        wrong = {name for name, both in pairs.items() if not all(map(is_exact, both))}
        firsts = [both[0] for both in pairs.values()]
        return by_group("video-pairs", firsts, lambda one: one.record.pair not in wrong)


def is_exact(one: Answered) -> bool:
    """Whether an answer is the given one."""
    return normalised(one.answer) == normalised(one.record.answer)


def by_group(
    name: str, answered: Sequence[Answered], is_right: Callable[[Answered], bool]
) -> dict[str, float]:
    """The share that is right, of all and of every group."""
    right = [float(is_right(one)) for one in answered]
    groups: Mapping[str, list[float]] = {
        group: [r for one, r in zip(answered, right, strict=True) if one.record.group == group]
        for group in sorted({one.record.group for one in answered} - {""})
    }
    return {name: fmean(right)} | {f"{name}_{group}": fmean(of) for group, of in groups.items()}
