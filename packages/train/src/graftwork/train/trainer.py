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
from graftwork.train.adapter_tables import LR, is_list
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
        self.lengths = tuple(session.backbone.sizes(self.examples))
        self.parameters = list(session.adapters.parameters())
        rates = {name: one.own[LR] for name, one in file.adapters.items() if LR in one.own}
        optimizer = make_optimizer(session.adapters.grafts, file.optimizer, rates=rates)
        self.peaks = [group["lr"] for group in optimizer.param_groups]
        self.rates = self._told(rates)
        self.optimizer = session.accelerator.prepare(optimizer)

    @property
    def by_kind(self) -> Mapping[str, Loss]:
        """The losses by kind, for checkpoints."""
        return {kind: loss for kind, (_, loss) in self.losses.items()}

    def step(self, step: int) -> dict[str, float]:
        """Train on one batch. `step`, from 0, fixes every random draw.

        Raises:
            GraftworkError: a loss or the gradient is not finite.
        """
        accelerator, train = self.session.accelerator, self.session.file.train
        share = rate(step, train)
        for group, peak in zip(self.optimizer.param_groups, self.peaks, strict=True):
            group["lr"] = peak * share
        self.session.adapters.train()
        with accelerator.autocast():
            parts = self._losses(step)
            total = torch.stack(
                [self.losses[kind][0] * value for kind, value in parts.items()]
            ).sum()
        logs = {"loss": float(total.detach())}
        logs |= {name: peak * share for name, peak in self.rates.items()}
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
            size=len(self.examples),
            batch=session.file.train.batch,
            process=accelerator.process_index,
            processes=accelerator.num_processes,
            lengths=self.lengths,
        )
        made = session.backbone.step(self.examples, indices, needs=self.needs, generator=generator)
        for _, loss in self.losses.values():
            loss.progress = step / session.file.train.steps
        return {kind: loss(made) for kind, (_, loss) in self.losses.items()}

    def _told(self, rates: Mapping[str, float]) -> dict[str, float]:
        """The peak learning rates by the names that they are logged under."""
        file = self.session.file
        if not is_list(file.adapter):
            return {"lr": self.peaks[0]}
        common = {} if rates.keys() == file.adapters.keys() else {"lr": file.optimizer.lr}
        return common | {f"lr/{name}": peak for name, peak in rates.items()}

    def _asking(self, need: str) -> str:
        return next(kind for kind, (_, loss) in self.losses.items() if need in loss.needs)

    def _require_pair(self) -> None:
        """A loss that needs a negative side, and an adapter that is one, want each other."""
        file, grafts = self.session.file, self.session.adapters.grafts
        paired = [name for name, handle in grafts.items() if has_opposites(handle)]
        if "negative" in self.needs:
            if not paired:
                raise GraftworkError(
                    f"{file.name}: loss: {self._asking('negative')} trains a word and its "
                    f"negative, and '{file.method}' has no negative; choose an adapter such as "
                    "dreamartist"
                )
            return
        for name in paired:
            raise GraftworkError(
                f"{file.name}: {self._place(name)}.kind: '{file.adapters[name].kind}' has a "
                "negative word that no loss trains; put a loss such as dreamartist in"
            )
        for name, handle in grafts.items():
            if handle.branch == "negative":
                raise GraftworkError(
                    f"{file.name}: {self._place(name)}.branch: no loss trains the negative "
                    "branch; put a loss such as dreamartist in"
                )

    def _place(self, name: str) -> str:
        return f"adapter.{name}" if is_list(self.session.file.adapter) else "adapter"

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
