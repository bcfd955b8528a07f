"""Every hook a plugin can implement.

Registration hooks are collected once and return records; an implementation may take fewer
arguments than the specification, so a new argument never breaks a plugin.
"""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pluggy

if TYPE_CHECKING:
    from graftwork.core.plugins import PluginManager
    from graftwork.core.records import (
        AdapterSpec,
        BackboneSpec,
        CommandSpec,
        DatasetSpec,
        FormatSpec,
        LossSpec,
        MetricSpec,
        SchedulerSpec,
        SearcherSpec,
        SinkSpec,
        TaskSpec,
    )

PROJECT = "graftwork"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


@hookspec
def adapters() -> "Iterable[AdapterSpec]":  # type: ignore[empty-body]
    """Adapters this plugin offers.

    Example::

        @hookimpl
        def adapters():
            return [
                AdapterSpec(
                    name="ia3",
                    target="graftwork_ia3.adapter:IA3",
                    config="graftwork_ia3.adapter:IA3Config",
                    summary="one learned scale per output row",
                    family="weight",
                )
            ]
    """


@hookspec
def losses() -> "Iterable[LossSpec]":  # type: ignore[empty-body]
    """Losses this plugin offers.

    Example::

        @hookimpl
        def losses():
            yield LossSpec(
                name="huber",
                target="graftwork_huber.loss:Huber",
                summary="denoising error, linear in its tails",
                task="text-to-image",
            )
    """


@hookspec
def metrics() -> "Iterable[MetricSpec]":  # type: ignore[empty-body]
    """Metrics this plugin offers.

    Example::

        @hookimpl
        def metrics():
            yield MetricSpec(
                name="sharpness",
                target="graftwork_sharpness.metric:Sharpness",
                summary="mean gradient magnitude of the samples",
                task="text-to-image",
                higher_is_better=True,
            )
    """


@hookspec
def backbones() -> "Iterable[BackboneSpec]":  # type: ignore[empty-body]
    """Frozen models this plugin offers.

    Example::

        @hookimpl
        def backbones():
            yield BackboneSpec(
                name="my-unet",
                target="graftwork_my_unet.backbone:MyUNet",
                summary="a pixel-space UNet",
                task="text-to-image",
                default_loss="denoising",
            )
    """


@hookspec
def datasets() -> "Iterable[DatasetSpec]":  # type: ignore[empty-body]
    """Datasets this plugin offers.

    Example::

        @hookimpl
        def datasets():
            yield DatasetSpec(
                name="postcards",
                target="graftwork_postcards.data:Postcards",
                summary="a folder of scanned postcards",
                task="text-to-image",
            )
    """


@hookspec
def tasks() -> "Iterable[TaskSpec]":  # type: ignore[empty-body]
    """Tasks this plugin teaches: how backbones of a new kind are judged and put to use.

    Example::

        @hookimpl
        def tasks():
            yield TaskSpec(
                name="text-to-speech",
                target="graftwork_speech.task:Speech",
                config="graftwork_speech.task:Listening",
                sampling="graftwork_speech.task:Speaking",
                summary="speech from text",
            )
    """


@hookspec
def searchers() -> "Iterable[SearcherSpec]":  # type: ignore[empty-body]
    """Search algorithms this plugin offers.

    Example::

        @hookimpl
        def searchers():
            yield SearcherSpec(
                name="sobol",
                target="graftwork_sobol.searcher:Sobol",
                summary="low-discrepancy points",
            )
    """


@hookspec
def schedulers() -> "Iterable[SchedulerSpec]":  # type: ignore[empty-body]
    """Trial schedulers this plugin offers.

    Example::

        @hookimpl
        def schedulers():
            yield SchedulerSpec(
                name="patience",
                target="graftwork_patience.scheduler:Patience",
                summary="stops a trial that no longer improves",
            )
    """


@hookspec
def sinks() -> "Iterable[SinkSpec]":  # type: ignore[empty-body]
    """Places that logs and metrics can go.

    Example::

        @hookimpl
        def sinks():
            yield SinkSpec(
                name="csv",
                target="graftwork_csv.sink:CsvSink",
                summary="one row per step in metrics.csv",
            )
    """


