"""A clip in memory."""

from dataclasses import dataclass
from typing import final

from jaxtyping import UInt8
from torch import Tensor


@final
@dataclass(frozen=True, eq=False)
class Clip:
    """The frames of a clip that a backbone looks at."""

    name: str
    """What errors call it."""
    frames: UInt8[Tensor, "time 3 height width"]
    """In RGB."""
    times: tuple[float, ...]
    """When each is shown, in seconds from the beginning."""

    def __len__(self) -> int:
        return len(self.times)

    def reversed(self) -> "Clip":
        """The same, played backwards."""
        times = tuple(self.times[-1] - time for time in reversed(self.times))
        return Clip(self.name, self.frames.flip(0), times)
