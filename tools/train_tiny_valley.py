"""Train a small Valley from scratch on films of moving shapes; `tiny-valley` is made so.

    python tools/train_tiny_valley.py --out build/tiny-valley

First a tower learns what is in single frames and is frozen; then everything behind it learns to
answer questions about films. Nothing is downloaded.
"""

import argparse
import time
from pathlib import Path

from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from tiny_valley.parts import tokenizer, valley
from tiny_valley.tower import train_tower
from tiny_valley.training import judged, told, train


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--films", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--tower-steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    started = time.monotonic()
    words = tokenizer()
    model = valley(words, temporal="delta", frame_tokens=True, seed=arguments.seed)
    tower = train_tower(films=2000, steps=arguments.tower_steps, batch=128, seed=arguments.seed)
    model.model.vision_tower.load_state_dict(tower.state_dict(), strict=False)
    model.eval().save_pretrained(arguments.out)
    words.save_pretrained(arguments.out)
    backbone = ValleyBackbone(ValleySettings(path=str(arguments.out)))
    train(
        backbone,
        films=arguments.films,
        steps=arguments.steps,
        batch=arguments.batch,
        seed=arguments.seed,
    )
    backbone.module.save_pretrained(arguments.out)
    seconds = time.monotonic() - started
    print(f"{seconds:.0f} s by the clock; {told(judged(backbone))}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
