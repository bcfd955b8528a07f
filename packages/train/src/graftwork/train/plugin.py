"""What this distribution registers: the commands of single runs, and a sink."""

from collections.abc import Iterable

from graftwork.core import hookimpl
from graftwork.core.records import CommandSpec, SinkSpec


@hookimpl
def commands() -> Iterable[CommandSpec]:
    """fit, evaluate, sample, export."""
    yield CommandSpec(
        name="fit",
        target="graftwork.train.commands:fit",
        summary="train an adapter as a run file says",
        example="graftwork fit examples/cat.toml",
    )
    yield CommandSpec(
        name="evaluate",
        target="graftwork.train.commands:evaluate",
        summary="judge a run's trained adapter again",
        example="graftwork evaluate runs/cat",
    )
    yield CommandSpec(
        name="sample",
        target="graftwork.train.commands:sample",
        summary="draw pictures with a run's trained adapter",
        example='graftwork sample runs/cat --prompt "a photo of sks cat"',
    )
    yield CommandSpec(
        name="export",
        target="graftwork.train.commands:export",
        summary="write a trained adapter in another tool's format",
        example="graftwork export runs/cat --format diffusers --out cat-lora",
    )


@hookimpl
def sinks() -> Iterable[SinkSpec]:
    """tracker."""
    yield SinkSpec(
        name="tracker",
        target="graftwork.train.tracker:Tracker",
        config="graftwork.train.tracker:TrackerConfig",
        summary="TensorBoard, Weights & Biases, MLflow and others, by accelerate",
    )
