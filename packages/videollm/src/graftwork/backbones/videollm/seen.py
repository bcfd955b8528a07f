"""What a frozen tower makes of clips, made once: kept in memory up to a limit, and on disk."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from graftwork.core import atomic

Seen = Mapping[str, Tensor]
"""The tower's tensors of one clip, by name, on the CPU."""


class Store:
    """Tensors of clips by their key.

    Args:
        folder: where they are kept on disk, shared by runs and searches; None for nowhere.
        memory: how many bytes of them stay in memory; the least recently used go first.
    """

    def __init__(self, folder: Path | None, memory: int) -> None:
        self.folder, self.memory = folder, memory
        self._kept: OrderedDict[str, Seen] = OrderedDict()
        self._bytes = 0

    def __contains__(self, key: str) -> bool:
        path = self._path(key)
        return key in self._kept or (path is not None and path.is_file())

    def get(self, key: str, make: Callable[[], Seen]) -> Seen:
        """What is kept under a key, or else what `make` gives, which is kept from then on."""
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            return found
        found = self._read(key)
        if found is None:
            found = make()
            self._write(key, found)
        self._keep(key, found)
        return found

    def put(self, key: str, seen: Seen) -> None:
        """Keep what is already made."""
        self.get(key, lambda: seen)

    def _keep(self, key: str, seen: Seen) -> None:
        self._kept[key] = seen
        self._bytes += size(seen)
        while self._bytes > self.memory and len(self._kept) > 1:
            _, gone = self._kept.popitem(last=False)
            self._bytes -= size(gone)

    def _path(self, key: str) -> Path | None:
        return None if self.folder is None else self.folder / key[:2] / f"{key}.safetensors"

    def _read(self, key: str) -> Seen | None:
        path = self._path(key)
        if path is None or not path.is_file():
            return None
        try:
            found: Seen = load_file(path)
        except SafetensorError:  # another process was stopped while it wrote, or a disk is full
            return None
        return found

    def _write(self, key: str, seen: Seen) -> None:
        path = self._path(key)
        if path is not None:
            atomic.write_bytes(path, save({n: t.contiguous() for n, t in seen.items()}))


def size(seen: Seen) -> int:
    """Bytes of all tensors."""
    return sum(tensor.numel() * tensor.element_size() for tensor in seen.values())
