"""The factors of a low-rank change, which LoRA files of every layout hold."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn.filling import graft_tensors
from graftwork.nn.handle import Graft

METHODS = ("lora", "dora")
"""The adapters whose parameters `down`, `up` and `magnitude` are A, B and m."""


@dataclass(frozen=True, kw_only=True)
class Factors:
    """The change of one site: scale B A, and the magnitude of DoRA (arXiv:2402.09353)."""

    down: Float[Tensor, "rank cols"]
    """A."""
    up: Float[Tensor, "rows rank"]
    """B."""
    scale: float = 1.0
    """What multiplies B A."""
    magnitude: Float[Tensor, "rows"] | None = None
    """m of DoRA."""

    @property
    def rank(self) -> int:
        """Rows of A."""
        return len(self.down)

    @property
    def alpha(self) -> int | float:
        """scale * rank."""
        return alpha(self.scale, self.rank)


def factors(handle: Graft, weight: float | None = None) -> dict[str, Factors]:
    """The factors of a LoRA or DoRA by site, with a weight folded into B.

    Args:
        handle: the graft.
        weight: how strongly it is to act; by default as it does.

    Raises:
        GraftworkError: another method, or DoRA at a weight other than 1, which has no such form.
    """
    weight = handle.weight if weight is None else weight
    if handle.method not in METHODS:
        raise GraftworkError(f"{handle.method} has no low-rank factors; use lora or dora")
    if handle.method == "dora" and weight != 1.0:
        raise GraftworkError(f"dora at weight {weight:g} is no dora; set the graft's weight to 1")
    found = {}
    for name, adapter in handle.sites.items():
        own = {key: tensor.detach() for key, tensor in adapter.state_dict().items()}
        found[name] = Factors(
            down=own["down"],
            up=own["up"] * weight,
            scale=float(adapter.scale),  # type: ignore[arg-type]
            magnitude=own.get("magnitude"),
        )
    return found


def graft_factors(
    model: nn.Module,
    found: Mapping[str, Factors],
    *,
    place: str | Path,
    name: str = "default",
    weight: float | None = None,
) -> Graft:
    """A LoRA, or a DoRA when there are magnitudes, with these factors.

    Sites of lower rank are padded to the largest with zeros, which changes nothing; scales that
    differ are folded into B.

    Args:
        model: the backbone.
        found: the factors by site.
        place: where they come from, for errors.
        name: the graft's name on the model.
        weight: how strongly it acts; 1 if absent.

    Raises:
        GraftworkError: a site is missing or of another shape, or only some have a magnitude. The
            model is then as it was.
    """
    method = _method(found, place)
    first = next(iter(found.values())).scale
    rank, scale = max(one.rank for one in found.values()), first if first > 0 else 1.0
    tensors = {site: _padded(one, rank=rank, scale=scale) for site, one in found.items()}
    settings = {"rank": rank, "alpha": alpha(scale, rank)}
    return graft_tensors(model, method, settings, tensors, place=place, name=name, weight=weight)


def alpha(scale: float, rank: int) -> int | float:
    """scale * rank without the rounding of the product: 3, not 3.0000000000000004."""
    value = float(f"{scale * rank:.12g}")
    return int(value) if value.is_integer() else value


def _method(found: Mapping[str, Factors], place: str | Path) -> str:
    with_magnitude = [name for name, one in found.items() if one.magnitude is not None]
    if with_magnitude and len(with_magnitude) < len(found):
        raise GraftworkError(
            f"{place}: holds LoRA and DoRA ('{with_magnitude[0]}') at once; split it into two files"
        )
    return "dora" if with_magnitude else "lora"


def _padded(one: Factors, *, rank: int, scale: float) -> dict[str, Tensor]:
    pad = rank - one.rank
    up = one.up if one.scale == scale else one.up * (one.scale / scale)
    tensors = {
        "down": nn.functional.pad(one.down, (0, 0, 0, pad)),
        "up": nn.functional.pad(up, (0, pad)),
    }
    return tensors if one.magnitude is None else tensors | {"magnitude": one.magnitude}
