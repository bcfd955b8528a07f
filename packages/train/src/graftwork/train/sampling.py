"""The flags of `graftwork sample`: settings of a run's task."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from graftwork.core.config import describe, parse
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.records import TaskSpec
from graftwork.train.overrides import read_value


def read_flags(task: TaskSpec, assignments: Sequence[str]) -> Any:
    """The settings that "name=value" words give; a name that comes again adds to a list.

    Raises:
        GraftworkError: a name that the task does not know, or a value that does not fit.
    """
    cls = task.sampling_class()
    known = [setting.name for setting in describe(cls)]
    lists = {field.name for field in dataclasses.fields(cls) if field.default == ()}
    table: dict[str, Any] = {}
    for assignment in assignments:
        name, _, text = assignment.partition("=")
        if name not in known:
            raise GraftworkError(
                f"sample: unknown flag --{name}{did_you_mean(name, known)}; "
                f"`graftwork show tasks/{task.name}` lists all"
            )
        if name in lists:
            table[name] = [*table.get(name, ()), text]
        else:
            table[name] = read_value(text)
    try:
        return parse(cls, table, where="sample")
    except GraftworkError as error:
        raise GraftworkError(f"--{str(error).removeprefix('sample: ')}") from error
