"""A small repository that keeps every rule, for each test to break one."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

NN = """\
[project]
name = "graftwork-nn"
dependencies = ["graftwork-core", "torch>=2"]

[tool.graftwork.unimported]
numpy = "torch converts through it"
"""
CORE = """\
[project]
name = "graftwork-core"
dependencies = ["pluggy"]
"""
IA3 = """\
[project]
name = "graftwork-ia3"
dependencies = ["graftwork-nn"]

[project.optional-dependencies]
images = ["pillow"]
"""
ALL = """\
[project]
name = "graftwork"
dependencies = ["graftwork-nn"]
"""
TREE = {
    "packages/core/pyproject.toml": CORE,
    "packages/core/src/graftwork/core/__init__.py": "import pluggy\n",
    "packages/core/src/graftwork/core/py.typed": "",
    "packages/nn/pyproject.toml": NN,
    "packages/nn/src/graftwork/nn/__init__.py": "",
    "packages/nn/src/graftwork/nn/py.typed": "",
    "packages/nn/src/graftwork/nn/plugin.py": "import sys\nfrom graftwork.core import hookimpl\n",
    "packages/nn/src/graftwork/nn/site.py": "import torch.nn\nimport graftwork.core.records\n",
    "packages/all/pyproject.toml": ALL,
    "plugins/ia3/pyproject.toml": IA3,
    "plugins/ia3/src/graftwork_ia3/__init__.py": "",
    "plugins/ia3/src/graftwork_ia3/py.typed": "",
    "plugins/ia3/src/graftwork_ia3/adapter.py": (
        "from graftwork.nn import WeightAdapter\n\n\ndef draw():\n    from PIL import Image\n"
    ),
    "README.md": "A small repository.\n",
}

Write = Callable[[str, str], Path]


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    for name, text in TREE.items():
        write_below(tmp_path, name, text)
    subprocess.run(["git", "init", "--quiet"], cwd=tmp_path, check=True)
    return tmp_path


@pytest.fixture
def write(repository: Path) -> Write:
    """Write one file of the small repository."""
    return lambda name, text: write_below(repository, name, text)


def write_below(root: Path, name: str, text: str) -> Path:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path
