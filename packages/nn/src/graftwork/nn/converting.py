"""What a LoRA-shaped file can hold of a graft, and how the rest is turned into it."""

from typing import Annotated, Literal

from graftwork.core.config import Ge, config
from graftwork.core.errors import GraftworkError
from graftwork.nn.approximating import Approximation, reranked
from graftwork.nn.factors import METHODS, factors
from graftwork.nn.handle import Graft


@config
class SVDConfig:
    """Settings of a format that holds low-rank factors only."""

    convert: Literal["svd"] | None = None
    """What to do with a method that the format has no form for: "svd" writes the best LoRA of
    `rank`, which is an approximation; absent refuses it."""

    rank: Annotated[int, Ge(1)] | None = None
    """Rank of the LoRA that "svd" writes."""

    def __post_init__(self) -> None:
        check_rank(self.convert, self.rank)


@config
class ConvertConfig:
    """Settings of a format that holds factors, and whole differences too."""

    convert: Literal["diff", "svd"] | None = None
    """What to do with a method that the format has no form for: "diff" writes W' - W itself,
    exact and as large as the layers; "svd" the best LoRA of `rank`, which is an approximation;
    absent refuses it."""

    rank: Annotated[int, Ge(1)] | None = None
    """Rank of the LoRA that "svd" writes."""

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"
    """What the numbers are rounded to."""

    def __post_init__(self) -> None:
        check_rank(self.convert, self.rank)


def check_rank(convert: str | None, rank: int | None) -> None:
    """Refuse a rank that nothing uses, and "svd" without one."""
    if convert == "svd" and rank is None:
        raise ValueError("convert: 'svd' needs a rank; set rank, such as 8")
    if convert != "svd" and rank is not None:
        raise ValueError("rank: is for convert = 'svd' alone; set that too, or leave it out")


def low_rank(
    handle: Graft,
    settings: SVDConfig | ConvertConfig,
    *,
    format: str,
    holds: str = "lora and dora",
) -> Approximation:
    """A LoRA or DoRA as it is, and any other method by "svd" if the settings say so.

    Raises:
        GraftworkError: the format has no form for the method, or for DoRA at its weight.
    """
    if settings.convert == "svd":
        return reranked(handle, rank=settings.rank)
    if handle.method not in METHODS:
        raise GraftworkError(
            f"format '{format}': holds {holds}, and {handle.method} is none of them; set convert "
            "= 'svd' with a rank (an approximation), or convert = 'diff' in 'kohya' or 'lycoris' "
            "(exact), or keep graftwork's own files (`save`)"
        )
    try:
        own = factors(handle)
    except GraftworkError as error:
        raise GraftworkError(f"format '{format}': {error}") from error
    return Approximation(factors=own, energy=dict.fromkeys(own, 1.0), error=0.0)
