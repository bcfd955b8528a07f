"""Affine: a gain and an offset for every output channel."""

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.config import config
from graftwork.nn import ActivationAdapter, Site


@config
class AffineConfig:
    """Settings of Affine. At least one of the two trains."""

    gain: bool | Literal["norms"] = True
    """Whether what a channel puts out is scaled: everywhere, nowhere, or after norms alone."""

    offset: bool = True
    """Whether something is added to it, as its bias is."""

    def __post_init__(self) -> None:
        if self.gain is not True and not self.offset:
            raise ValueError("gain: neither it nor offset trains everywhere; set one to true")


class Affine(ActivationAdapter):
    """h' = (1 + g) h + o with h = W x; g and o (rows,) are zero at the start.

    With gains alone it is GainTuning (Mohan et al. 2021, arXiv:2107.12815), one multiplier for each
    channel of a convolution, there tuned on the test image; with offsets alone BitFit (Ben Zaken
    et al. 2022, arXiv:2106.10199), here also where a layer has no bias. On a norm it is the tuning
    of its own weight and bias, so `gain = "norms"` on all sites is bias-and-norm tuning. On a layer
    with one value for each colour of a sensor it is that sensor's gain, white balance and black
    level.

    The layer's own bias stays as it is and is not scaled. It does not merge, for a layer may have
    no bias to fold the offset into.
    """

    norms = True

    def __init__(self, site: Site, settings: AffineConfig) -> None:
        super().__init__(site)
        zeros = torch.zeros(site.rows)
        scaled = site.kind == "norm" if settings.gain == "norms" else settings.gain
        self.gain = nn.Parameter(zeros.clone()) if scaled else None
        """g."""
        self.offset = nn.Parameter(zeros) if settings.offset else None
        """o."""

    def forward(self, x: Tensor, frozen: Float[Tensor, "*output"]) -> Float[Tensor, "*output"]:
        """(1 + g) h + o, in the dtype of h."""
        changed = frozen.to(torch.promote_types(frozen.dtype, self.dtype))
        if self.gain is not None:
            changed = changed + changed * self.site.channels(self.gain)
        if self.offset is not None:
            changed = changed + self.site.channels(self.offset)
        return changed.to(frozen.dtype)
