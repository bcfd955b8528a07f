"""One optimiser step: losses, gradients, update."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from graftwork.core.errors import GraftworkError
from graftwork.core.sink import Sink
from graftwork.nn.loss import Loss
from graftwork.nn.words import has_opposites
from graftwork.train import seeds
from graftwork.train.optimizer import make_optimizer, rate
from graftwork.train.session import Session


class Trainer:
    """The losses, the optimiser and the sinks of a session."""

    def __init__(self, session: Session) -> None:
        file = session.file
        self.session = session
        # A loss of weight zero is left out: it costs nothing, and the step is the plain one.
        weighted = [(float(loss.own.get("weight", 1.0)), loss) for loss in file.loss]
        self.losses: dict[str, tuple[float, Loss]] = {
            loss.kind: (weight, loss.build()) for weight, loss in weighted if weight
        }
        if not self.losses:
            raise GraftworkError(f"{file.name}: loss: every weight is 0; give one a weight")
        self.needs = frozenset[str]().union(*(loss.needs for _, loss in self.losses.values()))
        if "free" in self.needs and session.data.trigger is None:
            raise GraftworkError(
                f"{file.name}: loss: {self._asking('free')} compares captions with and without "
                "a trigger; set data.trigger, or take the loss out"
            )
        self._require_pair()
        self.sinks: list[Sink] = [sink.build() for sink in file.sink]
        self.examples = session.backbone.prepare(session.data)
        self.parameters = list(session.handle.parameters())
        optimizer = make_optimizer(session.handle, file.optimizer)
        self.optimizer = session.accelerator.prepare(optimizer)

    def step(self, step: int) -> dict[str, float]:
        """Train on one batch. `step`, from 0, fixes every random draw.

        Raises:
            GraftworkError: a loss or the gradient is not finite.
        """
        accelerator, train = self.session.accelerator, self.session.file.train
        lr = self.session.file.optimizer.lr * rate(step, train)
        for group in self.optimizer.param_groups:
            group["lr"] = lr
        self.session.handle.train()
        with accelerator.autocast():
            parts = self._losses(step)
            total = torch.stack(
                [self.losses[kind][0] * value for kind, value in parts.items()]
            ).sum()
        logs = {"loss": float(total.detach()), "lr": lr}
        logs |= {f"loss/{kind}": float(value.detach()) for kind, value in parts.items()}
        _require_finite(logs, step)
        accelerator.backward(total)
        self._average_gradients()
        if train.gradient_clip is not None:
            logs["gradient_norm"] = float(
                accelerator.clip_grad_norm_(self.parameters, train.gradient_clip)
            )
        self.optimizer.step()
        self.optimizer.zero_grad()
        return logs

    def _losses(self, step: int) -> dict[str, Tensor]:
        session, accelerator = self.session, self.session.accelerator
        generator = seeds.step_generator(session.file.seed, step, accelerator.process_index)
        indices = seeds.batch_indices(
            session.file.seed,
            step,
            size=len(session.data),
            batch=session.file.train.batch,
            process=accelerator.process_index,
            processes=accelerator.num_processes,
        )
        made = session.backbone.step(self.examples, indices, needs=self.needs, generator=generator)
        return {kind: loss(made) for kind, (_, loss) in self.losses.items()}

    def _asking(self, need: str) -> str:
        return next(kind for kind, (_, loss) in self.losses.items() if need in loss.needs)

    def _require_pair(self) -> None:
        """A loss that needs a learned negative word, and an adapter with one, want each other."""
        file, pair = self.session.file, has_opposites(self.session.handle)
        if "negative" in self.needs and not pair:
            raise GraftworkError(
                f"{file.name}: loss: {self._asking('negative')} trains a word and its negative, "
                f"and '{file.adapter.kind}' has no negative; choose an adapter such as dreamartist"
            )
        if pair and "negative" not in self.needs:
            raise GraftworkError(
                f"{file.name}: adapter.kind: '{file.adapter.kind}' has a negative word that no "
                "loss trains; put a loss such as dreamartist in"
            )

    def _average_gradients(self) -> None:
        """Mean over processes, in one message: an adapter's gradients are few.

        A step may call the backbone several times (CAT), which DDP's wrapper does not take.
        """
        if self.session.accelerator.num_processes == 1:
            return
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        flat = self.session.accelerator.reduce(flat, "mean")
        sizes = [gradient.numel() for gradient in gradients]
        for gradient, mean in zip(gradients, flat.split(sizes), strict=True):
            gradient.copy_(mean.view_as(gradient))


def _require_finite(logs: Mapping[str, float], step: int) -> None:
    for name, value in logs.items():
        if not math.isfinite(value):
            raise GraftworkError(
                f"step {step + 1}: {name} is {value}; lower optimizer.lr, or train in "
                "precision = 'fp32'"
            )
