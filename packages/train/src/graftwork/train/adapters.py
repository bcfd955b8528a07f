"""The adapters of a run: grafts on one backbone that are trained, kept and judged together."""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, load_graft
from graftwork.nn.card import CARD
from graftwork.train.adapter_tables import folders


@dataclass(frozen=True)
class Adapters:
    """One graft, or several under their names.

    One is kept as it is: its folder is an adapter's, its tensors have their own names. Of several,
    every one has a folder of its name, and its name before those of its tensors.
    """

    grafts: Mapping[str, Graft]

    def parameters(self) -> Iterator[nn.Parameter]:
        """All that trains."""
        return (parameter for handle in self.grafts.values() for parameter in handle.parameters())

    def counts(self) -> dict[str, int]:
        """How many numbers train in each adapter."""
        return {name: handle.num_parameters() for name, handle in self.grafts.items()}

    def num_parameters(self) -> int:
        """How many numbers train."""
        return sum(self.counts().values())

    def train(self, mode: bool = True) -> None:
        """Switch the adapters between training and evaluation (dropout)."""
        for handle in self.grafts.values():
            handle.train(mode)

    @contextlib.contextmanager
    def disabled(self) -> Iterator[None]:
        """The backbone without them, for the length of a `with` block."""
        with contextlib.ExitStack() as stack:
            for handle in self.grafts.values():
                stack.enter_context(handle.disabled())
            yield

    def weigh(self, weight: float) -> None:
        """Let them act at a weight.

        Learned words beside other adapters stay whole unless it is 0: they know nothing between.
        """
        for handle in self.grafts.values():
            whole = weight and len(self.grafts) > 1 and handle.spec.family == "token"
            handle.weight = 1.0 if whole else weight

    def state_dict(self) -> dict[str, Tensor]:
        """Parameters and buffers of all adapters."""
        return {
            f"{prefix}{key}": tensor
            for prefix, handle in self._by_prefix()
            for key, tensor in handle.state_dict().items()
        }

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy values into the adapters. Every key must be there, and no other.

        Raises:
            GraftworkError: a key is missing or unknown, or a shape differs.
        """
        prefixes = tuple(prefix for prefix, _ in self._by_prefix())
        stray = next((key for key in tensors if not key.startswith(prefixes)), None)
        if stray is not None:
            raise GraftworkError(f"{stray}: of no adapter of this run; its names differ")
        for prefix, handle in self._by_prefix():
            own = {
                key.removeprefix(prefix): tensor
                for key, tensor in tensors.items()
                if key.startswith(prefix)
            }
            handle.load_state_dict(own)

    def save(self, folder: Path) -> None:
        """Write a folder that `load` reads, whole or not at all; an older one is replaced."""
        if len(self.grafts) == 1:
            next(iter(self.grafts.values())).save(folder)
            return
        ours = folder.is_dir() and all((inner / CARD).is_file() for inner in folder.iterdir())
        with atomic.folder(folder, replace=ours) as target:
            for name, handle in self.grafts.items():
                handle.save(target / name)

    @classmethod
    def load(cls, module: nn.Module, folder: Path, names: tuple[str, ...]) -> "Adapters":
        """Put what `save` wrote on a model.

        Raises:
            GraftworkError: one of them is missing, damaged or made for another model.
        """
        places = folders(folder, names)
        return cls({name: load_graft(module, place, name=name) for name, place in places.items()})

    def _by_prefix(self) -> list[tuple[str, Graft]]:
        if len(self.grafts) == 1:
            return [("", handle) for handle in self.grafts.values()]
        return [(f"{name}/", handle) for name, handle in self.grafts.items()]
