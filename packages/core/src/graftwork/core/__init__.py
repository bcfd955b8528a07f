"""Records, hooks, registry, settings and errors: all that a plugin's ``plugin.py`` may import."""

from graftwork.core.config import Search, config
from graftwork.core.errors import GraftworkError
from graftwork.core.hookspecs import hookimpl
from graftwork.core.records import (
    AdapterSpec,
    BackboneSpec,
    CommandSpec,
    DatasetSpec,
    FormatSpec,
    LossSpec,
    MetricSpec,
    Record,
    SchedulerSpec,
    SearcherSpec,
    SinkSpec,
    TaskSpec,
)

__all__ = [
    "AdapterSpec",
    "BackboneSpec",
    "CommandSpec",
    "DatasetSpec",
    "FormatSpec",
    "GraftworkError",
    "LossSpec",
    "MetricSpec",
    "Record",
    "SchedulerSpec",
    "SearcherSpec",
    "Search",
    "SinkSpec",
    "TaskSpec",
    "config",
    "hookimpl",
]
