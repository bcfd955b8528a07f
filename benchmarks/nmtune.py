"""What NMTune's regulariser costs: beside a step of its head, and beside its equations as written.

    python benchmarks/nmtune.py                     # M x D up to 256 x 512, seconds
    python benchmarks/nmtune.py --largest           # up to 1024 x 2048, minutes on a CPU
    python benchmarks/nmtune.py --size 1024 2048

One step is forward and backward of NMTune's head with a linear classifier of 100 classes on M
features of D values, in float32, under cross-entropy alone, or with the loss `nmtune`, or with the
same three terms as they stand: a D x D covariance and a whole SVD. The last column is the
regulariser alone, forward and backward, ours over the one as written. CPU seconds, interleaved, the
median of the rounds.
"""

import argparse
import statistics

import torch
from torch import Tensor, nn
from torch.nn import functional

from graftwork.labels.step import LabelStep
from graftwork.losses.nmtune import NMTune, NMTuneConfig
from graftwork.nn import graft
from measure import interleaved

SIZES = ((64, 256), (64, 512), (256, 512))
LARGEST = ((64, 2048), (256, 1024), (1024, 1024), (1024, 2048))
CLASSES = 100


class Probe(nn.Module):
    """A blank classifier for the head to take the place of."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.classifier = nn.Linear(dims, CLASSES, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        return self.classifier(features)


def as_written(z: Tensor, f: Tensor) -> Tensor:
    """The code reading's three terms with their weights, as the equations stand."""
    gap = functional.normalize(z, dim=1) - functional.normalize(f, dim=1)
    covariance = torch.cov(z.T)
    off = covariance - torch.diag(torch.diag(covariance))
    values = torch.linalg.svdvals(z)
    share = values[:5].mean() / values.sum()
    return gap.square().mean() + 0.04 * off.square().sum() / z.shape[1] - 0.001 * share


def row(rows: int, dims: int, rounds: int) -> None:
    torch.manual_seed(0)
    frozen, labels = torch.randn(rows, dims), torch.randint(CLASSES, (rows,))
    model = Probe(dims)
    handle = graft(model, "nmtune-head", sites="classifier")
    head, ours = handle.sites["classifier"], NMTune(NMTuneConfig())
    handle.train()
    detached = torch.randn(rows, dims)

    def regularised(z: Tensor) -> Tensor:
        return ours(
            LabelStep(
                labels=labels,
                indices=labels,
                examples=rows,
                features=z,
                frozen_features=frozen,
            )
        )

    def step(kind: str) -> None:
        z = head.transform(frozen)
        total = functional.cross_entropy(head.classifier(z), labels)
        if kind != "plain":
            total = total + (regularised(z) if kind == "ours" else as_written(z, frozen))
        total.backward()

    def alone(kind: str) -> None:
        z = detached.clone().requires_grad_()
        (regularised(z) if kind == "ours" else as_written(z, frozen)).backward()

    times = interleaved(
        {
            **{kind: lambda kind=kind: step(kind) for kind in ("plain", "ours", "written")},
            "ours alone": lambda: alone("ours"),
            "written alone": lambda: alone("written"),
        },
        rounds,
    )
    middle = {name: statistics.median(own) for name, own in times.items()}
    print(
        f"{rows:5} x {dims:<5}"
        + "".join(f"{1e3 * middle[name]:11.1f}" for name in ("plain", "ours", "written"))
        + f"{middle['ours'] / middle['plain']:9.2f}{middle['written'] / middle['plain']:9.2f}"
        + f"{1e3 * middle['ours alone']:11.1f}{1e3 * middle['written alone']:11.1f}"
        + f"{middle['ours alone'] / middle['written alone']:9.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--largest", action="store_true")
    parser.add_argument("--size", type=int, nargs=2, metavar=("M", "D"))
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    names = ("plain ms", "ours ms", "written ms")
    print(
        f"{'M x D':13}" + "".join(f"{name:>11}" for name in names)
        + f"{'ours/pl':>9}{'writ/pl':>9}{'alone ms':>11}{'written ms':>11}{'ratio':>9}"
    )  # fmt: skip
    sizes = SIZES + (LARGEST if given.largest else ())
    for rows, dims in [given.size] if given.size else sizes:
        row(rows, dims, given.rounds)


if __name__ == "__main__":
    main()
