"""What to write instead, for every way in which a plain value can be wrong."""

from typing import Any

_TYPES = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "string_type": "a string",
    "path_type": "a path",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a table",
    "dataclass_type": "a table",
    "finite_number": "a finite number",
}
_EXAMPLES = {
    "an integer": "write a whole number such as 8",
    "a number": "write a number such as 0.5",
    "a finite number": "write an ordinary number such as 0.5",
    "a string": "write text in quotes",
    "a path": "write a path in quotes",
    "true or false": "write true or false without quotes",
    "a list": "write the values in brackets: [...]",
    "a table": "write its settings as a table",
}
_BOUNDS = {
    "greater_than_equal": ("ge", "at least {}", "write {} or more"),
    "greater_than": ("gt", "more than {}", "write a number above {}"),
    "less_than_equal": ("le", "at most {}", "write {} or less"),
    "less_than": ("lt", "less than {}", "write a number below {}"),
    "too_short": ("min_length", "at least {} values", "add the missing ones"),
    "too_long": ("max_length", "at most {} values", "remove the others"),
    "string_too_short": ("min_length", "at least {} characters", "write a longer text"),
    "string_too_long": ("max_length", "at most {} characters", "write a shorter text"),
}


def expectation(error: Any, /) -> tuple[str, str]:
    """What one of pydantic's errors expected, and what to write."""
    kind = error["type"]
    if kind in _BOUNDS:
        limit, expected, remedy = _BOUNDS[kind]
        bound = _plain(error["ctx"][limit])
        return expected.format(bound), remedy.format(bound)
    if kind in _TYPES:
        return _TYPES[kind], _instead(_TYPES[kind], error["input"])
    message = str(error["msg"]).removeprefix("Input should be ")
    return message[:1].lower() + message[
        1:
    ], "write one of those" if kind == "enum" else "write such a value"


def _plain(bound: float) -> float:
    # Of a bound on a float pydantic makes a float, and nobody writes 1000.0.
    return int(bound) if bound == int(bound) else bound


def _instead(expected: str, got: Any) -> str:
    if expected in {"an integer", "a number"} and _is_quoted_number(got):
        return f"write {got.strip()} without quotes"
    if expected == "a string" and isinstance(got, int | float):
        return f'write "{str(got).lower()}" in quotes'
    return _EXAMPLES[expected]


def _is_quoted_number(got: Any) -> bool:
    if not isinstance(got, str):
        return False
    try:
        float(got)
    except ValueError:
        return False
    return True
