"""How much samples look like the subject."""

from graftwork.metrics.cosine import all_cosines
from graftwork.metrics.features import FeatureConfig, extractor
from graftwork.nn.metric import Metric
from graftwork.nn.text_to_image import Pictures


class Fidelity(Metric):
    """mean_{i, j} cos(f(x_i), f(r_j)),  x_i samples of the subject prompts, r_j references.

    The mean is over every pair of a sample and a reference image. With CLIP or DINO features it
    is the CLIP-I or DINO score of Ruiz et al. 2023 (DreamBooth, arXiv:2208.12242).
    """

    def __init__(self, settings: FeatureConfig) -> None:
        super().__init__(settings)
        self.extract = extractor(settings.features)

    def __call__(self, evaluation: Pictures) -> dict[str, float]:
        """`fidelity`, in -1..1."""
        samples = evaluation.samples(evaluation.subject_prompts, adapted=True)
        pairs = all_cosines(
            self.extract(evaluation, samples), self.extract(evaluation, evaluation.reference)
        )
        return {"fidelity": pairs.mean().item()}
