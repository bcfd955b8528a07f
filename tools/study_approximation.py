"""How well does each method approximate a full-rank weight change? Fits, and writes a page.

python tools/study_approximation.py
"""

import argparse
import json
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import torch

from approximation.chart import Line, draw
from approximation.fitting import STEPS, fitted_error, low_rank_error
from approximation.methods import Method, methods, nearest
from approximation.targets import FINE_TUNING_STEPS, Target, targets

BUDGETS = (512, 1024, 2048)
RATES = (0.01, 0.03, 0.1)
BOUND = "best of rank r (SVD)"
PAGE = Template((Path(__file__).parent / "approximation" / "page.md").read_text())
Row = Mapping[str, Any]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=Path("runs/approximation.json"))
    parser.add_argument("--draw-only", action="store_true", help="use the results that are there")
    parser.add_argument("--page", type=Path, default=Path("docs/studies/approximation.md"))
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/approximation.png"))
    arguments = parser.parse_args()
    if not arguments.draw_only:
        torch.set_num_threads(1)
        started = time.process_time()
        rows = list(measured())
        found = {"rows": rows, "seconds": time.process_time() - started}
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(found, indent=1))
    found = json.loads(arguments.results.read_text())
    arguments.page.write_text(page(found["rows"], found["seconds"]), encoding="utf-8")
    draw(panels(found["rows"]), arguments.picture, x="parameters", y="error")
    print(f"wrote {arguments.page} and {arguments.picture}")
    return 0


def measured() -> Iterator[Row]:
    """The relative error of every method, target and budget."""
    every = list(targets())
    kinds = dict.fromkeys(target.kind for target in every)
    for kind in kinds:
        same = [target for target in every if target.kind == kind]
        size = len(same[0].weight)
        for budget in BUDGETS:
            rank = budget // (2 * size)
            errors = [low_rank_error(target, rank) for target in same]
            yield _row(kind, BOUND, budget, 2 * size * rank, errors)
            for method in methods():
                count, settings = nearest(list(method.sized(size)), budget)
                errors = _errors(method, settings, same)
                yield _row(kind, method.label, budget, count, errors)
        print(f"{kind}: done", flush=True)


def _errors(method: Method, settings: Mapping[str, Any], same: Sequence[Target]) -> list[float]:
    """By seed; what is tuned is tuned on the first."""
    first, *others = same
    tried = [
        (fitted_error(first, method.adapter, each, lr=rate), rate, index)
        for rate in RATES
        for index, each in enumerate(method.variants(settings, first.change))
    ]
    best, rate, index = min(tried)
    return [best] + [
        fitted_error(each, method.adapter, method.variants(settings, each.change)[index], lr=rate)
        for each in others
    ]


def _row(kind: str, label: str, budget: int, count: int, errors: list[float]) -> Row:
    return {
        "kind": kind, "method": label, "budget": budget, "parameters": count, "errors": errors
    }  # fmt: skip


def page(rows: Sequence[Row], seconds: float) -> str:
    """The whole study, as Markdown."""
    return PAGE.substitute(
        budgets=", ".join(map(str, BUDGETS)),
        rates=", ".join(f"{rate:g}" for rate in RATES),
        steps=STEPS,
        tuning=FINE_TUNING_STEPS,
        seconds=f"{seconds:.0f}",
        explained=f"{100 * _explained(rows):.1f}",
        gap=f"{_gap(rows):.3f}",
        **{
            f"table_{kind.replace(' ', '_').replace('-', '_')}": table(rows, kind)
            for kind in _kinds(rows)
        },
    )


def _explained(rows: Sequence[Row]) -> float:
    """Share of the energy of fine-tuning that the largest low rank holds."""
    own = [row for row in rows if (row["kind"], row["method"]) == ("fine-tuning", BOUND)]
    return statistics.mean(1 - error**2 for error in own[-1]["errors"])


def _gap(rows: Sequence[Row]) -> float:
    """The largest distance of Sine-LoRA's error from that of the truncated SVD."""
    own, bound = (
        {(row["kind"], row["budget"]): _mean(row) for row in rows if row["method"] == label}
        for label in ("sine-lora", BOUND)
    )
    return max(abs(own[key] - bound[key]) for key in own)


def table(rows: Sequence[Row], kind: str) -> str:
    """Errors of one kind of target, the parameters behind each; the best in bold."""
    labels = dict.fromkeys(row["method"] for row in rows)
    lines = [
        f"| method | {' | '.join(f'about {budget}' for budget in BUDGETS)} |",
        f"|---|{'---|' * len(BUDGETS)}",
    ]
    best = {
        budget: min(
            _mean(row)
            for row in rows
            if (row["kind"], row["budget"]) == (kind, budget) and row["method"] != BOUND
        )
        for budget in BUDGETS
    }
    for label in labels:
        own = [row for row in rows if (row["kind"], row["method"]) == (kind, label)]
        cells = [
            _cell(row, bold=label != BOUND and _mean(row) <= best[row["budget"]]) for row in own
        ]
        lines.append(f"| {label} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(row: Row, *, bold: bool) -> str:
    text = f"{_mean(row):.3f} ± {statistics.stdev(row['errors']):.3f}"
    return f"{f'**{text}**' if bold else text} ({row['parameters']})"


def _mean(row: Row) -> float:
    return statistics.mean(row["errors"])


def panels(rows: Sequence[Row]) -> dict[str, list[Line]]:
    """The means, as lines over the parameters."""
    return {
        kind: [
            Line(
                label=label,
                points=[
                    (row["parameters"], _mean(row))
                    for row in rows
                    if (row["kind"], row["method"]) == (kind, label)
                ],
                dashed="paper" in label,
            )
            for label in dict.fromkeys(row["method"] for row in rows)
            if label != BOUND
        ]
        for kind in _kinds(rows)
    }


def _kinds(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["kind"] for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
