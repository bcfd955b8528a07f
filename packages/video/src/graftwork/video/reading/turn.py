"""Pictures that are stored lying or mirrored, as phones do, put upright."""

import math
import struct
from dataclasses import dataclass
from typing import final

import numpy as np
from jaxtyping import UInt8


@final
@dataclass(frozen=True)
class Turn:
    """What makes a stored picture upright: rows and columns exchanged first, mirrored then."""

    transposed: bool = False
    left_right: bool = False
    up_down: bool = False

    @classmethod
    def of(cls, matrix: bytes) -> "Turn":
        """From the display matrix of a film: (a b u; c d v; x y w), nine 32-bit integers.

        It puts the pixel at (x, y) to (a x + c y, b x + d y).

        Raises:
            ValueError: it turns by something else than quarters.
        """
        a, b, _, c, d = struct.unpack("=9i", matrix[:36])[:5]
        if abs(a) + abs(d) > 100 * (abs(b) + abs(c)):
            return cls(False, a < 0, d < 0)
        if abs(b) + abs(c) > 100 * (abs(a) + abs(d)):
            return cls(True, c < 0, b < 0)
        raise ValueError(f"shown turned by {math.degrees(math.atan2(b, a)):.0f} degrees")

    def size(self, stored: tuple[int, int]) -> tuple[int, int]:
        """Rows and columns, upright, of a picture of that many; its own inverse."""
        height, width = stored
        return (width, height) if self.transposed else (height, width)

    def upright(
        self, picture: UInt8[np.ndarray, "rows columns 3"]
    ) -> UInt8[np.ndarray, "height width 3"]:
        """The picture upright: a view of the same memory."""
        turned = picture.swapaxes(0, 1) if self.transposed else picture
        return turned[:: -1 if self.up_down else 1, :: -1 if self.left_right else 1]
