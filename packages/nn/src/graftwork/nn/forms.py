"""How a format of another tool holds a method that the format itself does not know.

An adapter's record names a form for the format, as `AdapterSpec(..., forms={"peft":
"my_package.peft:MyForm"})`; the format asks `forms` for those of its name. So a method and its
place in PEFT's files come in one plugin.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from graftwork.core import registry
from graftwork.core.records import AdapterSpec
from graftwork.nn.adapter import Adapter
from graftwork.nn.handle import Graft
from graftwork.nn.site import Site


@dataclass(frozen=True, kw_only=True)
class Held:
    """A graft in a file's own terms."""

    layers: Mapping[str, Mapping[str, Tensor]]
    """By the file's name for a layer, its tensors by the last part of their keys."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What the file says besides; for PEFT the method's part of adapter_config.json."""


@dataclass(frozen=True, kw_only=True)
class Content:
    """What a file holds, in graftwork's own names."""

    method: str
    """The adapter."""
    settings: Mapping[str, Any]
    """Its settings."""
    tensors: Mapping[str, Mapping[str, Tensor]]
    """Its parameters at every site, or by the file's name for the layer."""


class Form(ABC):
    """A method in the files of one format. Made without arguments.

    What the file cannot hold is refused by a `GraftworkError`, and never written as something
    else.
    """

    kind: ClassVar[str]
    """The file's word for the method; for PEFT the `peft_type`."""
    leaves: ClassVar[frozenset[str]]
    """The last parts of the method's keys, such as "ia3_l"."""

    @abstractmethod
    def write(self, handle: Graft, adapters: Mapping[str, Adapter]) -> Held:
        """A graft in the file's terms, its weight folded in.

        Args:
            handle: the graft.
            adapters: those that are written, by the file's name for their layer.

        Raises:
            GraftworkError: the file has no place for the settings, a site or the weight.
        """

    @abstractmethod
    def read(self, held: Held, sites: Mapping[str, Site], place: str) -> Content:
        """The graft that a file holds, by the file's names for the layers.

        Args:
            held: the file. Of its keys only those of `leaves` are there.
            sites: the site of every layer.
            place: the file, for errors.

        Raises:
            GraftworkError: a tensor is missing, or a field says what the method does not do.
        """


def forms(format: str) -> dict[str, Form]:
    """The forms of a format that installed plugins bring, by the name of the adapter."""
    found = {}
    for record in registry.records("adapters"):
        assert isinstance(record, AdapterSpec)
        if format in (record.forms or ()):
            found[record.name] = record.load_form(format)()
    return found
