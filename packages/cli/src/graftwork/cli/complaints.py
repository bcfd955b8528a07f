"""One line from the box that tyro draws around a mistake."""

import re

from graftwork.cli.shape import Shape

# tyro draws its box with spaces where the terminal's encoding has nothing better.
_FRAME = re.compile(r"^[╭│╰]|[╮│╯]$")
_RULE = re.compile(r"[─-]+")
_PLAINER = {
    r"invalid literal for int\(\) with base \d+: (.*)": r"expected a whole number, got \1",
    r"could not convert string to float: (.*)": r"expected a number, got \1",
    r"invalid choice (.*) for argument '(.*)'\. Expected one of \((.*?),?\)": (
        r"\2: got \1, expected one of: \3"
    ),
    r"Missing value for argument '(.*)'\. Expected (\d+) values": r"\1: a value is missing",
}


def complaint(shape: Shape, box: str, *, example: str) -> str:
    """``command: what is wrong; remedy``, naming the argument.

    ``box`` is what tyro printed: a title, the problem, a rule, and advice.
    """
    remedy = f"as in: {example}" if example else f"see: graftwork {shape.command} --help"
    missing = _missing(shape, box)
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        return f"{shape.command}: {' and '.join(missing)} {verb} missing; {remedy}"
    return f"{shape.command}: {_problem(box)}; see: graftwork {shape.command} --help"


def _missing(shape: Shape, box: str) -> list[str]:
    if "Required" not in box.partition("\n")[0]:
        return []
    words = set(box.split())
    return [each.label for each in shape.arguments if each.required and each.label in words]


def _problem(box: str) -> str:
    """What stands between the title and the first rule after it."""
    lines = [_FRAME.sub("", line).strip() for line in box.splitlines()[1:]]
    if lines and _RULE.fullmatch(lines[0]):  # under the title, in a box of spaces
        lines.pop(0)
    rule = next((at for at, line in enumerate(lines) if _RULE.fullmatch(line)), len(lines))
    words = " ".join(lines[:rule]).split()
    return _plainer(" ".join(words)) or "the arguments do not fit"


def _plainer(problem: str) -> str:
    """tyro's words in ours."""
    problem = problem.removeprefix("Error parsing ").rstrip(".")
    problem = problem.replace("Unrecognized options: ", "does not expect ")
    for theirs, ours in _PLAINER.items():
        problem = re.sub(theirs, ours, problem)
    return problem
