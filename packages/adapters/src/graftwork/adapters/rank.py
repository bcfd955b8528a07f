"""The settings of every method with a rank: `rank`, `alpha`, and the scale that they make."""

from typing import Annotated

from graftwork.core.config import Ge, Gt, Search, config


@config
class RankConfig:
    """Settings of a method whose change is `scale` times a function of factors of rank r."""

    rank: Annotated[int, Ge(1), Search(2, 64, log=True)] = 8
    """r. At most the smaller side of the smallest site, except in files of other tools, which are
    read as they are."""

    alpha: Annotated[float, Gt(0), Search(1, 64, log=True)] | None = None
    """Numerator of the change's scale alpha / rank. Left out it is the rank itself, so that the
    scale is 1 at every rank; PEFT's default is 8 at every rank, LyCORIS's is 1."""

    @property
    def scale(self) -> float:
        """alpha / rank, 1 where alpha is left out."""
        return 1.0 if self.alpha is None else self.alpha / self.rank
