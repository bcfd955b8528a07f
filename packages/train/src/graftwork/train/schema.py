"""JSON Schema of run files, over everything that is installed: editors complete and check by it."""

from typing import Any

from graftwork.core import registry
from graftwork.core.config import schema as settings_schema
from graftwork.core.records import Record
from graftwork.train.adapter_tables import KEYS, NAMED_KEYS, NamedAdapterKeys
from graftwork.train.runfile import EVALUATE, PLAIN_TABLES, PLUGIN_LISTS, PLUGIN_TABLES
from graftwork.train.settings import SearchSettings

_WEIGHT = {"description": "Factor in the sum of losses.", "type": "number", "minimum": 0}


def schema() -> dict[str, Any]:
    """The schema of a run file. A plugin's `kind` decides what else its table may hold."""
    defs: dict[str, Any] = {}
    properties: dict[str, Any] = {"seed": {"type": "integer", "minimum": 0, "default": 0}}
    for key, kind in PLUGIN_TABLES.items():
        properties[key] = _adapters(defs) if key == "adapter" else _any_of(kind, {}, defs)
    for key, kind in PLUGIN_LISTS.items():
        own = {"weight": _WEIGHT} if key == "loss" else {}
        properties[key] = {"type": "array", "items": _any_of(kind, own, defs)}
    for key, cls in {**PLAIN_TABLES, "search": SearchSettings}.items():
        properties[key] = _hoisted(settings_schema(cls), defs)
    tasks = [settings_schema(task.settings_class()) for task in registry.records("tasks")]
    properties[EVALUATE] = {"anyOf": [_hoisted(task, defs) for task in tasks]}
    properties["search"]["properties"]["space"] = {"type": "object"}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "graftwork run file",
        "type": "object",
        "properties": properties,
        "required": list(PLUGIN_TABLES),
        "additionalProperties": False,
        "$defs": defs,
    }


def _adapters(defs: dict[str, Any]) -> dict[str, Any]:
    """A table or a list of them; the keys that only those of a list have are refused in the one."""
    own = _hoisted(settings_schema(NamedAdapterKeys), defs)["properties"]
    defs["adapter"] = _any_of("adapters", own, defs)
    one = {"$ref": "#/$defs/adapter"}
    only = {key: False for key in NAMED_KEYS if key not in KEYS}
    return {"anyOf": [{**one, "properties": only}, {"type": "array", "items": one, "minItems": 1}]}


def _any_of(kind: str, own: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    return {"oneOf": [_table(record, own, defs) for record in registry.records(kind)]}


def _table(record: Record, own: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    settings = _hoisted(settings_schema(record.settings_class()), defs)
    kind = {"const": record.name, "description": record.summary}
    return {
        "type": "object",
        "title": record.name,
        "properties": {"kind": kind, **own, **settings.get("properties", {})},
        "required": ["kind", *settings.get("required", [])],
        "additionalProperties": False,
    }


def _hoisted(made: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """A settings schema without its frame; what it refers to moves to the document's `$defs`."""
    made.pop("$schema", None)
    defs |= made.pop("$defs", {})
    return made
