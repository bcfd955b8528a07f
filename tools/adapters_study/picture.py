"""Fidelity against KPS, a panel for each subject, with the adapters that no other beats in both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt
from matplotlib.axes import Axes


@dataclass(frozen=True)
class Mark:
    """An adapter's mean over the seeds, with its standard deviations."""

    label: str
    kps: float
    fidelity: float
    spread: tuple[float, float]
    in_budget: bool


def draw(panels: Mapping[str, Sequence[Mark]], path: Path) -> None:
    """Save the panels side by side."""
    figure, axes = plt.subplots(1, len(panels), figsize=(5.6 * len(panels), 5.0), squeeze=False)
    for axis, (subject, marks) in zip(axes[0], panels.items(), strict=True):
        _panel(axis, marks)
        axis.set_title(subject)
    handles, labels = axes[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncols=4, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.17, 1, 1))
    figure.savefig(path, dpi=90)
    plt.close(figure)


def _panel(axis: Axes, marks: Sequence[Mark]) -> None:
    colours = plt.get_cmap("tab20").colors  # type: ignore[attr-defined]
    for index, mark in enumerate(marks):
        axis.errorbar(
            mark.kps,
            mark.fidelity,
            xerr=mark.spread[0],
            yerr=mark.spread[1],
            marker="o" if mark.in_budget else "D",
            markersize=7,
            color=colours[index % len(colours)],
            elinewidth=0.7,
            linestyle="none",
            label=mark.label,
        )
    edge = sorted(front(marks), key=lambda mark: mark.kps)
    axis.plot([m.kps for m in edge], [m.fidelity for m in edge], color="#555555", linewidth=0.8)
    axis.set_xlabel("KPS (what is preserved)")
    axis.set_ylabel("fidelity (what is learned)")
    axis.grid(color="#eeeeee")
    axis.set_axisbelow(True)


def front(marks: Sequence[Mark]) -> list[Mark]:
    """The marks that no other beats in both."""
    return [
        one
        for one in marks
        if not any(
            other.kps >= one.kps and other.fidelity >= one.fidelity and other is not one
            for other in marks
        )
    ]
