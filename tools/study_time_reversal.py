"""Which of Valley's temporal modules can tell a film from the same film backwards?

    python tools/study_time_reversal.py --out runs/time-reversal

Every arm is trained from scratch behind one frozen tower and judged on films forwards and
backwards. What is done is kept, so a study that was stopped goes on; with all of it there, the page
and its picture are written.
"""

import argparse
import itertools
import json
import multiprocessing
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.core import atomic
from reversal_study.page import write_page
from tiny_valley.parts import tokenizer, valley
from tiny_valley.tower import train_tower
from tiny_valley.training import judged, train

MODULES = ("mean", "importance", "delta")


@dataclass(frozen=True)
class Arm:
    """One way to see a film, from one seed."""

    temporal: str
    frame_tokens: bool
    seed: int

    @property
    def name(self) -> str:
        return f"{self.temporal}{'-frames' if self.frame_tokens else ''}-{self.seed}"


@dataclass(frozen=True)
class Length:
    """How long is trained, and on how many films."""

    films: int
    steps: int
    batch: int
    tower_steps: int


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="where what is done is kept")
    parser.add_argument("--page", type=Path, default=Path("docs/studies/time-reversal.md"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--films", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--tower-steps", type=int, default=3000)
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    length = Length(given.films, given.steps, given.batch, given.tower_steps)
    given.out.mkdir(parents=True, exist_ok=True)
    see(given.out, length)
    choices = itertools.product(range(given.seeds), MODULES, (False, True))
    arms = [Arm(temporal, tokens, seed) for seed, temporal, tokens in choices]
    missing = [arm for arm in arms if not (given.out / f"{arm.name}.json").is_file()]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(given.processes, mp_context=context) as pool:
        futures = [pool.submit(partial(learn, given.out, length), arm) for arm in missing]
        for done in as_completed(futures):
            print(done.result(), flush=True)
    write_page(given.page, [json.loads((given.out / f"{a.name}.json").read_text()) for a in arms])
    print(f"wrote {given.page}")
    return 0


def see(out: Path, length: Length) -> None:
    """Train the tower that all arms share, and let it see every film once, for all of them."""
    if (out / "tower").is_dir():
        return
    words = tokenizer()
    model = valley(words, temporal="mean", frame_tokens=True, seed=0)
    tower = train_tower(films=2000, steps=length.tower_steps, batch=128, seed=0)
    model.model.vision_tower.load_state_dict(tower.state_dict(), strict=False)
    with atomic.folder(out / "tower") as folder:
        model.save_pretrained(folder)
        words.save_pretrained(folder)


def learn(out: Path, length: Length, arm: Arm) -> str:
    """Train and judge one arm, and keep what it came to."""
    torch.set_num_threads(1)
    words = tokenizer()
    model = valley(
        words,
        temporal=arm.temporal,
        frame_tokens=arm.frame_tokens,
        seed=arm.seed,
        width=64,
        layers=2,
    )
    tower = ValleyBackbone(ValleySettings(path=str(out / "tower"))).module.model.vision_tower
    model.model.vision_tower.load_state_dict(tower.state_dict())
    folder = out / "models" / arm.name
    model.save_pretrained(folder)
    words.save_pretrained(folder)
    backbone = ValleyBackbone(ValleySettings(path=str(folder), cache=str(out / "seen")))
    behind = sum(
        p.numel()
        for n, p in backbone.module.named_parameters()
        if not n.startswith("model.vision_tower")
    )
    started = time.process_time()
    train(
        backbone,
        films=length.films,
        steps=length.steps,
        batch=length.batch,
        seed=arm.seed,
        report=length.steps + 1,
    )
    found = {
        "temporal": arm.temporal,
        "frame_tokens": arm.frame_tokens,
        "seed": arm.seed,
        "order_blind": model.model.temporal.order_blind and not arm.frame_tokens,
        "rows": model.config.visual_rows(8),
        "parameters": behind,
        "films": length.films,
        "steps": length.steps,
        "batch": length.batch,
        "seconds": time.process_time() - started,
        "scores": judged(backbone),
    }
    backbone.module.save_pretrained(folder)
    atomic.write_text(out / f"{arm.name}.json", json.dumps(found, indent=1))
    return f"{arm.name}: {json.dumps(found['scores'])}"


if __name__ == "__main__":
    raise SystemExit(main())
