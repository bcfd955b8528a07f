"""The documentation of fields: the string literal that stands under each of them."""

import ast
import dataclasses
import functools
import inspect
import textwrap
from itertools import pairwise


@functools.cache
def field_docs(cls: type) -> dict[str, str]:
    """Field name to its one-paragraph documentation, inherited fields included.

    A class that is made rather than written has it in its fields' metadata, under "help".
    Empty where the source cannot be read, as in an interactive session.
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__[:-1]):
        docs.update(_own_docs(base))
    return docs | _made_docs(cls)


def _made_docs(cls: type) -> dict[str, str]:
    fields = dataclasses.fields(cls) if dataclasses.is_dataclass(cls) else ()
    return {field.name: field.metadata["help"] for field in fields if "help" in field.metadata}


def _own_docs(cls: type) -> dict[str, str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(cls)))
    except (OSError, TypeError, SyntaxError):
        return {}
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    return {
        field.target.id: " ".join(inspect.cleandoc(text).split())
        for field, below in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if (text := _literal(below)) is not None
    }


def _literal(statement: ast.stmt) -> str | None:
    value = statement.value if isinstance(statement, ast.Expr) else None
    if isinstance(value, ast.Constant) and isinstance(value.value, str):
        return value.value
    return None
