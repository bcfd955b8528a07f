"""How much samples of one prompt differ."""

from graftwork.core.errors import GraftworkError
from graftwork.metrics.cosine import all_cosines
from graftwork.metrics.features import FeatureConfig, Features, extractor
from graftwork.nn.metric import Metric
from graftwork.nn.text_to_image import Pictures


class Diversity(Metric):
    """mean_p mean_{s < t} (1 - cos(f(x_ps), f(x_pt))),  x_ps the sample of prompt p and seed s.

    The mean over all pairs of seeds, then over the subject prompts. An adapter that has
    memorised its pictures draws the same one from every seed, and this falls towards 0.
    """

    def __init__(self, settings: FeatureConfig) -> None:
        super().__init__(settings)
        self.extract = extractor(settings.features)

    def __call__(self, evaluation: Pictures) -> dict[str, float]:
        """`diversity`, in 0..2.

        Raises:
            GraftworkError: there is only one seed, so no pair.
        """
        seeds = len(evaluation.seeds)
        if seeds < 2:
            raise GraftworkError(
                "metric.diversity: compares samples of two seeds or more; raise evaluate.seeds"
            )
        samples = evaluation.samples(evaluation.subject_prompts, adapted=True)
        prompts = self.extract(evaluation, samples).split(seeds)  # samples are prompt-major
        return {"diversity": sum(map(_spread, prompts)) / len(prompts)}


def _spread(features: Features) -> float:
    """Mean of 1 - cosine over the unordered pairs of rows."""
    cosines = all_cosines(features, features)
    above = cosines.new_ones(cosines.shape).triu(diagonal=1).bool()
    return (1 - cosines[above]).mean().item()
