"""Scales of guidance, constant or by timestep.

A dynamic scale is written `lo-hi:shape` and is, at r = t / (T - 1),

    gamma(t) = lo + (hi - lo) f(r),    ln: r    cos: cos((r - 1) pi / 2)    cos2: 1 - cos(r pi / 2)

(the code of Dong et al. 2022, arXiv:2211.11337; there any other text is run as a program).
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

_NUMBER = r"\d+(?:\.\d*)?|\.\d+"
_FORM = re.compile(rf"\s*({_NUMBER})\s*-\s*({_NUMBER})\s*(?::\s*(\w+)\s*)?")
_SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "ln": lambda r: r,
    "cos": lambda r: torch.cos((r - 1) * math.pi / 2),
    "cos2": lambda r: 1 - torch.cos(r * math.pi / 2),
}


@dataclass(frozen=True)
class Guidance:
    """gamma(t)."""

    low: float
    """At the first timestep."""
    high: float
    """At the last timestep."""
    shape: str = "ln"
    """How it goes from one to the other."""

    @classmethod
    def parse(cls, text: float | str) -> "Guidance":
        """A number, or "lo-hi" with ":ln" (the default), ":cos" or ":cos2" behind it.

        Raises:
            ValueError: anything else.
        """
        if isinstance(text, int | float):
            return cls(float(text), float(text))
        match = _FORM.fullmatch(text)
        if match is None or (match[3] or "ln") not in _SHAPES:
            raise ValueError(
                f"guidance: {text!r} is no scale; write a number, or a range such as "
                f"'1.5-3:cos' ({', '.join(_SHAPES)})"
            )
        return cls(float(match[1]), float(match[2]), match[3] or "ln")

    @property
    def constant(self) -> bool:
        """Whether it is the same at every timestep."""
        return self.low == self.high

    def at(self, time: Float[Tensor, "batch"]) -> Float[Tensor, "batch"]:
        """gamma at r = t / (T - 1)."""
        return self.low + (self.high - self.low) * _SHAPES[self.shape](time)
