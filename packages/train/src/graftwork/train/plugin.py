"""What this distribution registers: the commands of single runs, a task and a sink."""

from collections.abc import Iterable

from graftwork.core import hookimpl
from graftwork.core.records import CommandSpec, SinkSpec, TaskSpec


@hookimpl
def commands() -> Iterable[CommandSpec]:
    """fit, evaluate, sample, export, import, merge, compose, resize."""
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
        summary="put a run's trained adapter to use: draw, answer, denoise",
        example='graftwork sample runs/cat --prompt "a photo of sks cat"',
    )
    yield CommandSpec(
        name="export",
        target="graftwork.train.command_export:export",
        summary="write a trained adapter in another tool's format",
        example="graftwork export runs/cat --format diffusers --out cat-lora",
    )
    yield CommandSpec(
        name="import",
        target="graftwork.train.command_export:import_",
        summary="read another tool's adapter and write it as one of graftwork",
        example="graftwork import cat.safetensors --backbone.kind tiny-sd --out cat",
    )
    yield CommandSpec(
        name="merge",
        target="graftwork.train.command_merge:merge",
        summary="fold adapters into their backbone and write a plain model",
        example="graftwork merge runs/cat runs/style --weights 1.0 0.6 --out cat-model",
    )
    yield CommandSpec(
        name="compose",
        target="graftwork.train.command_merge:compose",
        summary="write one LoRA that does what several adapters do together",
        example="graftwork compose runs/cat runs/style --weights 0.8 0.6 --out both",
    )
    yield CommandSpec(
        name="resize",
        target="graftwork.train.command_merge:resize",
        summary="write an adapter as a LoRA of another rank",
        example="graftwork resize runs/cat --rank 4 --out cat-small",
    )


@hookimpl
def tasks() -> Iterable[TaskSpec]:
    """text-to-image."""
    yield TaskSpec(
        name="text-to-image",
        target="graftwork.train.text_to_image:DrawingPictures",
        config="graftwork.train.image_evaluation:Judging",
        sampling="graftwork.train.text_to_image:Drawing",
        summary="pictures from prompts",
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
