"""What does CAT preserve at equal fidelity? Reads a finished search and writes a table.

graftwork tune examples/cat-study.toml --out runs/cat-study
python tools/study_cat.py runs/cat-study
"""

import argparse
import itertools
import json
import statistics
import tomllib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

Curve = Sequence[tuple[float, float]]
"""(fidelity, KPS) after every evaluation of one trial."""

LEVELS = 3
PAGE = Template("""\
# What CAT preserves at equal fidelity

[CAT](https://arxiv.org/abs/2404.07554) adds to the denoising loss a second term, of weight λ: the
squared difference between the adapted and the frozen prediction on the caption *without* the
trigger. Does it keep the backbone's knowledge, at the same likeness to the subject?

LoRA of rank $rank on `tiny-sd`, eight pictures of the held-out cat, $steps steps, seeds $seeds.
Fidelity and the Knowledge Preservation Score (our proxy, see `graftwork show metrics/kps`) are
means over four sampling seeds; the numbers below are mean ± standard deviation over training
seeds. λ = 0 is plain training.

## At the end of training

| λ | fidelity | KPS | diversity |
|---|---|---|---|
$final

## KPS at equal fidelity

Fidelity rises and KPS falls as training goes on, so the ends above compare unequal adapters. Here
each run is read where it first reaches a given fidelity (linear between evaluations, every
$every steps). The levels lie between the frozen model's fidelity and the highest one that every
run reached.

| λ | $levels |
|---|$rule|
$equal

## Reading

$reading

Made by `graftwork tune examples/cat-study.toml --out runs/cat-study` and
`python tools/study_cat.py runs/cat-study`; $seconds s on two CPU cores.
""")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("search", type=Path, help="the finished search's folder")
    parser.add_argument("--out", type=Path, default=Path("docs/studies/cat.md"))
    arguments = parser.parse_args()
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(page(arguments.search), encoding="utf-8")
    print(f"wrote {arguments.out}")
    return 0


def page(search: Path) -> str:
    """The whole study, as Markdown."""
    board = json.loads((search / "leaderboard.json").read_text())
    file = tomllib.loads((search / "run.toml").read_text())
    trials: dict[float, list[dict]] = defaultdict(list)
    for row in board["trials"]:
        lines = (search / row["folder"] / "metrics.jsonl").read_text().splitlines()
        history = [json.loads(line) for line in lines]
        row["curve"] = [
            (one["metrics"]["fidelity"], one["metrics"]["kps"])
            for one in history
            if "metrics" in one
        ]
        trials[row["settings"]["loss.cat.weight"]].append(row)
    weights = sorted(trials)
    for rows in trials.values():
        rows.sort(key=lambda row: row["settings"]["seed"])
    levels = common_levels([row["curve"] for rows in trials.values() for row in rows])
    at = {
        w: [[kps_at(row["curve"], level) for row in trials[w]] for level in levels] for w in weights
    }
    return PAGE.substitute(
        rank=file["adapter"]["rank"],
        steps=file["train"]["steps"],
        every=file["train"]["evaluate_every"],
        seeds=", ".join(str(row["settings"]["seed"]) for row in trials[weights[0]]),
        final="\n".join(final_row(w, trials[w]) for w in weights),
        levels=" | ".join(f"fidelity {level:.2f}" for level in levels),
        rule="---|" * (len(levels) - 1) + "---",
        equal="\n".join(f"| {w:g} | " + " | ".join(map(spread, at[w])) + " |" for w in weights),
        reading=reading(at, levels),
        seconds=f"{board['seconds']:.0f}",
    )


def common_levels(curves: Sequence[Curve]) -> list[float]:
    """Fidelities that every run reaches, evenly from the frozen model's to the highest."""
    start = curves[0][0][0]
    top = min(max(fidelity for fidelity, _ in curve) for curve in curves)
    return [start + (top - start) * (index + 1) / LEVELS for index in range(LEVELS)]


def kps_at(curve: Curve, level: float) -> float:
    """KPS where a run first reaches a fidelity, linear between two evaluations."""
    for (f0, k0), (f1, k1) in itertools.pairwise(curve):
        if f1 >= level - 1e-9:
            share = 0.0 if f1 == f0 else min(1.0, max(0.0, (level - f0) / (f1 - f0)))
            return k0 + share * (k1 - k0)
    raise ValueError(f"the run never reaches fidelity {level}")


def final_row(weight: float, rows: Sequence[Mapping]) -> str:
    cells = [
        spread([row["metrics"][name] for row in rows]) for name in ("fidelity", "kps", "diversity")
    ]
    return f"| {weight:g} | {' | '.join(cells)} |"


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation."""
    return f"{statistics.mean(values):.3f} ± {statistics.stdev(values):.3f}"


def reading(at: Mapping[float, list[list[float]]], levels: Sequence[float]) -> str:
    """One sentence for each weight: the difference from λ = 0 at the highest level, by seed."""
    plain = at[0.0][-1]
    sentences = []
    for weight in sorted(at)[1:]:
        gains = [
            with_cat - without for with_cat, without in zip(at[weight][-1], plain, strict=True)
        ]
        better = sum(gain > 0 for gain in gains)
        sentences.append(
            f"- λ = {weight:g}: KPS at fidelity {levels[-1]:.2f} is "
            f"{statistics.mean(gains):+.3f} from plain training's, higher in {better} of "
            f"{len(gains)} seeds."
        )
    return "\n".join(sentences)


if __name__ == "__main__":
    raise SystemExit(main())
