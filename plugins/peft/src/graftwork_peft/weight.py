"""PEFT's methods that are functions of the weight.

Every site is shown to PEFT as a linear layer (`SiteLinear`), whatever it is, so a method works
wherever graftwork has a site. On a linear layer PEFT's own forward pass computes the output. The
effective weight, which serves all other layers and merging, is what PEFT's layer makes of the
identity matrix: W' I. A layer's bias stays as it is, also where PEFT's method would scale it.
"""

from typing import Any

from jaxtyping import Float
from torch import Tensor

from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import product
from graftwork_peft.special import special
from graftwork_peft.tuned import Tuned, as_sequences, refuse_dropout


class PeftWeight(Tuned, WeightAdapter):
    """A method of PEFT as a function of the weight."""

    @classmethod
    def check_site(cls, site: Site, settings: Any) -> None:
        """Refuse dropout on what is no linear layer."""
        refuse_dropout(cls.method, site, settings)

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W' I, without dropout."""
        return self.base.of_identity(weight, self.tuner, self.run)

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """PEFT's own forward pass on a linear layer, the effective weight elsewhere."""
        linear = self.site.kind == "linear" and self.site.observable
        if not linear or special(self.method).by_weight:
            return product(self.site, x, self.forming(), tuple(self.inputs()), bias)
        output = self.run(as_sequences(x)).reshape(*x.shape[:-1], -1)
        return output if bias is None else output + bias.to(output.dtype)
