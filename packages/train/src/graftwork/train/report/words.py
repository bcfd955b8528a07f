"""Numbers and names as a person reads them."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

NOTHING = "–"
_KNOWN = {"kps": "KPS", "lr": "learning rate", "gradient_norm": "gradient norm"}


def finite(value: Any) -> bool:
    """Whether a value is a number that can be shown or drawn."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def number(value: Any, digits: int = 3) -> str:
    """A measured value, or a dash for none: 0.8312 is "0.831"."""
    if not finite(value):
        return NOTHING
    if value and not 1e-3 <= abs(value) < 1e5:
        return f"{value:.2e}"
    return f"{value:.{digits}f}"


def signed(before: Any, after: Any) -> str:
    """A change with its sign: "+0.421", "−0.090", or a dash."""
    if not finite(before) or not finite(after):
        return NOTHING
    change = after - before
    return ("−" if change < 0 else "+") + number(abs(change))


def count(value: Any) -> str:
    """A whole number in groups of three, or a dash."""
    return f"{round(value):,}" if finite(value) else NOTHING


def plural(value: int, noun: str) -> str:
    """`1 trial`, `16 trials`."""
    return f"{value:,} {noun}" + ("" if value == 1 else "s")


def duration(seconds: Any) -> str:
    """Seconds as "48 s", "9 min 12 s" or "1 h 04 min"."""
    if not finite(seconds):
        return NOTHING
    whole = max(0, round(seconds))
    minutes, hours = whole // 60, whole // 3600
    if hours:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{minutes} min {whole % 60:02d} s" if minutes else f"{whole} s"


def setting(value: Any) -> str:
    """A setting's value, short: 0.00031622 is "0.000316", true is "true"."""
    if value is None:
        return NOTHING
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, list | tuple):
        return ", ".join(setting(item) for item in value)
    return str(value)


def label(metric: str) -> str:
    """A metric's name for people: "kps_prompts" is "KPS prompts"."""
    words = _KNOWN.get(metric, metric).split("_")
    return " ".join(_KNOWN.get(word, word) for word in words)


def headline(metric: str) -> str:
    """`label` at the beginning of a line."""
    text = label(metric)
    return text[:1].upper() + text[1:]


def main_names(metrics: Iterable[str]) -> list[str]:
    """Metrics without the parts that others report beside themselves, as `kps_empty` of `kps`."""
    names = list(metrics)
    parts = {name for name in names for whole in names if name.startswith(f"{whole}_")}
    return [name for name in names if name not in parts]


def short_names(dotted: Sequence[str]) -> Mapping[str, str]:
    """The shortest clear name of each setting: "loss.cat.weight" is "cat weight"."""
    last = {name: _short(name) for name in dotted}
    shared = {short for short in last.values() if list(last.values()).count(short) > 1}
    return {name: name if short in shared else short for name, short in last.items()}


def _short(name: str) -> str:
    table, *rest = name.split(".")
    if not rest:
        return name
    return " ".join(rest) if len(rest) > 1 else {"kind": table}.get(rest[0], rest[0])


def address(cite: str) -> str:
    """Where a citation that names an arXiv paper can be read; "" for another."""
    found = re.search(r"arXiv:(\d{4}\.\d{4,5})", cite)
    return f"https://arxiv.org/abs/{found[1]}" if found else ""
