"""`graftwork merge`, `compose` and `resize`: adapters into weights, into one, into a lower rank."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from graftwork.core.errors import GraftworkError


def merge(
    adapters: tuple[Path, ...],
    /,
    *,
    out: Path,
    weights: tuple[float, ...] = (),
    run: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Fold adapters into their backbone and write it as a plain model.

    Args:
        adapters: runs, adapters' folders, or files of other tools.
        out: the folder to write, as the backbone's own library loads it.
        weights: how strongly each acts; as it was saved by default.
        run: a run or run file with the backbone; or name one as `--backbone.kind tiny-sd`.
        overrides: settings of the backbone.
    """
    from graftwork.nn.merging_together import merge_together
    from graftwork.train import places
    from graftwork.train.run import refuse_taken

    places.refuse_others(overrides, known=("backbone",), command="merge")
    found = places.locate_all(adapters, weights, command="merge")
    refuse_taken(out, resumable=False)
    backbone = places.open_backbone(found, run=run, overrides=overrides)
    merge_together(places.load(found, backbone))
    backbone.save(out)
    print(f"wrote {out}: the backbone with {len(found)} adapter(s) folded in")


def compose(
    adapters: tuple[Path, ...],
    /,
    *,
    out: Path,
    weights: tuple[float, ...] = (),
    how: Literal["concatenate", "svd", "linear"] = "concatenate",
    rank: int | None = None,
    run: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Write one LoRA that does what several adapters do together.

    Args:
        adapters: runs, adapters' folders, or files of other tools.
        out: the adapter's folder to write.
        weights: how strongly each acts; as it was saved by default.
        how: concatenate (exact), svd (the best of one rank) or linear (of the factors).
        rank: the LoRA's rank, for svd; the largest of theirs by default.
        run: a run or run file with the backbone; or name one as `--backbone.kind tiny-sd`.
        overrides: settings of the backbone.
    """
    from graftwork.nn.branches import shared
    from graftwork.nn.composing import composition
    from graftwork.nn.factors import graft_factors
    from graftwork.train import places
    from graftwork.train.run import refuse_taken

    places.refuse_others(overrides, known=("backbone",), command="compose")
    _refuse_rank(rank)
    found = places.locate_all(adapters, weights, command="compose")
    refuse_taken(out, resumable=False)
    backbone = places.open_backbone(found, run=run, overrides=overrides)
    handles = places.load(found, backbone)
    composed = composition(handles, how=how, rank=rank)
    for handle in handles:
        handle.detach()
    together = graft_factors(backbone.module, composed.factors, place="compose")
    together.branch = shared(handles)
    together.save(out)
    print(f"wrote {out}, relative error {composed.error:.2e}")


def resize(
    adapter: Path,
    /,
    *,
    out: Path,
    rank: int | None = None,
    energy: float | None = None,
    run: Path | None = None,
    overrides: tuple[str, ...] = (),
) -> None:
    """Write an adapter as a LoRA (a DoRA stays one) of another rank, the best there is.

    Args:
        adapter: a run, an adapter's folder, or a file of another tool.
        out: the adapter's folder to write.
        rank: the rank.
        energy: in its place, the share of the squared change that every site has to keep.
        run: a run or run file with the backbone; or name one as `--backbone.kind tiny-sd`.
        overrides: settings of the backbone.
    """
    from graftwork.nn.approximating import reranked
    from graftwork.nn.factors import graft_factors
    from graftwork.train import places
    from graftwork.train.run import refuse_taken

    places.refuse_others(overrides, known=("backbone",), command="resize")
    _refuse_rank(rank)
    if (rank is None) == (energy is None):
        raise GraftworkError("resize: give --rank or --energy, and not both")
    if energy is not None and not 0 < energy <= 1:
        raise GraftworkError(f"--energy: expected a share above 0 and up to 1, got {energy:g}")
    place = places.locate(adapter)
    refuse_taken(out, resumable=False)
    backbone = places.open_backbone([place], run=run, overrides=overrides)
    (handle,) = places.load([place], backbone)
    cut = reranked(handle, rank=rank, energy=energy)
    handle.detach()
    resized = graft_factors(backbone.module, cut.factors, place="resize")
    resized.branch = handle.branch
    resized.save(out)
    print(f"wrote {out}: {resized.method} of rank {resized.settings.rank}")
    print(kept(cut.energy, cut.error))


def kept(energy: Mapping[str, float], error: float) -> str:
    """The energy kept, over all sites and where it is least."""
    worst = min(energy, key=lambda site: energy[site])
    return (
        f"energy kept: {1 - error**2:.4f} in all, {energy[worst]:.4f} at the worst site "
        f"({worst}); relative error {error:.2e}"
    )


def _refuse_rank(rank: int | None) -> None:
    if rank is not None and rank < 1:
        raise GraftworkError(f"--rank: expected at least 1, got {rank}")
