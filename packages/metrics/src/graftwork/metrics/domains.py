"""One number for the test images and one for every other domain, side by side."""

from collections.abc import Callable, Sequence
from statistics import fmean

from graftwork.labels.evaluation import Classified

Score = Callable[[Classified], float]


def by_domain(name: str, judged: Sequence[Classified], score: Score) -> dict[str, float]:
    """`name` of the test images; `name_DOMAIN` of each other domain; `name_ood` of all those.

    A domain's number is the mean over its severities, and `name_ood` that over domains.
    """
    scores: dict[str, list[float]] = {}
    for one in judged:
        scores.setdefault(one.domain, []).append(score(one))
    means = {domain: fmean(values) for domain, values in scores.items()}
    values = {name: means.pop("")}
    if means:
        values[f"{name}_ood"] = fmean(means.values())
    return values | {f"{name}_{domain}": value for domain, value in means.items()}
