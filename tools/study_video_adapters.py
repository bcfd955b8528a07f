"""Which adapter teaches a video LLM something new and spares the old? A search becomes a page.

graftwork tune examples/video-adapters.toml --out runs/video-adapters
python tools/study_video_adapters.py runs/video-adapters
"""

import argparse
import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template

from search_results import Trial, deviation, mean, spread, trials

PAGE = Path(__file__).parent / "video_study" / "page.md"
UNNAMED = ("kind", "lr")
NEW, PAIRS = "video-qa_new", "video-pairs"
OLD = ("colour", "shape", "direction", "order")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("search", type=Path, help="the finished search's folder")
    parser.add_argument("--page", type=Path, default=Path("docs/studies/video-adapters.md"))
    arguments = parser.parse_args()
    arms: dict[tuple[str, bool], list[Trial]] = {}
    for trial in trials(arguments.search, UNNAMED):
        arms.setdefault((trial.adapter, preserves(trial)), []).append(trial)
    first = next(iter(arms.values()))[0]
    seconds = json.loads((arguments.search / "leaderboard.json").read_text())["seconds"]
    text = Template(PAGE.read_text(encoding="utf-8")).substitute(
        clips=first.run["data"]["clips"],
        steps=first.run["train"]["steps"],
        batch=first.run["train"]["batch"],
        tests=first.run["data"]["test_clips"],
        seeds=len(next(iter(arms.values()))),
        frozen=frozen(first.before),
        rows="\n".join(row(*arm, found) for arm, found in ordered(arms)),
        minutes=f"{seconds / 60:.0f}",
    )
    arguments.page.write_text(text, encoding="utf-8")
    print(f"wrote {arguments.page}")
    return 0


def preserves(trial: Trial) -> bool:
    """Whether the loss keeps answers to questions without the trigger."""
    losses = {loss["kind"]: loss.get("weight", 1.0) for loss in trial.run["loss"]}
    return losses.get("language-preservation", 0.0) > 0


def ordered(
    arms: Mapping[tuple[str, bool], list[Trial]],
) -> list[tuple[tuple[str, bool], list[Trial]]]:
    """Without the preserving loss first; the best at both, by the smaller of the two, on top."""
    return sorted(
        arms.items(),
        key=lambda arm: (arm[0][1], -min(mean(arm[1], NEW), statistics.mean(map(old, arm[1])))),
    )


def old(trial: Trial) -> float:
    """Mean over what could be asked before."""
    return statistics.mean(trial.metrics[f"video-qa_{group}"] for group in OLD)


def row(adapter: str, preserved: bool, found: Sequence[Trial]) -> str:
    """One arm."""
    olds = [old(trial) for trial in found]
    spread_old = f"{statistics.mean(olds):.3f} ± {statistics.stdev(olds):.3f}"
    groups = " | ".join(f"{mean(found, f'video-qa_{group}'):.3f}" for group in OLD)
    return (
        f"| {adapter} | {'yes' if preserved else 'no'} | {found[0].parameters:,} | "
        f"{mean(found, NEW):.3f} ± {deviation(found, NEW):.3f} | {spread_old} | {groups} | "
        f"{spread(found, PAIRS)} |"
    )


def frozen(before: Mapping[str, float]) -> str:
    """What the frozen backbone comes to."""
    kept = statistics.mean(before[f"video-qa_{group}"] for group in OLD)
    groups = " | ".join(f"{before[f'video-qa_{group}']:.3f}" for group in OLD)
    return f"| *frozen* | | 0 | {before[NEW]:.3f} | {kept:.3f} | {groups} | {before[PAIRS]:.3f} |"


if __name__ == "__main__":
    raise SystemExit(main())
