"""Where a search may look for a setting's value."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Search:
    """The range of one setting: ``Search(4, 64, log=True)`` or ``Search(choices=(1, 2, 4))``.

    Both ends belong to the range. ``log`` spreads the tries evenly over orders of magnitude.
    """

    low: float | None = None
    """Smallest value to try."""

    high: float | None = None
    """Largest value to try."""

    log: bool = False
    """Whether to draw from a log-uniform distribution; needs ``low > 0``."""

    choices: tuple[Any, ...] = ()
    """The values to try, instead of a range."""

    def __post_init__(self) -> None:
        if self.choices:
            if self.low is not None or self.high is not None or self.log:
                raise ValueError("Search takes a range or choices, not both")
        elif self.low is None or self.high is None:
            raise ValueError("Search needs low and high, or choices")
        elif not self.low < self.high:
            raise ValueError(f"Search needs low < high, got {self.low} and {self.high}")
        elif self.log and self.low <= 0:
            raise ValueError(f"Search with log=True needs low > 0, got {self.low}")

    def as_dict(self) -> dict[str, Any]:
        """The part that was given, as JSON."""
        if self.choices:
            return {"choices": list(self.choices)}
        return {"low": self.low, "high": self.high, "log": self.log}

    def __str__(self) -> str:
        if self.choices:
            return " | ".join(map(str, self.choices))
        return f"{self.low:g} .. {self.high:g}{' (log)' if self.log else ''}"
