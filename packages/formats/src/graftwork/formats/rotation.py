"""OFT in files (Qiu et al. 2023, arXiv:2306.07280). The two libraries rotate different sides.

    PEFT     oft_R.weight (blocks, b (b - 1) / 2)   the upper triangles of Q; the input side,
                                                    exact or by five terms of the series
    LyCORIS  oft_blocks   (blocks, b, b)            B, Q = B - B^T; the output side, exact
             alpha        ()                        the constraint, 0 for none
             rescale      (out, 1[, 1, 1])          a length for each row (only 1 is read)

graftwork's `oft` is either, by its setting `side`; neither file can hold the other.
"""

from collections.abc import Iterable, Mapping
from math import isqrt
from typing import Any

import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.formats.layers import Leaves, fits, need
from graftwork.formats.peft_config import version
from graftwork.nn import Graft, Site
from graftwork.nn.adapter import Adapter
from graftwork.nn.forms import Content

LYCORIS_LEAVES = frozenset({"oft_blocks", "rescale", "alpha"})
PEFT_LEAVES = frozenset({"oft_R.weight"})


def refuse(handle: Graft, *, side: str, format: str) -> None:
    """Refuse a rotation of the other side, and a part of one.

    Raises:
        GraftworkError: the format cannot hold this graft.
    """
    settings = handle.settings
    if settings.side != side:
        raise GraftworkError(
            f"format '{format}': holds oft of the {side} side, and this one's is the "
            f"{settings.side} side; set convert, or use "
            f"{'peft' if format == 'lycoris' else 'lycoris'}"
        )
    if handle.weight != 1.0:
        raise GraftworkError(
            f"format '{format}': a rotation at weight {handle.weight:g} is none; set the graft's "
            "weight to 1, or set convert"
        )


def refuse_kernels(adapters: Iterable[Adapter]) -> None:
    """Refuse convolutions that look at more than a point.

    PEFT 0.21 rotates their patches and adds the overlapping ones up again before it convolves,
    which is another function than the weight that it merges; ours is the merged one.

    Raises:
        GraftworkError: there is such a convolution.
    """
    for site in (adapter.site for adapter in adapters):
        if site.frozen().shape[2:].numel() > 1:
            raise GraftworkError(
                f"format 'peft': PEFT gives another output for oft on the kernel of '{site.name}' "
                "than for its merged weight; leave it out of the sites, or set convert"
            )


def lycoris_leaves(adapter: Adapter, settings: Any) -> dict[str, Tensor]:
    """The tensors of one layer for LyCORIS.

    Raises:
        GraftworkError: the blocks are larger than LyCORIS can load.
    """
    entries, site = adapter.state_dict()["entries"].detach(), adapter.site
    size = _size(entries)
    if size > site.rows // size:
        # It splits the side into two factors and takes the smaller for the size of its blocks.
        raise GraftworkError(
            f"format 'lycoris': '{site.name}' has {site.rows // size} blocks of {size}, and "
            f"LyCORIS loads blocks up to {isqrt(site.rows)} here; set convert = 'diff'"
        )
    upper = entries.new_zeros(len(entries), size, size)
    rows, cols = torch.triu_indices(size, size, 1)
    upper[:, rows, cols] = entries
    return {"oft_blocks": upper, "alpha": torch.tensor(settings.constraint or 0.0)}


def read_lycoris(found: Mapping[str, Leaves], sites: Mapping[str, Site], file: str) -> Content:
    """An OFT from the layers of a LyCORIS file.

    Raises:
        GraftworkError: rows are rescaled, or the blocks or constraints differ between layers.
    """
    tensors, limits = {}, set()
    for site, own in found.items():
        (blocks,) = need(own, ("oft_blocks",), f"{file}: '{site}'")
        if "rescale" in own and (own["rescale"] != 1).any():
            raise GraftworkError(
                f"{file}: '{site}' rescales its rows after the rotation, which graftwork's oft "
                "does not; merge it with LyCORIS"
            )
        skew = blocks - blocks.mT
        rows, cols = torch.triu_indices(blocks.shape[1], blocks.shape[1], 1)
        tensors[site] = {"entries": skew[:, rows, cols]}
        limits.add(float(own["alpha"]) if "alpha" in own else 0.0)
    if len(limits) > 1:
        raise GraftworkError(f"{file}: its layers have different constraints; split the file")
    limit = limits.pop()
    settings = {"side": "output", "cayley": "exact"} | ({"constraint": limit} if limit else {})
    return _with_size(tensors, settings, sites, file)


