"""Every check passes on a small repository that keeps the rules, and fails when one is broken."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from repository import ROOT

CHECKS = sorted(path.stem for path in ROOT.glob("tools/check_*.py"))
PORTION = "packages/nn/src/graftwork/nn"
IA3 = "plugins/ia3/src/graftwork_ia3"

# Check, the file that breaks its rule, the text of that file, and what the check says.
BROKEN = [
    ("check_namespace", "packages/nn/src/graftwork/__init__.py", "", "holds no files"),
    ("check_namespace", "packages/nn/src/graftwork/py.typed", "", "holds no files"),
    ("check_namespace", "packages/nn/src/graftwork/backbones/__init__.py", "", "holds no files"),
    ("check_namespace", "packages/nn/src/graftwork/late/py.typed", "", "__init__.py is missing"),
    ("check_namespace", "packages/nn/src/graftwork/late/__init__.py", "", "py.typed is missing"),
    ("check_dependencies", f"{PORTION}/site.py", "import torch, skimage", "imports scikit-image"),
    ("check_dependencies", f"{PORTION}/site.py", "", "torch is declared and never imported"),
    ("check_dependencies", f"{PORTION}/late.py", "def f():\n    import ray", "imports ray"),
    ("check_dependencies", f"{PORTION}/late.py", "import numpy", "not 'unimported'"),
    ("check_dependencies", f"{PORTION}/late.py", "import graftwork_ia3", "imports graftwork-ia3"),
    (
        "check_dependencies",
        "packages/core/src/graftwork/core/late.py",
        "try:\n    pass\nexcept OSError:\n    from graftwork.nn import graft",
        "imports graftwork-nn",
    ),
    ("check_plugin_light", f"{PORTION}/plugin.py", "import torch", "imports torch"),
    ("check_plugin_light", f"{PORTION}/plugin.py", "import graftwork.nn.site", "graftwork.nn.site"),
    ("check_plugin_light", f"{PORTION}/__init__.py", "if True:\n    import numpy", "imports numpy"),
    ("check_plugins", f"{IA3}/adapter.py", "import graftwork.train", "imports graftwork.train"),
    ("check_plugins", f"{PORTION}/late.py", "import graftwork_ia3", "use the registry"),
    ("check_text", "README.md", "It lies in /ro" + "ot/graftwork.", "a path of one machine"),
    ("check_text", "README.md", "See /ho" + "me/someone/x", "a path of one machine"),
    ("check_text", "README.md", "pip install --inde" + "x-url x", "a package index"),
    ("check_text", f"{PORTION}/late.py", "# TO" + "DO: all of it", "an unfinished note"),
]


@pytest.mark.parametrize("check", CHECKS)
def test_a_repository_that_keeps_the_rules_passes(check: str, repository: Path) -> None:
    assert import_module(check).main(repository) == 0


@pytest.mark.parametrize(("check", "file", "text", "said"), BROKEN)
def test_a_broken_rule_is_named(
    check: str,
    file: str,
    text: str,
    said: str,
    repository: Path,
    write: Callable[[str, str], Path],
    capsys: pytest.CaptureFixture[str],
) -> None:
    write(file, text)
    assert import_module(check).main(repository) == 1
    assert said in capsys.readouterr().out


@pytest.mark.parametrize(
    ("file", "text"),
    [
        (f"{PORTION}/plugin.py", "def adapters():\n    import torch"),
        (
            f"{PORTION}/plugin.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import ray",
        ),
    ],
)
def test_a_plugin_may_import_late(
    file: str, text: str, repository: Path, write: Callable[[str, str], Path]
) -> None:
    write(file, text)
    assert import_module("check_plugin_light").main(repository) == 0


def test_every_check_is_shown_to_fail() -> None:
    assert set(CHECKS) == {check for check, *_ in BROKEN}
