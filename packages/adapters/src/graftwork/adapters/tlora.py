"""TLoRA: the weight transformed on its input side by a tensor-ring matrix, plus a residual."""

import math
from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from graftwork.adapters.factorising import factorise
from graftwork.adapters.low_rank import refuse_rank
from graftwork.adapters.residual import LowRankResidual, Residual, RingResidual
from graftwork.adapters.ring_identity import broken_identity_cores, identity_cores
from graftwork.adapters.ring_product import ring_product
from graftwork.adapters.tlora_product import TransformedProduct, worthwhile
from graftwork.core.config import Ge, Gt, Search, config
from graftwork.core.errors import GraftworkError
from graftwork.nn import Site, WeightAdapter
from graftwork.nn.product import in_layer_dtype, plain_autograd


@config
class TLoRAConfig:
    """Settings of TLoRA. The paper writes TLoRA(a, b) for a transform of rank a and a tensor-ring
    residual of rank b, TLoRA*(a, b) for one with a low-rank residual."""

    transform_rank: Annotated[int, Ge(0), Search(1, 4)] = 2
    """R of the transform's tensor ring; 1 is one Kronecker product, 0 leaves the transform out.
    Each site has R^2 sum(I_d^2) numbers for it."""

    residual: Annotated[
        Literal["lora", "tensor-ring", "none"], Search(choices=("lora", "tensor-ring"))
    ] = "lora"
    """What is added to the transformed weight: a low-rank product, one whose factors are tensor
    rings themselves (of rank `rank` squared, in far fewer numbers), or nothing."""

    rank: Annotated[int, Ge(1), Search(1, 32, log=True)] = 4
    """R of the residual. At most the smaller side of the smallest site."""

    alpha: Annotated[float, Gt(0), Search(0.25, 16, log=True)] = 1.0
    """Numerator of the residual's scale alpha / sqrt(rank)."""

    init: Literal["broken-symmetry", "paper"] = "broken-symmetry"
    """Cores of the identity that the transform starts as. In the paper's all slices of a core are
    equal and stay so: at any rank it trains what `transform_rank = 1` does."""

    factors: tuple[tuple[Annotated[int, Ge(1)], ...], ...] = ()
    """Factorisations to use in place of ours, such as [[5, 8, 8], [6, 8, 16]] for the sizes 320
    and 768: each serves every row or column count that is its product."""

    def __post_init__(self) -> None:
        if not self.transform_rank and self.residual == "none":
            raise ValueError("nothing would train; set transform_rank above 0, or a residual")
        sizes = [math.prod(each) for each in self.factors]
        for each, size in zip(self.factors, sizes, strict=True):
            if len(each) < 2:
                raise ValueError(f"factors: {list(each)} is no product; give two or more")
            if sizes.count(size) > 1:
                raise ValueError(f"factors: {size} is factorised twice; keep one")


class TLoRA(WeightAdapter):
    """W' = W T + (alpha / sqrt(R)) Delta  (Tao et al. 2025, arXiv:2501.08727).

    Shapes: W and Delta (rows, cols), T (cols, cols). With cols = I_1 ... I_D and big-endian
    indices,

        T[(i1..iD), (j1..jD)] = trace(A1[i1,j1] ... AD[iD,jD]),   A^d (I_d, I_d, R, R).

    T starts as the identity and Delta as zero.

    The transform, the two residuals and the scale are the paper's and its code's. Ours are: the
    start that breaks the symmetry between a core's slices; matrices of convolutions, whose columns
    are input channels and kernel positions together; and that the transform is exempt from weight
    decay, which would pull T to 0 and not to the identity. The paper's optional penalty on the
    distance from the identity is left out: its own trainer does without, and it is a loss, which
    does not belong into an adapter. Not to be confused with T-LoRA (arXiv:2507.05964), whose rank
    depends on the timestep.
    """

    no_decay: ClassVar[frozenset[str]] = frozenset({"cores"})

    def __init__(self, site: Site, settings: TLoRAConfig) -> None:
        super().__init__(site)
        self.scale = settings.alpha / math.sqrt(settings.rank)
        cols = factorise(site.cols, settings.factors)
        self.cores = nn.ParameterList()
        """A^d; empty without a transform."""
        if settings.transform_rank:
            _refuse_embedding(site)
            start = identity_cores if settings.init == "paper" else broken_identity_cores
            self.cores.extend(start(cols, settings.transform_rank))
        self.residual: Residual | None = None
        """Delta's factors; None without a residual."""
        if settings.residual == "lora":
            refuse_rank(settings.rank, site)
            self.residual = LowRankResidual(site.rows, site.cols, settings.rank)
        elif settings.residual == "tensor-ring":
            refuse_rank(settings.rank, site)
            rows = factorise(site.rows, settings.factors)
            self.residual = RingResidual(rows, cols, settings.rank)

    @classmethod
    def check(cls, settings: TLoRAConfig, sites: Mapping[str, Site]) -> None:
        """Refuse a factorisation that is for none of the sites."""
        sizes = {site.cols for site in sites.values()}
        if settings.residual == "tensor-ring":
            sizes |= {site.rows for site in sites.values()}
        for factors in settings.factors:
            if math.prod(factors) not in sizes:
                raise GraftworkError(
                    f"adapter.factors: {list(factors)} makes {math.prod(factors)}, and no site "
                    f"has that size; sizes here: {', '.join(map(str, sorted(sizes)))}"
                )

    def effective(self, weight: Float[Tensor, "rows cols"]) -> Float[Tensor, "rows cols"]:
        """W T + (alpha / sqrt(R)) Delta."""
        if len(self.cores):
            weight = ring_product(weight, [core.transpose(0, 1) for core in self.cores])
        if self.residual is not None:
            down, up = self.residual.factors()
            weight = weight + self.scale * up @ down
        return weight

    def product(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """W (T x) + b + (alpha / sqrt(R)) B (A x), where that is less work than W T."""
        if not self._by_input(x):
            return super().product(x, bias)
        x = in_layer_dtype(x)
        down, up = self._residual(x)
        flat = x.reshape(-1, x.shape[-1])
        y = TransformedProduct.apply(flat, self.site.weight(), bias, down, up, *self.cores)
        return y.view(*x.shape[:-1], -1)

    def _by_input(self, x: Tensor) -> bool:
        site, cores = self.site, list(self.cores)
        if plain_autograd() or site.frozen().requires_grad or site.kind != "linear" or not cores:
            return False
        return worthwhile(x.shape[:-1].numel(), site.rows, cores)

    def _residual(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """A and (alpha / sqrt(R)) B."""
        if self.residual is None:
            return None, None
        with torch.autocast(x.device.type, enabled=False):
            down, up = self.residual.factors()
            return down, self.scale * up


def _refuse_embedding(site: Site) -> None:
    if site.kind == "embedding":
        raise GraftworkError(
            f"tlora: '{site.name}' is an embedding, whose columns are tokens, and a transform "
            "would mix tokens at random; set transform_rank = 0 for the residual alone, or leave "
            f"the site out with '!{site.name}' in sites"
        )