def peft_leaves(adapter: Adapter, settings: Any) -> dict[str, Tensor]:
    """The tensors of one layer for PEFT, which has no constraint of ours: it is applied."""
    entries = adapter.state_dict()["entries"].detach()
    if settings.constraint is not None:
        norm, limit = (2 * entries.square().sum()).sqrt(), settings.constraint * adapter.site.cols
        entries = entries * (limit / norm.clamp_min(limit))
    return {"oft_R.weight": entries}


def peft_fields(settings: Any) -> dict[str, Any]:
    """The method's fields of PEFT's configuration. The flag tells the sense of the rotation."""
    return {
        "peft_version": "0.18.0",  # where the series got its present terms
        "bias": "none",
        "r": 0,
        "oft_block_size": settings.block_size,
        "use_cayley_neumann": settings.cayley == "neumann",
        "num_cayley_neumann_terms": 5,
        "block_share": False,
        "coft": False,
    }


def read_peft(
    found: Mapping[str, Leaves],
    config: Mapping[str, Any],
    sites: Mapping[str, Site],
    file: str,
) -> Content:
    """An OFT from the layers of a PEFT file and its configuration.

    Raises:
        GraftworkError: the configuration says what graftwork's oft does not do.
    """
    if config.get("coft"):
        raise GraftworkError(
            f"{file}: 'coft' constrains the rotation in another way than graftwork's oft; set it "
            "to false if training is over, for the stored numbers are already constrained"
        )
    neumann = bool(config.get("use_cayley_neumann"))
    if neumann and config.get("num_cayley_neumann_terms", 5) != 5:
        raise GraftworkError(f"{file}: num_cayley_neumann_terms: only 5 are known; merge with PEFT")
    if neumann and version(config.get("peft_version")) < (0, 18):
        raise GraftworkError(
            f"{file}: its series is that of PEFT before 0.18, which had other terms; merge it "
            "with the PEFT that made it"
        )
    tensors = {}
    for site, own in found.items():
        (entries,) = need(own, ("oft_R.weight",), f"{file}: '{site}'")
        if config.get("block_share"):
            entries = entries.expand(sites[site].cols // _size(entries), -1)
        tensors[site] = {"entries": entries}
    settings = {"side": "input", "cayley": "neumann" if neumann else "exact"}
    return _with_size(tensors, settings, sites, file)


def _with_size(
    tensors: Mapping[str, Mapping[str, Tensor]],
    settings: Mapping[str, Any],
    sites: Mapping[str, Site],
    file: str,
) -> Content:
    """The content with the block size that gives these shapes at every site."""
    sizes = sorted({_size(own["entries"]) for own in tensors.values()})
    # A size that some layer has comes first; a setting between them may be what gives all.
    for size in sorted(range(2, 2 * sizes[-1] + 1), key=lambda size: (size not in sizes, -size)):
        content = Content(method="oft", settings={**settings, "block_size": size}, tensors=tensors)
        if fits(content, sites):
            return content
    raise GraftworkError(
        f"{file}: no block size of oft gives blocks of {' and '.join(map(str, sizes))} at these "
        "layers; merge it with the tool that wrote it"
    )


def _size(entries: Tensor) -> int:
    """b, from the b (b - 1) / 2 entries of a triangle."""
    return (1 + isqrt(1 + 8 * entries.shape[1])) // 2
