"""What a sensor adds to the truth at one ISO."""

from typing import Annotated

from graftwork.core.config import Ge, Gt, config


@config
class Noise:
    """Poisson-Gaussian noise: variance = a · (mean − black) + b, in DN² (digital numbers)."""

    iso: Annotated[int, Gt(0)] | None = None
    """ISO at which it was measured; absent where it was estimated from a clip."""

    a: Annotated[float, Gt(0)]
    """Gain in DN per electron: the slope of variance over signal."""

    b: Annotated[float, Ge(0)]
    """Variance of the read noise in DN²."""

    row: Annotated[float, Ge(0)] = 0.0
    """Deviation in DN of an offset that every pixel of a row shares; fresh in each frame."""
