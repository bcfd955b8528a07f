"""Grafts with given values, as files of other tools hold them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn.grafting import graft
from graftwork.nn.handle import Graft


def graft_tensors(
    model: nn.Module,
    method: str,
    settings: Mapping[str, Any],
    tensors: Mapping[str, Mapping[str, Tensor]],
    *,
    place: str | Path,
    name: str = "default",
    weight: float | None = None,
) -> Graft:
    """Graft a method on the sites of `tensors` and give its parameters these values.

    Args:
        model: the backbone.
        method: name of the adapter.
        settings: its settings.
        tensors: the parameters and buffers of every site, by the method's own names.
        place: where they come from, for errors.
        name: the graft's name on the model.
        weight: how strongly it acts; 1 if absent.

    Raises:
        GraftworkError: a site is missing from the model, or a tensor is missing, unknown or of
            another shape. The model is then as it was.
    """
    try:
        handle = graft(
            model,
            method,
            settings,
            sites=list(tensors),
            name=name,
            weight=1.0 if weight is None else weight,
        )
    except GraftworkError as error:
        raise GraftworkError(f"{place}: {error}") from error
    try:
        handle.load_state_dict(
            {
                f"{site}.{key}": tensor
                for site, own in tensors.items()
                for key, tensor in own.items()
            }
        )
    except GraftworkError as error:
        handle.detach()
        raise GraftworkError(f"{place}: made for another model ({error})") from error
    return handle
