"""``graftwork list``: what can be named in a run file."""

import json as json_format
import sys
from typing import Any

from graftwork.cli.columns import aligned
from graftwork.core import plugins, registry
from graftwork.core.errors import GraftworkError
from graftwork.core.nearest import did_you_mean
from graftwork.core.records import KINDS, Record


def list_plugins(kind: str | None = None, /, *, json: bool = False) -> None:
    """Names, summaries and providers of all plugins.

    Args:
        kind: only this kind: adapters, losses, metrics, backbones, datasets, searchers,
            schedulers, sinks, formats or commands.
        json: print JSON for other programs.
    """
    if kind is not None and kind not in KINDS:
        raise GraftworkError(f"list: unknown kind {kind!r}{did_you_mean(kind, KINDS)}")
    records = {each: registry.records(each) for each in ([kind] if kind else KINDS)}
    if json:
        print(json_format.dumps([_entry(r) for group in records.values() for r in group], indent=2))
    else:
        print(_text(records))
    _mention_broken()


def _text(records: dict[str, tuple[Record, ...]]) -> str:
    # One width for all kinds, so that the eye finds the columns once.
    listed = [record for group in records.values() for record in group]
    rows = iter(aligned(map(_row, listed), indent=2).splitlines())
    blocks = [
        "\n".join([kind, *(next(rows) for _ in group)]) for kind, group in records.items() if group
    ]
    return "\n\n".join(blocks) or "no plugins; install some: pip install 'graftwork[diffusion]'"


def _row(record: Record) -> tuple[str, str, str]:
    return record.name, record.summary, record.provider


def _entry(record: Record) -> dict[str, Any]:
    return {
        "kind": record.kind,
        "name": record.name,
        "summary": record.summary,
        "provider": record.provider,
        "target": record.target,
        "cites": list(record.cites),
    }


def _mention_broken() -> None:
    broken = [plugin.distribution for plugin in plugins.manager().broken]
    if broken:
        print(f"broken: {', '.join(broken)}; see: graftwork doctor", file=sys.stderr)
