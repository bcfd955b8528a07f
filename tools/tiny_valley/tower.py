"""The tower's own training: what is in one frame, and where; then it is frozen."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionModel

from graftwork.backbones.videollm.valley.pixels import to_pixel_values
from graftwork.data.video.moving_shapes import MadeClip, MovingShapes, MovingShapesConfig
from graftwork.data.video.shapes_scene import COLOURS, SHAPES
from graftwork.video.reading.sampling import FrameSampling
from tiny_valley.parts import SIDE, tower_config

GRID = 4
"""Into how many rows and columns a place is rounded."""


def frames_of(films: int, seed: int) -> tuple[Tensor, Tensor]:
    """Frames, and for each its colour, shape, row and column as numbers."""
    settings = MovingShapesConfig(clips=films, seed=seed, side=SIDE)
    data = MovingShapes(settings)
    pixels, labels = [], []
    for index in range(films):
        source = data.record(index).clips[0]
        assert isinstance(source, MadeClip)
        clip = source.read(FrameSampling(frames=settings.frames))
        pixels.append(clip.frames)
        for frame in range(settings.frames):
            ((colour, shape, x, y),) = source.scene.at(frame / (settings.frames - 1))
            place = [min(GRID - 1, max(0, int(value * GRID))) for value in (y, x)]
            labels.append([list(COLOURS).index(colour), SHAPES.index(shape), *place])
    return torch.cat(pixels), torch.tensor(labels)


def train_tower(*, films: int, steps: int, batch: int, seed: int) -> CLIPVisionModel:
    """A tower; prints how often it is right about frames of films that it was not trained on."""
    torch.manual_seed(seed)
    tower = CLIPVisionModel(tower_config())
    width = tower.config.hidden_size
    # From the frame's own token and from the patches: both are used, and both at layer -2.
    heads = nn.ModuleList(
        nn.Linear(2 * width, count) for count in (len(COLOURS), len(SHAPES), GRID, GRID)
    )
    pixels, labels = frames_of(films, seed)
    optimizer = torch.optim.AdamW([*tower.parameters(), *heads.parameters()], lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=steps)
    draw = torch.Generator().manual_seed(seed)
    for step in range(steps):
        chosen = torch.randint(len(pixels), (batch,), generator=draw)
        loss = sum(
            F.cross_entropy(answer, truth)
            for answer, truth in zip(
                answers(tower, heads, pixels[chosen]), labels[chosen].T, strict=True
            )
        )
        assert isinstance(loss, Tensor)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 200 == 0:
            print(f"tower: step {step}, loss {loss.item():.3f}", flush=True)
    others, truths = frames_of(64, seed + 1)
    with torch.no_grad():
        found = answers(tower, heads, others)
    right = [(f.argmax(1) == t).float().mean() for f, t in zip(found, truths.T, strict=True)]
    print("tower: colour, shape, row, column right:", [f"{float(r):.3f}" for r in right])
    return tower.eval().requires_grad_(False)


def answers(tower: CLIPVisionModel, heads: nn.ModuleList, frames: Tensor) -> Sequence[Tensor]:
    """Scores of what is in each frame, read from the layer that Valley uses."""
    hidden = tower(to_pixel_values(frames, size=SIDE), output_hidden_states=[-2]).hidden_states[-2]
    # The largest patch tells what is there without a sum over the others.
    both = torch.cat([hidden[:, 0], hidden[:, 1:].amax(1)], dim=-1)
    return [head(both) for head in heads]
