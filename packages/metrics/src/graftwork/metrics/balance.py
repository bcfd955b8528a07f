"""One number for a search that should learn the subject and leave the rest alone."""

from graftwork.metrics.features import FeatureConfig
from graftwork.metrics.fidelity import Fidelity
from graftwork.metrics.kps import KPS, harmonic_mean
from graftwork.nn.metric import Metric
from graftwork.nn.text_to_image import Pictures


class Balance(Metric):
    """2 F K / (F + K) of fidelity F and KPS-proxy K; 0 where one of them is not positive.

    Ours, not of a paper: an objective that neither copying the subject into every picture nor
    learning nothing can win.
    """

    def __init__(self, settings: FeatureConfig) -> None:
        super().__init__(settings)
        self.fidelity = Fidelity(settings)
        self.kps = KPS(settings)

    def __call__(self, evaluation: Pictures) -> dict[str, float]:
        """`balance`, in 0..1."""
        fidelity = self.fidelity(evaluation)["fidelity"]
        kps = self.kps(evaluation)["kps"]
        return {"balance": harmonic_mean(fidelity, kps)}
