"""Which adapter takes a denoiser to a new sensor best? Reads a finished search, writes a page.

graftwork tune examples/sensor-adapters.toml --out runs/sensor-adapters
python tools/study_sensors.py runs/sensor-adapters
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Template
from typing import Any

import torch

from denoising_study.judged import Given, clip, planes
from graftwork.core import registry
from graftwork.core.config import parse
from graftwork.metrics.raw_quality import QualityConfig, RawPSNR, RawSSIM
from graftwork.raw.denoiser import RawDenoiser
from graftwork.raw.noise_of import noise_of
from graftwork.raw.pair import ClipPair
from graftwork.raw.sensor_file import load_sensor
from graftwork.raw.videos import RawVideos
from search_results import Trial, mean, spread, trials

PAGE = Path(__file__).parent / "sensor_study" / "page.md"
UNNAMED = ("kind", "lr")
TRAINED_FOR = "crvd"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "searches",
        type=Path,
        nargs="+",
        help="folders of finished searches; of one adapter in several the last counts",
    )
    parser.add_argument("--page", type=Path, default=Path("docs/studies/sensors.md"))
    arguments = parser.parse_args()
    by_adapter: dict[str, list[Trial]] = {}
    for search in arguments.searches:
        found: dict[str, list[Trial]] = {}
        for trial in trials(search, UNNAMED):
            found.setdefault(trial.adapter, []).append(trial)
        by_adapter |= found
    run = next(iter(by_adapter.values()))[0].run
    pairs = held_out(run)
    boards = [json.loads((one / "leaderboard.json").read_text()) for one in arguments.searches]
    seconds = sum(board["seconds"] for board in boards)
    text = Template(PAGE.read_text(encoding="utf-8")).substitute(
        clips=len(pairs),
        steps=run["train"]["steps"],
        batch=run["train"]["batch"],
        seeds=len(next(iter(by_adapter.values()))),
        baselines=baselines(run, pairs),
        adapters=adapter_rows(list(by_adapter.values())),
        minutes=f"{seconds / 60:.0f}",
    )
    arguments.page.write_text(text, encoding="utf-8")
    print(f"wrote {arguments.page}")
    return 0


def held_out(run: Mapping[str, Any]) -> list[ClipPair]:
    """The clips that the search judged by."""
    data: RawVideos = made("datasets", run["data"])
    judged = data.held_out() or data
    return [judged.pair(index) for index in range(len(judged))]


def made(kind: str, table: Mapping[str, Any]) -> Any:
    """The plugin of one kind that a table of a run file describes."""
    record = registry.find(kind, table["kind"])
    rest = {key: value for key, value in table.items() if key != "kind"}
    return record.load()(parse(record.settings_class(), rest, kind))


def baselines(run: Mapping[str, Any], pairs: Sequence[ClipPair]) -> str:
    """Rows of what needs no training."""
    backbone: RawDenoiser = made("backbones", run["backbone"])
    count = run["evaluate"]["frames"]

    def restored(noise_like: str | None) -> Given:
        found = []
        for pair in pairs:
            noise = noise_of(pair.noisy)
            if noise_like is not None:
                assert pair.noisy.iso is not None
                noise = load_sensor(noise_like).noise(pair.noisy.iso)
            frames = torch.stack(list(backbone.denoise(pair.noisy, noise, count=count)))
            found.append(clip(pair, frames))
        return Given(found)

    rows = {
        "the noisy input": Given([clip(pair, planes(pair)) for pair in pairs]),
        "frozen, told CRVD's noise": restored(TRAINED_FOR),
        "frozen, told the sensor's noise": restored(None),
    }
    return "\n".join(
        f"| {name} | 0 | {RawPSNR(QualityConfig())(given)['psnr']:.2f} | "
        f"{RawSSIM(QualityConfig())(given)['ssim']:.4f} |"
        for name, given in rows.items()
    )


def adapter_rows(adapters: Sequence[Sequence[Trial]]) -> str:
    """Rows of the adapters, the highest PSNR first."""
    return "\n".join(
        f"| {rows[0].adapter} | {rows[0].parameters:,} | {spread(rows, 'psnr', 2)} | "
        f"{spread(rows, 'ssim', 4)} |"
        for rows in sorted(adapters, key=lambda rows: -mean(rows, "psnr"))
    )


if __name__ == "__main__":
    raise SystemExit(main())
