"""The settings of a run file that belong to no plugin."""

from typing import Annotated, Literal

from graftwork.core.config import Ge, Gt, Lt, Search, config


@config
class OptimizerSettings:
    """AdamW (Loshchilov and Hutter 2019, arXiv:1711.05101) on the adapter's parameters."""

    kind: Literal["adamw"] = "adamw"
    """The optimiser."""

    lr: Annotated[float, Gt(0), Search(1e-5, 1e-2, log=True)] = 1e-3
    """Peak learning rate."""

    weight_decay: Annotated[float, Ge(0), Search(1e-4, 1e-1, log=True)] = 0.01
    """Decoupled weight decay."""

    betas: tuple[Annotated[float, Ge(0), Lt(1)], Annotated[float, Ge(0), Lt(1)]] = (0.9, 0.999)
    """Decay rates of the two moment estimates."""

    eps: Annotated[float, Gt(0)] = 1e-8
    """Added to the denominator."""


@config
class TrainSettings:
    """How long and in what precision to train."""

    steps: Annotated[int, Ge(1)] = 300
    """Optimiser steps."""

    batch: Annotated[int, Ge(1)] = 4
    """Examples in each step, in each process."""

    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    """Dtype of the frozen backbone; adapters stay in fp32, under autocast below that."""

    gradient_clip: Annotated[float, Gt(0)] | None = 1.0
    """Largest norm of the adapter's gradient; absent for no clipping."""

    schedule: Literal["constant", "cosine", "linear"] = "constant"
    """Learning rate after the warm-up."""

    warmup: Annotated[int, Ge(0)] = 0
    """Steps of linear warm-up."""

    evaluate_every: Annotated[int, Ge(1)] | None = None
    """Steps between evaluations; absent to evaluate at the start and at the end only."""

    checkpoint_every: Annotated[int, Ge(1)] = 100
    """Steps between checkpoints."""

    keep: Annotated[int, Ge(1)] = 1
    """Checkpoints kept."""

    threads: Annotated[int, Ge(1)] | None = None
    """CPU threads; absent leaves torch's choice. Equal bits need equal threads."""


@config
class SearchSettings:
    """A search over settings of the same file, by `graftwork tune`."""

    over: tuple[str, ...]
    """Dotted settings to search, as "adapter.rank" or "loss.cat.weight"."""

    metric: str
    """Name of the value to optimise, as the metrics report it."""

    mode: Literal["max", "min"] = "max"
    """Whether more is better."""

    trials: Annotated[int, Ge(1)] = 16
    """How many settings to try."""

    scheduler: str = "asha"
    """What stops poor trials early; a registered scheduler."""

    searcher: str = "random"
    """What proposes settings; a registered searcher."""

    concurrent: Annotated[int, Ge(1)] | None = None
    """Trials at a time; absent for as many as the cluster holds."""

    cpus: Annotated[float, Gt(0)] = 1
    """CPUs for each trial."""

    gpus: Annotated[float, Ge(0)] = 0
    """GPUs for each trial; a fraction shares one."""
