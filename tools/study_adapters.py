"""Which adapter learns most and forgets least at one size? Reads a finished search, writes a page.

graftwork tune examples/adapters.toml --out runs/adapters
python benchmarks/adapter_steps.py examples/adapters.toml --out runs/adapters/costs.json
python tools/study_adapters.py runs/adapters
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from adapters_study.picture import Mark, draw, front
from search_results import Trial, deviation, mean, spread, trials

PAGE = Template((Path(__file__).parent / "adapters_study" / "page.md").read_text(encoding="utf-8"))
OUT_OF_BUDGET = ("ia3", "full", "textual-inversion")
METRICS = ("fidelity", "kps", "balance", "diversity")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("search", type=Path, help="the finished search's folder, with costs.json")
    parser.add_argument("--page", type=Path, default=Path("docs/studies/adapters.md"))
    parser.add_argument("--picture", type=Path, default=Path("docs/pictures/adapters.png"))
    arguments = parser.parse_args()
    by_subject: dict[str, dict[str, list[Trial]]] = {}
    for trial in sorted(trials(arguments.search), key=order):
        by_subject.setdefault(subject(trial), {}).setdefault(trial.adapter, []).append(trial)
    marks = {subject: [mark(rows) for rows in own.values()] for subject, own in by_subject.items()}
    draw(marks, arguments.picture)
    arguments.page.write_text(page(arguments.search, by_subject, marks), encoding="utf-8")
    print(f"wrote {arguments.page} and {arguments.picture}")
    return 0


def order(trial: Trial) -> tuple[str, bool, str]:
    return subject(trial), not in_budget(trial.adapter), trial.adapter


def subject(trial: Trial) -> str:
    word: str = trial.run["data"]["class_word"]
    return word


def in_budget(adapter: str) -> bool:
    return adapter.partition(",")[0] not in OUT_OF_BUDGET


def mark(rows: Sequence[Trial]) -> Mark:
    return Mark(
        label=rows[0].adapter,
        kps=mean(rows, "kps"),
        fidelity=mean(rows, "fidelity"),
        spread=(deviation(rows, "kps"), deviation(rows, "fidelity")),
        in_budget=in_budget(rows[0].adapter),
    )


def page(
    search: Path,
    by_subject: Mapping[str, Mapping[str, list[Trial]]],
    marks: Mapping[str, list[Mark]],
) -> str:
    """The whole study, as Markdown."""
    costs = json.loads((search / "costs.json").read_text())
    seconds = json.loads((search / "leaderboard.json").read_text())["seconds"]
    first = next(iter(by_subject.values()))
    one = next(iter(first.values()))
    cost_rows = [cost_row(rows[0], costs) for rows in first.values()]
    return PAGE.substitute(
        {f"table_{subject}": quality_table(own) for subject, own in by_subject.items()},
        costs="\n".join(cost_rows),
        seeds=", ".join(str(seed) for seed in sorted(t.run["seed"] for t in one)),
        minutes=f"{seconds / 60:.0f}",
        fronts="\n".join(
            f"- {subject}: {', '.join(f'`{m.label}`' for m in front(own))}"
            for subject, own in marks.items()
        ),
    )


def quality_table(adapters: Mapping[str, Sequence[Trial]]) -> str:
    """A row for each adapter, the highest balance first; those of other sizes last."""
    ordered = sorted(
        adapters.values(), key=lambda rows: (not in_budget(rows[0].adapter), -mean(rows, "balance"))
    )
    lines = [
        "| " + " | ".join([rows[0].adapter, *(spread(rows, metric) for metric in METRICS)]) + " |"
        for rows in ordered
    ]
    return "\n".join(
        ["| adapter | fidelity | KPS | balance | diversity |", "|---|---|---|---|---|", *lines]
    )


def cost_row(trial: Trial, costs: Sequence[Mapping[str, float]]) -> str:
    cost = costs[trial.choice]
    return (
        f"| {trial.adapter} | {trial.parameters:,} | {trial.rate:g} | {cost['ms']:.0f} | "
        f"{cost['kept']:.1f} |"
    )


if __name__ == "__main__":
    raise SystemExit(main())
