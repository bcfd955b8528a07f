"""The weight changes to fit: three of each kind, on layers of tiny-sd, 128 x 128."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from graftwork.adapters.ring_steps import ring_matrix
from graftwork.train import runfile
from graftwork.train.session import open_session
from graftwork.train.trainer import Trainer

FINE_TUNING_STEPS = 40
SIZE, RELATIVE, LOW_RANK = 0.3, 4, 0.2


@dataclass(frozen=True)
class Target:
    """A frozen weight W and what it should become."""

    kind: str
    seed: int
    weight: Tensor
    wanted: Tensor

    @property
    def change(self) -> Tensor:
        """What has to be learned."""
        return self.wanted - self.weight


def targets() -> Iterator[Target]:
    """Every kind with the seeds 0, 1, 2; the trained layer is q, k or v in turn."""
    file = runfile.read(
        "examples/cat.toml",
        [
            "adapter={kind='full', sites=['unet.mid_block.*.to_[qkv]']}",
            "loss=[{kind='denoising'}]",
            "optimizer.lr=1e-3",
        ],
    )
    session = open_session(file)
    layers = {
        (attention, part): session.adapters.grafts["default"].sites[
            f"unet.mid_block.attentions.0.transformer_blocks.0.{attention}.to_{part}"
        ]
        for attention in ("attn1", "attn2")
        for part in "qkv"
    }
    weights = {key: site.site.weight().detach().clone() for key, site in layers.items()}
    trainer = Trainer(session)
    for step in range(FINE_TUNING_STEPS):
        trainer.step(step)
    for seed, part in enumerate("qkv"):
        weight = weights["attn1", part]
        tuned = weight + layers["attn1", part].difference.detach()
        yield Target("fine-tuning", seed, weight, tuned)
        yield Target("another layer", seed, weight, weights["attn2", part])
        generator = torch.Generator().manual_seed(seed)
        yield Target("tensor ring", seed, weight, _transformed(weight, _ring, generator))
        yield Target("rotation", seed, weight, _transformed(weight, _rotation, generator))


def _transformed(weight: Tensor, make, generator: torch.Generator) -> Tensor:
    """W T + B A with T of full rank and B A of rank 4, which has a fifth of the energy."""
    rows, cols = weight.shape
    by_transform = weight @ make(cols, generator) - weight
    left = torch.randn(rows, RELATIVE, generator=generator)
    by_residual = left @ torch.randn(RELATIVE, cols, generator=generator)
    shares = (1 - LOW_RANK) ** 0.5, LOW_RANK**0.5
    change = sum(
        share * part / part.norm()
        for share, part in zip(shares, (by_transform, by_residual), strict=True)
    )
    return weight + SIZE * weight.norm() * change


def _ring(size: int, generator: torch.Generator) -> Tensor:
    """The identity and a random ring of rank 2: a ring of rank 3."""
    cores = [torch.randn(n, n, 2, 2, generator=generator) for n in (4, 4, size // 16)]
    ring = ring_matrix(cores)
    return torch.eye(size) + 0.3 * ring / torch.linalg.matrix_norm(ring, 2)


def _rotation(size: int, generator: torch.Generator) -> Tensor:
    """A random rotation by some 20 degrees in every plane of it."""
    skew = torch.randn(size, size, generator=generator) / size**0.5
    return torch.linalg.matrix_exp(0.2 * (skew - skew.T))
