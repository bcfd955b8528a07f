"""The kit's `AdapterSuite` on every bridged method, on two linear layers of 8 and 16.

`results` runs it by pytest, on this file; a class for each method is made as it is imported.
"""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from bridges.methods import methods
from graftwork.testing import AdapterSuite
from graftwork.testing.adapter.toys import Toy

TOY = Toy(
    name="linear",
    kind="linear",
    build=lambda: nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 8, bias=False)),
    shape=(2, 3, 8),
    largest_rank=8,
)
# The backend of the compiler takes longer than all the rest, and a module's lightness is the
# plugin's and not a method's.
REASONS = {
    "follows_the_backbone": "it keeps what it computed from the frozen weight as it was made",
    "rank_above_size_is_refused": "the libraries take any rank",
    "seed_decides": "what sites share, or a budget over all of them, depends on which there are",
}
"""Why a check does not pass, whatever the method."""
_NO_DOUBLE = (
    "LyCORIS's rotations are inverted in float32 and refuse float64, in which the kit works"
)
_SINGLE = "parts of it are computed in float32"
METHODS = {
    "lycoris/boft": _NO_DOUBLE,
    "lycoris/diag-oft": _NO_DOUBLE,
    "peft/adamss": _SINGLE,
    "peft/c3a": _SINGLE,
    "peft/deft": _SINGLE,
    "peft/adalora": "the count of its ranks is a parameter that does not train",
}
"""Why the checks without a reason above do not pass for a method."""
STARTS_ELSEWHERE = ("peft/c3a", "peft/fourierft", "peft/unilora", "peft/vblora")
SINGLE = ("peft/adamss", "peft/c3a", "peft/deft", "peft/frod")
"""What computes some of its parts in float32, whatever the dtype."""
LEFT_OUT = ("test_compiles", "test_plugin_module_is_light", "test_suite_is_whole")


class _Kit(AdapterSuite):
    """The suite on one toy."""

    def toys(self, only: Any = None) -> list[Toy]:
        return [TOY]


class Results:
    """What pytest reports, by method: the names of the checks that passed and failed."""

    def __init__(self) -> None:
        self.passed: defaultdict[str, list[str]] = defaultdict(list)
        self.failed: defaultdict[str, list[str]] = defaultdict(list)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Called by pytest after each phase of each check."""
        _, name, check = report.nodeid.split("::")
        kind = name.removeprefix("Test_").replace("__", "/").replace("_OR_", "-")
        check = check.partition("[")[0]
        if report.when == "call" and report.passed:
            self.passed[kind].append(check)
        elif report.failed:
            self.failed[kind].append(check)


def results(kinds: Sequence[str] = ()) -> dict[str, str]:
    """The kit's result for methods, by default for all: "34 of 35: not identity_at_start"."""
    found = Results()
    only = " or ".join(_class_name(kind) + " " for kind in kinds).replace(" ", "")
    chosen = f"({only}) and " if only else ""
    words = chosen + " and ".join(f"not {name}" for name in LEFT_OUT)
    options = ["-q", "--no-header", "--no-summary", "-p", "no:cacheprovider", "-k", words]
    pytest.main([*options, str(Path(__file__))], plugins=[found])
    return {
        kind: _told(kind, found.passed[kind], found.failed[kind])
        for kind in sorted({*found.passed, *found.failed})
    }


def _told(kind: str, passed: Sequence[str], failed: Sequence[str]) -> str:
    """The count, and what does not pass: by its name if that tells why, else by the method's
    reason, and "unexplained" for what has none."""
    names = sorted({name.removeprefix("test_") for name in failed})
    missing = [name for name in names if name in REASONS]
    others = [name for name in names if name not in REASONS]
    if others:
        missing.append(METHODS.get(kind) or f"unexplained {' '.join(others)}")
    told = f"{len(passed)} of {len(passed) + len(failed)}"
    return f"{told}: not {', '.join(missing)}" if missing else told


def _class_name(kind: str) -> str:
    return "Test_" + kind.replace("/", "__").replace("-", "_OR_")


for _method in methods():
    if not _method.broken:
        _name = _class_name(_method.kind)
        globals()[_name] = type(
            _name,
            (_Kit,),
            {
                "name": _method.kind,
                "settings": _method.settings,
                "identity_at_start": _method.kind not in STARTS_ELSEWHERE,
                "tolerance": 1e-5 if _method.kind in SINGLE else _Kit.tolerance,
                "__module__": __name__,
            },
        )
