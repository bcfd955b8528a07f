"""What a plugin offers: records that name code by string, so listing them imports nothing."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from graftwork.core.importing import import_target

_WORDS = r"[a-z0-9]+([._-][a-z0-9]+)*"
_NAME = re.compile(rf"({_WORDS}/)?{_WORDS}")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True, kw_only=True)
class Record:
    """One named thing that a plugin offers.

    Raises ``ValueError`` for a malformed name or target; the manager then lists the plugin as
    broken.
    """

    kind: ClassVar[str]

    name: str
    """What users write: lower case letters, digits, and single ``-``, ``.`` or ``_`` between. A
    bridge to another library puts that library's name and one ``/`` before it."""

    target: str
    """Where the code is, ``"package.module:Object"``; imported by `load` and never before."""

    summary: str
    """One line for ``graftwork list``."""

    config: str | type | None = None
    """The ``@config`` class of its settings or, better, its ``"package.module:Class"``."""

    cites: tuple[str, ...] = ()
    """Sources, as ``"arXiv:2403.19243 Ji et al. 2025, Sine Activated Low-Rank Matrices"``."""

    extra: str = ""
    """The extra of its distribution that brings what the code imports; empty if none is needed."""

    provider: str = ""
    """Distribution and version it came from; filled in by the plugin manager."""

    def __post_init__(self) -> None:
        _require(_NAME, "name", self.name, "lower-case words joined by '-'")
        _require(_TARGET, "target", self.target, "'package.module:Object'")
        if isinstance(self.config, str):
            _require(_TARGET, "config", self.config, "'package.module:Class'")

    def load(self) -> Any:
        """Import and return the target; GraftworkError says what to install if that fails."""
        return import_target(self.target, place=self.label, install=self.requirement)

    def settings_class(self) -> type:
        """The ``@config`` class of its settings; one without fields if it has none."""
        if self.config is None:
            from graftwork.core.config import NoSettings

            return NoSettings
        if isinstance(self.config, type):
            return self.config
        found = import_target(self.config, place=self.label, install=self.requirement)
        assert isinstance(found, type), f"{self.config} is not a class"
        return found

    @property
    def label(self) -> str:
        """How errors name it: ``adapters 'lora' (graftwork-adapters 0.1.0)``."""
        return f"{self.kind} {self.name!r}" + (f" ({self.provider})" if self.provider else "")

    @property
    def requirement(self) -> str:
        """What ``pip install`` takes to bring the code and all it needs; empty if unknown."""
        distribution = self.provider.split(" ")[0]
        return f"{distribution}[{self.extra}]" if distribution and self.extra else distribution


@dataclass(frozen=True, kw_only=True)
class AdapterSpec(Record):
    """What trains: the record of an adapter."""

    kind: ClassVar[str] = "adapters"

    family: Literal["weight", "activation", "token", "head"]
    """What it changes: a layer's weight, its activations, the input tokens, or, as a head, what a
    classifier puts out."""

    mergeable: bool = True
    """Whether it folds into the backbone's weights."""

    forms: Mapping[str, str] | None = field(default=None, hash=False)
    """For formats of other tools that do not know the method, how they hold it: by the format's
    name the ``"package.module:Form"``, a `graftwork.nn.forms.Form`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for format, target in (self.forms or {}).items():
            _require(_TARGET, f"form for {format!r}", target, "'package.module:Form'")

    def load_form(self, format: str) -> Any:
        """Import and return the form for a format; GraftworkError says what to install."""
        assert self.forms, "a record without forms"
        return import_target(self.forms[format], place=self.label, install=self.requirement)


@dataclass(frozen=True, kw_only=True)
class LossSpec(Record):
    """What training minimises."""

    kind: ClassVar[str] = "losses"

    task: str | None = None
    """The backbone task it is for; None for every task."""


@dataclass(frozen=True, kw_only=True)
class MetricSpec(Record):
    """What an evaluation reports."""

    kind: ClassVar[str] = "metrics"

    task: str | None = None
    """The backbone task it is for; None for every task."""

    higher_is_better: bool = True
    """Which way is up, for searches and leaderboards."""


@dataclass(frozen=True, kw_only=True)
class BackboneSpec(Record):
    """A frozen model."""

    kind: ClassVar[str] = "backbones"

    task: str
    """Name of its task, such as ``"text-to-image"``; data, losses and metrics must agree."""

    default_loss: str
    """Name of the loss used when a run file names none."""


@dataclass(frozen=True, kw_only=True)
class DatasetSpec(Record):
    """Examples to train on."""

    kind: ClassVar[str] = "datasets"

    task: str
    """The backbone task it feeds."""


@dataclass(frozen=True, kw_only=True)
class TaskSpec(Record):
    """What backbones of one kind are for; its settings are the table ``[evaluate]``."""

    kind: ClassVar[str] = "tasks"

    sampling: str
    """The settings of ``graftwork sample`` for this task, as ``"package.module:Settings"``."""

    def __post_init__(self) -> None:
        super().__post_init__()
        _require(_TARGET, "sampling", self.sampling, "'package.module:Settings'")

    def sampling_class(self) -> Any:
        """Import the settings of ``graftwork sample``; GraftworkError says what to install."""
        return import_target(self.sampling, place=self.label, install=self.requirement)


@dataclass(frozen=True, kw_only=True)
class SearcherSpec(Record):
    """Chooses the settings of the next trial."""

    kind: ClassVar[str] = "searchers"


@dataclass(frozen=True, kw_only=True)
class SchedulerSpec(Record):
    """Stops, pauses and resumes trials."""

    kind: ClassVar[str] = "schedulers"


@dataclass(frozen=True, kw_only=True)
class SinkSpec(Record):
    """Somewhere that logs and metrics go."""

    kind: ClassVar[str] = "sinks"


@dataclass(frozen=True, kw_only=True)
class FormatSpec(Record):
    """A file format of adapters."""

    kind: ClassVar[str] = "formats"

    suffixes: tuple[str, ...] = ()
    """File suffixes it is known by, dot included."""

    reads: bool = False
    """Whether it loads."""

    writes: bool = False
    """Whether it saves."""


@dataclass(frozen=True, kw_only=True)
class CommandSpec(Record):
    """A command of ``graftwork``; its target is a plain typed function with a docstring."""

    kind: ClassVar[str] = "commands"

    example: str = ""
    """One command line to copy."""


RECORDS: dict[str, type[Record]] = {
    spec.kind: spec
    for spec in (
        AdapterSpec,
        LossSpec,
        MetricSpec,
        BackboneSpec,
        DatasetSpec,
        TaskSpec,
        SearcherSpec,
        SchedulerSpec,
        SinkSpec,
        FormatSpec,
        CommandSpec,
    )
}
"""The record class of every kind; a kind is the name of its registration hook."""

KINDS: tuple[str, ...] = tuple(RECORDS)
"""The kinds of plugin, in the order in which they are listed."""


def _require(pattern: re.Pattern[str], what: str, value: object, form: str) -> None:
    if not isinstance(value, str) or not pattern.fullmatch(value):
        raise ValueError(f"{what} {value!r} is not of the form {form}")
