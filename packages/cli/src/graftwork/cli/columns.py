"""Plain text in columns."""

from collections.abc import Iterable, Sequence


def aligned(rows: Iterable[Sequence[str]], *, indent: int = 0) -> str:
    """Rows as lines whose columns begin below each other, two spaces apart.

    >>> print(aligned([("lora", "low rank"), ("sine-lora", "a sine")]))
    lora       low rank
    sine-lora  a sine
    """
    rows = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = (
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    )
    return "\n".join(f"{' ' * indent}{line}".rstrip() for line in lines)
