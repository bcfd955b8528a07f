"""Distributions made on the fly, the way an installer would leave them."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """``install("dist-name", {"entry": "module"}, module="source")``; no other plugin is seen."""
    site = tmp_path / "site"
    site.mkdir()
    outside = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", [str(site), *outside])
    before = set(sys.modules)

    def install_one(
        name: str, entries: dict[str, str], *, version: str = "1.2", **modules: str
    ) -> None:
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        lines = "".join(f"{entry} = {module}\n" for entry, module in entries.items())
        (info / "entry_points.txt").write_text(f"[graftwork]\n{lines}")
        for module, source in modules.items():
            (site / f"{module}.py").write_text(textwrap.dedent(source))
        importlib.invalidate_caches()

    yield install_one
    for name in set(sys.modules) - before:
        if str(site) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]
