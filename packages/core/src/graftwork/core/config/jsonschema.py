"""Settings as JSON Schema, for editors."""

from typing import Any

from graftwork.core.config.docs import field_docs
from graftwork.core.config.hints import hints, metadata
from graftwork.core.config.search import Search


def schema(cls: type) -> dict[str, Any]:
    """JSON Schema of a ``@config`` class.

    Descriptions are the docstrings under the fields; a search range stands under ``x-search``.
    """
    from pydantic import TypeAdapter
    from pydantic.json_schema import GenerateJsonSchema

    class Documented(GenerateJsonSchema):
        def dataclass_schema(self, schema: Any) -> dict[str, Any]:
            made = super().dataclass_schema(schema)
            _document(made.get("properties", {}), schema["cls"])
            return made

    made: dict[str, Any] = TypeAdapter(cls).json_schema(schema_generator=Documented)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _document(properties: dict[str, Any], cls: type) -> None:
    docs, types = field_docs(cls), hints(cls)
    for name, shape in properties.items():
        if name in docs:
            shape["description"] = docs[name]
        for extra in metadata(types[name]):
            if isinstance(extra, Search):
                shape["x-search"] = extra.as_dict()
