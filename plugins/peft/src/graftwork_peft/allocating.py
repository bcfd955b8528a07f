"""Rank allocation: what AdaLoRA and AdaMSS do after every step of the optimiser.

PEFT leaves it to the training loop to call `update_and_allocate` between `step` and `zero_grad`.
Here torch's own hook after every optimiser's step does, so any loop will do.
"""

import functools
import weakref
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook


def allocates(tuner: Any) -> bool:
    """Whether a tuner of PEFT's wants to be told of every step."""
    return hasattr(tuner, "update_and_allocate")


def follow(tuner: Any) -> "StepCount":
    """Tell a tuner of the steps of whichever optimiser trains its layers; returns their count."""
    count = StepCount(tuner)
    _listen()
    _FOLLOWED.add(count)
    return count


class StepCount(torch.nn.Module):
    """The steps a tuner has seen, kept in the adapter's file so that training can go on.

    The importance of the ranks is not kept, as it is not by PEFT: after a resumption it is
    gathered anew.
    """

    done: Tensor

    def __init__(self, tuner: Any) -> None:
        super().__init__()
        self.register_buffer("done", torch.zeros((), dtype=torch.long))
        self.tuner = (tuner,)  # in a tuple: its layers are registered elsewhere

    def advance(self) -> None:
        """Count a step and let the tuner allocate."""
        self.done += 1
        step, [tuner] = int(self.done), self.tuner
        if _can_allocate(tuner, step):
            tuner.update_and_allocate(step)

    def trains(self) -> set[int]:
        """The parameters that the tuner's layers train, by identity."""
        return {id(p) for p in self.tuner[0].model.parameters() if p.requires_grad}


@functools.cache
def _listen() -> None:
    """Hear of every optimiser's steps, from now on; once in a process."""
    register_optimizer_step_post_hook(_after_step)


_FOLLOWED: "weakref.WeakSet[StepCount]" = weakref.WeakSet()


def _after_step(optimizer: Optimizer, args: Any, kwargs: Any) -> None:
    stepped = {id(p) for group in optimizer.param_groups for p in group["params"]}
    for count in list(_FOLLOWED):
        if stepped & count.trains():
            count.advance()


def _can_allocate(tuner: Any, step: int) -> bool:
    """AdaLoRA's end game needs the ranks found before, which a resumption has lost."""
    config = tuner.peft_config["default"]
    last = getattr(config, "total_step", None)
    return last is None or step <= last - config.tfinal or bool(config.rank_pattern)
