"""Every import contract of the workspace is kept by a clean tree and broken by a bad import."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from sysconfig import get_path

import pytest

from repository import ROOT

PORTIONS = "adapters backbones/diffusion backbones/vision cli core data formats losses".split()
PORTIONS += "labels metrics nn raw testing train tune video".split()

# Contract, module with a bad import, and the import.
VIOLATIONS = [
    ("layers", "core/bad.py", "import graftwork.nn"),
    ("layers", "nn/bad.py", "from graftwork.adapters import good"),
    ("layers", "nn/bad.py", "from graftwork.backbones.diffusion import good"),
    ("layers", "nn/bad.py", "import graftwork.raw"),
    ("layers", "raw/bad.py", "import graftwork.data"),
    ("layers", "raw/bad.py", "import graftwork.video"),
    ("layers", "video/bad.py", "from graftwork.backbones.vision import good"),
    ("layers", "video/bad.py", "import graftwork.raw"),
    ("layers", "labels/bad.py", "import graftwork.video"),
    ("layers", "labels/bad.py", "from graftwork.backbones.vision import good"),
    ("layers", "raw/bad.py", "from graftwork.backbones.diffusion import good"),
    ("layers", "train/bad.py", "import graftwork.tune"),
    ("layers", "tune/bad.py", "import graftwork.cli"),
    ("layers", "adapters/bad.py", "import graftwork.losses"),
    ("layers", "losses/bad.py", "import graftwork.data"),
    ("layers", "metrics/bad.py", "def late():\n    import graftwork.adapters"),
    ("layers", "data/bad.py", "import graftwork.train"),
    ("layers", "backbones/vision/bad.py", "import graftwork.adapters"),
    ("layers", "formats/bad.py", "import graftwork.backbones.diffusion"),
    ("layers", "cli/bad.py", "import graftwork.testing"),
    ("backbones are strangers", "backbones/vision/bad.py", "import graftwork.backbones.diffusion"),
    ("plugins are met through the registry", "train/bad.py", "import graftwork.adapters"),
    ("plugins are met through the registry", "tune/bad.py", "import graftwork.data"),
    ("plugins are met through the registry", "train/bad.py", "import graftwork.formats"),
    ("plugins are met through the registry", "cli/bad.py", "import graftwork.backbones.vision"),
    ("tasks are met through the registry", "train/bad.py", "import graftwork.raw"),
    ("tasks are met through the registry", "cli/bad.py", "import graftwork.video"),
    ("tasks are met through the registry", "tune/bad.py", "import graftwork.labels"),
    ("plugins are met through the registry", "testing/bad.py", "import graftwork.metrics"),
    ("testing knows no runs", "testing/bad.py", "import graftwork.train"),
    ("core has no tensors", "core/bad.py", "import torch.nn"),
    ("core has no tensors", "core/bad.py", "def late():\n    import numpy"),
    ("core has no tensors", "core/bad.py", "import ray"),
    ("ray only in tune", "train/bad.py", "from ray import tune"),
    ("tyro and rich only in cli", "tune/bad.py", "import rich.live"),
    ("tyro and rich only in cli", "core/bad.py", "import tyro"),
    ("pydantic only in core.config", "core/bad.py", "import pydantic"),
    ("diffusers only in backbones.diffusion", "backbones/vision/bad.py", "import diffusers"),
    (
        "transformers only in backbones and metrics.pretrained",
        "metrics/bad.py",
        "import transformers",
    ),
    ("timm only in backbones.vision", "backbones/diffusion/bad.py", "import timm"),
]

DOORS = {
    "core/config.py": "import pydantic",
    "tune/good.py": "import ray",
    "cli/good.py": "import graftwork.tune, rich.live, tyro",
    "backbones/diffusion/good.py": "import diffusers, transformers",
    "backbones/vision/good.py": "import timm, transformers",
    "metrics/pretrained.py": "import transformers",
    "train/good.py": "import graftwork.nn\nif TYPE_CHECKING:\n    import rich",
}


def contracts() -> set[str]:
    workspace = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    return {each["name"] for each in workspace["tool"]["importlinter"]["contracts"]}


def plant(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / "graftwork" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A small graftwork with every portion, and every door used by the one who may."""
    plant(tmp_path, {f"{portion}/__init__.py": "" for portion in PORTIONS})
    plant(tmp_path, {f"{portion}/good.py": "" for portion in PORTIONS} | DOORS)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(tree: Path) -> subprocess.CompletedProcess[str]:
    code = "from importlinter.cli import lint_imports_command as lint; lint()"
    # -S: no .pth files, which would add the portions of the real graftwork to the tree's.
    return subprocess.run(
        [sys.executable, "-S", "-P", "-c", code, "--no-cache", "--no-logo"],
        cwd=tree,
        env=os.environ | {"PYTHONPATH": f"{tree}{os.pathsep}{get_path('purelib')}"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_clean_tree_keeps_every_contract(tree: Path) -> None:
    done = lint_imports(tree)
    assert done.returncode == 0, done.stdout
    assert f"{len(contracts())} kept, 0 broken" in done.stdout


@pytest.mark.parametrize(("contract", "file", "line"), VIOLATIONS)
def test_a_bad_import_breaks_its_contract(tree: Path, contract: str, file: str, line: str) -> None:
    plant(tree, {file: line})
    done = lint_imports(tree)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout


def test_every_contract_is_shown_to_fail() -> None:
    assert contracts() == {contract for contract, *_ in VIOLATIONS}
