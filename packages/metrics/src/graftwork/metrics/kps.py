"""Knowledge preservation: how much of the backbone is left when the trigger is not used."""

from collections.abc import Sequence

from graftwork.core.errors import GraftworkError
from graftwork.metrics.cosine import cosines
from graftwork.metrics.features import FeatureConfig, extractor
from graftwork.nn.metric import Metric
from graftwork.nn.text_to_image import Pictures


class KPS(Metric):
    """KPS-proxy = 2 a b / (a + b).

    a = mean cos(f(x_frozen), f(x_adapted)) over the prompts without the trigger,
    b = the same for the empty prompt,

    where x_frozen and x_adapted are samples of the same prompt from the same noise.

    After the Knowledge Preservation Score of Park et al. 2024 (arXiv:2404.07554). Of the paper,
    as secondary notes report it: CLIP embeddings; the adapter's outputs compared with the base
    model's; conditioned and unconditioned images; a harmonic mean against outliers. Our reading,
    since the exact formula could not be checked: cosines of pairs from the same seed, their
    plain mean over prompts and seeds, prompts without the trigger as the conditioned ones, and
    the harmonic mean taken of those two means. Features other than CLIP are an option of ours.
    """

    def __init__(self, settings: FeatureConfig) -> None:
        super().__init__(settings)
        self.extract = extractor(settings.features)

    def __call__(self, evaluation: Pictures) -> dict[str, float]:
        """`kps` in 0..1; its parts `kps_prompts` (a) and `kps_empty` (b) in -1..1.

        Raises:
            GraftworkError: there are no prompts without the trigger.
        """
        if not evaluation.free_prompts:
            raise GraftworkError(
                "metric.kps: there are no prompts without a trigger; set 'trigger' in [data]"
            )
        prompts = self._preserved(evaluation, evaluation.free_prompts)
        empty = self._preserved(evaluation, ("",))
        return {
            "kps": harmonic_mean(prompts, empty),
            "kps_prompts": prompts,
            "kps_empty": empty,
        }

    def _preserved(self, evaluation: Pictures, prompts: Sequence[str]) -> float:
        """Mean cosine between the frozen and the adapted sample of each prompt and seed."""
        frozen = self.extract(evaluation, evaluation.samples(prompts, adapted=False))
        adapted = self.extract(evaluation, evaluation.samples(prompts, adapted=True))
        return cosines(frozen, adapted).mean().item()


def harmonic_mean(a: float, b: float) -> float:
    """2 a b / (a + b), and 0 as soon as one of them is not positive.

    The harmonic mean of positive numbers tends to 0 with either of them, so this is its
    continuation: unlike pictures preserve nothing, and no sign can make up for it.

    >>> harmonic_mean(0.5, 1.0)
    0.6666666666666666
    >>> harmonic_mean(-0.5, 1.0)
    0.0
    """
    if a <= 0 or b <= 0:
        return 0.0
    return 2 * a * b / (a + b)