@hookspec
def formats() -> "Iterable[FormatSpec]":  # type: ignore[empty-body]
    """Adapter file formats this plugin reads or writes.

    Example::

        @hookimpl
        def formats():
            yield FormatSpec(
                name="kohya",
                target="graftwork_kohya.format:Kohya",
                summary="single-file LoRA as kohya writes it",
                suffixes=(".safetensors",),
                reads=True,
                writes=True,
            )
    """


@hookspec
def commands() -> "Iterable[CommandSpec]":  # type: ignore[empty-body]
    """Commands this plugin adds to ``graftwork``; each target is a plain typed function.

    Example::

        @hookimpl
        def commands():
            yield CommandSpec(
                name="gallery",
                target="graftwork_gallery.command:gallery",
                summary="a page of all samples of a run",
                example="graftwork gallery runs/cat",
            )
    """


@hookspec(firstresult=True)
def as_site(module: Any, name: str) -> Any:
    """The `graftwork.nn.Site` of a layer, or None: teaches every adapter a layer type at once.

    ``module`` is a layer of the backbone and ``name`` its dotted name; the first answer counts.

    Example::

        @hookimpl
        def as_site(module, name):
            from my_layers import QuantisedLinear, QuantisedSite

            if isinstance(module, QuantisedLinear):
                return QuantisedSite(name, module)
            return None
    """


@hookspec(firstresult=True)
def default_sites(backbone: Any, adapter: str) -> str | Iterable[str] | None:
    """The pattern of sites to graft when the user names none, or None.

    ``backbone`` is the module that is grafted and ``adapter`` the adapter's name; the first answer
    counts.

    Example::

        @hookimpl
        def default_sites(backbone, adapter):
            return "*.attn*.to_*" if adapter == "my-method" else None
    """


@hookspec
def before_fit(run: Any) -> None:
    """Training is about to start: ``run`` is built, its adapter grafted, no step taken.

    Example::

        @hookimpl
        def before_fit(run):
            print(f"writing to {run.folder}")
    """


@hookspec
def after_step(run: Any, step: int, logs: Mapping[str, float]) -> None:
    """One optimiser step is done; ``logs`` holds its losses and learning rate.

    Example::

        @hookimpl
        def after_step(step, logs):
            if step % 100 == 0:
                print(step, logs["loss"])
    """


@hookspec
def after_eval(run: Any, step: int, metrics: Mapping[str, float]) -> None:
    """One evaluation is done; ``metrics`` holds its figures.

    Example::

        @hookimpl
        def after_eval(step, metrics):
            print(step, metrics["fidelity"])
    """


@hookspec
def work_done(what: str, done: int, total: int | None) -> None:
    """A part of long work other than training is done; ``total`` is None where nobody knows.

    Example::

        @hookimpl
        def work_done(what, done, total):
            print(f"{what}: {done} of {total or 'many'}")
    """


@hookspec
def text_written(text: str) -> None:
    """A piece of an answer has come; the pieces, one after the other, are what was said.

    Example::

        @hookimpl
        def text_written(text):
            print(text, end="", flush=True)
    """


@hookspec
def after_fit(run: Any, outcome: Any) -> None:
    """Training has ended and the run folder is written; ``outcome`` says how it went.

    Example::

        @hookimpl
        def after_fit(run, outcome):
            print(f"{run.folder}: {outcome}")
    """


@hookspec(historic=True)
def configure(settings: Mapping[str, Any]) -> None:
    """A run file was read and resolved; ``settings`` is all of it as plain tables.

    Historic: a plugin registered later is told too.

    Example::

        @hookimpl
        def configure(settings):
            print("seed", settings["seed"])
    """


@hookspec(historic=True)
def extend_hooks(manager: "PluginManager") -> None:
    """Called once for each plugin when it is registered, to bring hooks of its own.

    Example::

        @hookimpl
        def extend_hooks(manager):
            from graftwork_gallery import hookspecs

            manager.add_hookspecs(hookspecs)
    """
