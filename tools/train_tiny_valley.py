"""Train a small Valley from scratch on films of moving shapes; `tiny-valley` is made so.

    python tools/train_tiny_valley.py --out build/tiny-valley

First a tower learns what is in single frames and is frozen; then everything behind it learns to
answer questions about films. Nothing is downloaded.
"""

import argparse
import time
from pathlib import Path

import torch

from graftwork.backbones.videollm.settings import ValleySettings
from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.core.config import NoSettings, parse
from graftwork.data.video.moving_shapes import MovingShapes, MovingShapesConfig
from graftwork.losses.language import LanguageModeling, LanguageModelingConfig
from graftwork.metrics.answers import VideoPairs, VideoQA
from graftwork.video.evaluation import Judging, VideoEvaluation
from tiny_valley.parts import tokenizer, valley
from tiny_valley.tower import train_tower


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="the folder of the model")
    parser.add_argument("--temporal", default="delta", help="mean, max, importance or delta")
    parser.add_argument("--no-frame-tokens", action="store_true")
    parser.add_argument("--films", type=int, default=12000)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--tower-steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--tower", type=Path, help="a trained model whose tower is taken over")
    arguments = parser.parse_args()
    started = time.monotonic()
    words = tokenizer()
    model = valley(
        words,
        temporal=arguments.temporal,
        frame_tokens=not arguments.no_frame_tokens,
        seed=arguments.seed,
    )
    if arguments.tower is None:
        tower, _ = train_tower(
            films=2000, steps=arguments.tower_steps, batch=128, seed=arguments.seed
        )
    else:
        tower = ValleyBackbone(ValleySettings(path=str(arguments.tower))).module.model.vision_tower
    model.model.vision_tower.load_state_dict(tower.state_dict(), strict=False)
    model.eval().save_pretrained(arguments.out)
    words.save_pretrained(arguments.out)
    backbone = ValleyBackbone(ValleySettings(path=str(arguments.out)))
    train(backbone, films=arguments.films, steps=arguments.steps, batch=arguments.batch)
    backbone.module.save_pretrained(arguments.out)
    print(f"{time.monotonic() - started:.0f} s by the clock; {judged(backbone)}")
    return 0


def train(backbone: ValleyBackbone, *, films: int, steps: int, batch: int, seed: int = 0) -> None:
    """Train all that stands behind the tower."""
    module = backbone.module
    behind = [p for n, p in module.named_parameters() if not n.startswith("model.vision_tower")]
    for parameter in behind:
        parameter.requires_grad_(True)
    examples = backbone.prepare(MovingShapes(MovingShapesConfig(clips=films, seed=seed)))
    loss_of = LanguageModeling(parse(LanguageModelingConfig, {}, "loss"))
    optimizer = torch.optim.AdamW(behind, lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    draw = torch.Generator().manual_seed(seed)
    needs = frozenset({"prediction"})
    for step in range(steps):
        chosen = torch.randint(len(examples), (batch,), generator=draw).tolist()
        loss = loss_of(backbone.step(examples, chosen, needs=needs, generator=draw))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(behind, 1.0)
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"step {step}, loss {loss.item():.4f}", flush=True)
        if step and step % 1000 == 0:
            print(judged(backbone, films=100), flush=True)
    module.requires_grad_(False).eval()


def judged(backbone: ValleyBackbone, films: int = 400) -> str:
    """How often it is right about films, and about films and the same backwards."""
    data = MovingShapes(MovingShapesConfig(clips=1, test_clips=films))
    evaluation = VideoEvaluation(backbone, data, Judging(tokens=4))
    values = VideoQA(NoSettings())(evaluation) | VideoPairs(NoSettings())(evaluation)
    return ", ".join(f"{name} {value:.3f}" for name, value in values.items())


if __name__ == "__main__":
    raise SystemExit(main())
