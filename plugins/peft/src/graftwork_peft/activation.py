"""PEFT's methods that are no function of the weight."""

from typing import Any

from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.nn import ActivationAdapter, Site
from graftwork_peft.tuned import Tuned, as_sequences


class PeftActivation(Tuned, ActivationAdapter):
    """A method of PEFT that works on what a linear layer puts out, and cannot be merged."""

    @classmethod
    def check_site(cls, site: Site, settings: Any) -> None:
        """Refuse all but linear layers."""
        if site.kind != "linear":
            raise GraftworkError(
                f"sites: peft/{cls.method} sits on linear layers alone, and '{site.name}' is of "
                f"kind {site.kind}; leave it out"
            )

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """PEFT's own forward pass, W x taken from `frozen`."""
        output = self.base.answering(as_sequences(x), as_sequences(frozen), self.run)
        return output.reshape(frozen.shape)
