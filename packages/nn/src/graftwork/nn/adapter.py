"""The contracts of adapters: what a method has to say, and nothing more."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.nn.product import Form, product
from graftwork.nn.site import Site


class Adapter(nn.Module, ABC):
    """What every adapter is: a module built for one site, with its method's settings.

    Built in float32 whatever the backbone's dtype; its output is cast to the layer's.
    `__init__` declares parameters and buffers (all persistent), and draws initial values.
    """

    mergeable: ClassVar[bool] = False
    norms: ClassVar[bool] = False
    """Whether the method can sit on norms; patterns name them to such a method alone."""
    no_decay: ClassVar[frozenset[str]] = frozenset()
    """Attributes whose parameters are exempt from weight decay: those that change nothing at a
    value other than zero, which decay would pull away from the backbone."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self.site = site

    @classmethod
    def check(cls, settings: Any, sites: Mapping[str, Site]) -> None:
        """Refuse what only all sites of a graft together can show, such as a pattern in the
        settings that names none of them, or what no fresh graft should have though a file may,
        such as a rank above a site's. Called on a fresh graft, never on loading. Raises
        `GraftworkError`."""

    @classmethod
    def join(cls, adapters: Mapping[str, "Adapter"]) -> None:
        """Give the adapters of one graft, by site, what they share.

        Called once, when all of them are built and none has values from a file. A tensor that
        several use belongs to the module tree of one of them; the others hold a reference to the
        module that has it, such as an `nn.ParameterDict`, for loading replaces tensors.
        """

    def start(self, weight: Float[Tensor, "rows cols"]) -> None:
        """Set what depends on the frozen weight. Called on a fresh graft, never on loading."""

    @property
    def dtype(self) -> torch.dtype:
        """The dtype that the adapter computes in."""
        return next(self.parameters()).dtype


class WeightAdapter(Adapter):
    """An adapter that is a function of the frozen weight: W' = effective(W).

    `effective` defines the method and is enough: it is run again for the backward pass, so that
    nothing of the weight's size is kept. It must give the same result both times.

    A method that has a cheaper way than forming W' may add it, as either or both of

    - `product`, W' x + b from x alone, used where the adapter is the only one on its layer;
    - `forward`, W' x from x and the frozen output W x, used among others as well.

    A method whose W' is another one in training, by dropout, says so by `drops` and `form`.
    """

    mergeable: ClassVar[bool] = True
    additive: ClassVar[bool] = False
    """True when W' - W depends on the adapter alone. `forward` then adds to the layer's output
    whatever that is, and merging commutes with the other additive grafts of the site."""

    @abstractmethod
    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W' from the frozen W, in the dtype of W (at least the adapter's own)."""

    def drops(self) -> bool:
        """Whether a forward pass is under dropout now, so that `form` and not `effective` acts."""
        return False

    def form(self) -> Callable[[Tensor], Tensor]:
        """W' as a function of W for one forward pass: `effective`, or while `drops` what it is
        under a mask that is drawn now. It is called again for the backward pass."""
        return self.effective

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The layer's new output W' x + b, given its input x."""
        return product(self.site, x, self.forming(), tuple(self.parameters()), bias)

    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """The layer's new output, given its input x and its frozen output W x (no bias)."""
        return self.product(x, None)

    def forming(self) -> Form:
        """What makes W' in the layer's dtype for one forward pass and its backward pass."""
        return partial(self._formed, self.form())

    def _formed(self, form: Callable[[Tensor], Tensor]) -> Float[Tensor, "rows cols"]:
        weight = self.site.weight()
        wide = torch.promote_types(weight.dtype, self.dtype)
        # Autocast would take the adapter's own arithmetic to half precision.
        with torch.autocast(weight.device.type, enabled=False):
            return form(weight.to(wide)).to(weight.dtype)

    @classmethod
    def has_forward(cls) -> bool:
        """Whether the method overrides `forward`."""
        return cls.forward is not WeightAdapter.forward

    @classmethod
    def has_product(cls) -> bool:
        """Whether the method overrides `product`."""
        return cls.product is not WeightAdapter.product

    @classmethod
    def has_fast_path(cls) -> bool:
        """Whether the method has another way than forming W'."""
        return cls.has_forward() or cls.has_product()


class ActivationAdapter(Adapter):
    """An adapter whose change depends on the layer's input. It cannot be merged."""

    @abstractmethod
    def forward(self, x: Tensor, frozen: Tensor) -> Tensor:
        """The layer's new output, given its input x and its frozen output W x (no bias)."""


@dataclass(frozen=True, kw_only=True)
class Placeholder:
    """A word that stands for learned vectors in prompts."""

    word: str
    """How prompts spell it."""
    vectors: int
    """How many vectors take its place, in the order of `TokenAdapter.vectors`."""
    initial: str = ""
    """Words to start from; the adapter finds their ids in `initial_ids`."""
    opposes: str = ""
    """The placeholder that this one opposes: it takes that one's place in negative prompts."""


class TokenAdapter(Adapter):
    """Learned prompt vectors: rows that an embedding gains for new token ids.

    `placeholders` says which words of a prompt they stand for; the backbone replaces these words
    by the ids (`graftwork.nn.words`).
    """

    first_id: int
    """Token id of the first vector, set when the adapter is grafted."""
    initial_ids: Mapping[str, Sequence[int]] = {}
    """Token ids of the words that a placeholder starts from, set before `start` is called."""

    def placeholders(self) -> Sequence[Placeholder]:
        """The words for the vectors, in order; their counts add up to the number of vectors.

        None by default: the vectors are then reached by id alone.
        """
        return ()

    @abstractmethod
    def vectors(self) -> Float[Tensor, "tokens dims"]:
        """The learned vectors, one for each new token."""

    def forward(self, ids: Tensor, frozen: Tensor) -> Tensor:
        """`frozen` with the vectors in the places of the new tokens."""
        vectors = self.vectors().to(frozen.dtype)
        index = ids - self.first_id
        ours = (index >= 0) & (index < len(vectors))
        return torch.where(ours.unsqueeze(-1), vectors[index.clamp(0, len(vectors) - 1)], frozen)
