"""list, show, schema, cite and doctor."""

import json
import re
import sys
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any

import pytest

from graftwork.cli import accelerators
from graftwork.cli.bibtex import entries
from graftwork.core import AdapterSpec, LossSpec, hookimpl
from graftwork.core.config import Ge, Search, config


@config
class Inner:
    lr: float = 1e-3


@config
class Twist:
    """Settings of twist."""

    rank: Annotated[int, Ge(1), Search(4, 64, log=True)] = 8
    """Rank of the change."""

    trigger: str
    scale: float | None = None
    betas: tuple[float, float] = (0.9, 0.999)
    cache: bool = True
    inner: Inner = Inner()


@pytest.fixture(autouse=True)
def settings(monkeypatch) -> None:
    module: Any = ModuleType("dummy_settings")
    module.Twist = Twist
    monkeypatch.setitem(sys.modules, "dummy_settings", module)


def test_list_shows_every_kind_with_provider(graftwork) -> None:
    said = graftwork("list")
    assert said.status == 0
    blocks = dict(block.split("\n", 1) for block in said.out.strip().split("\n\n"))
    assert list(blocks) == ["adapters", "losses", "commands"]
    assert blocks["adapters"].split("\n")[1].split() == [
        "twist",
        "twists",
        "graftwork-dummy",
        "1.2",
    ]


def test_list_of_one_kind(graftwork) -> None:
    assert graftwork("list", "losses").out.splitlines()[0] == "losses"
    assert "twist" not in graftwork("list", "losses").out
    assert "no plugins" in graftwork("list", "sinks").out


def test_columns_begin_below_each_other(graftwork) -> None:
    rows = [line for line in graftwork("list").out.splitlines() if line.startswith("  ")]
    assert len({re.search(r"graftwork-\w+ \d", row).start() for row in rows}) == 1  # type: ignore[union-attr]


def test_list_as_json(graftwork) -> None:
    entries = json.loads(graftwork("list", "adapters", "--json").out)
    assert [entry["name"] for entry in entries] == ["both", "twist"]
    assert entries[1]["kind"] == "adapters"
    assert entries[1]["provider"] == "graftwork-dummy 1.2"


def test_list_mentions_broken_plugins_beside_the_answer(graftwork, manager) -> None:
    manager.register(SimpleNamespace(adapters=hookimpl(lambda: 1 / 0)), "x", distribution="dist-x")
    said = graftwork("list", "--json")
    json.loads(said.out)
    assert said.err == "broken: dist-x; see: graftwork doctor\n"


def test_list_of_a_kind_with_a_clash_names_both(graftwork, manager) -> None:
    spec = AdapterSpec(name="twist", target="m:X", summary="s", family="weight")
    manager.register(SimpleNamespace(adapters=hookimpl(lambda: [spec])), "x", distribution="dist-x")
    said = graftwork("list", "adapters")
    assert said.status == 2
    assert "dist-x" in said.err
    assert "graftwork-dummy 1.2" in said.err
    assert graftwork("list", "losses").status == 0


def test_show_tells_everything_about_one_plugin(graftwork) -> None:
    out = graftwork("show", "twist").out
    for line in (
        "adapters/twist: twists",
        "  provider   graftwork-dummy 1.2",
        "  family     weight",
        "  mergeable  true",
        "  cites      arXiv:2403.19243 Ji et al. 2025, Sine Activated {Matrices}",
        "  rank = 8  (int >= 1; search 4 .. 64 (log))\n      Rank of the change.",
        "  trigger = ...  required  (str)",
        "  scale  (float | None)",
        "  betas = [0.9, 0.999]  (tuple[float, float])",
        "  cache = true  (bool)",
        "  inner.lr = 0.001  (float)",
    ):
        assert f"{line}\n" in out


def test_show_of_a_plugin_without_settings_and_of_a_command(graftwork) -> None:
    assert "no settings" in graftwork("show", "losses/both").out
    out = graftwork("show", "commands/fit").out
    assert "  example    graftwork fit examples/cat.toml\n" in out
    assert "settings" not in out


def test_an_ambiguous_name_is_told_apart_by_its_kind(graftwork) -> None:
    said = graftwork("show", "both")
    assert said.status == 2
    assert "write adapters/both or losses/both" in said.err
    assert graftwork("show", "adapters/both").out.startswith("adapters/both: an adapter")


def test_an_unknown_name_gets_the_nearest(graftwork) -> None:
    assert "did you mean 'twist'?" in graftwork("show", "twits").err
    assert "did you mean 'twist'?" in graftwork("show", "adapters/twits").err
    assert "did you mean 'adapters'?" in graftwork("show", "adapter/twist").err


def test_schema_of_a_plugins_settings(graftwork) -> None:
    made = json.loads(graftwork("schema", "adapters/twist").out)
    assert made["properties"]["rank"]["x-search"] == {"low": 4, "high": 64, "log": True}
    assert made["additionalProperties"] is False


def test_schema_of_run_files_comes_from_train(graftwork, monkeypatch) -> None:
    module: Any = ModuleType("graftwork.train.schema")
    module.schema = lambda: {"title": "run"}
    monkeypatch.setitem(sys.modules, "graftwork.train", ModuleType("graftwork.train"))
    monkeypatch.setitem(sys.modules, "graftwork.train.schema", module)
    assert json.loads(graftwork("schema").out) == {"title": "run"}


def test_schema_of_run_files_without_train_says_what_to_install(graftwork, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "graftwork.train", None)
    monkeypatch.setitem(sys.modules, "graftwork.train.schema", None)
    said = graftwork("schema")
    assert said.status == 2
    assert said.err.endswith("run: pip install 'graftwork-train'\n")


def test_cite_prints_bibtex_once_for_all_its_users(graftwork) -> None:
    assert (
        graftwork("cite", "twist", "adapters/twist", "losses/both").out
        == """\
% losses/both names no source

% adapters/twist
@misc{ji2025sine,
  author = {Ji and others},
  title = {{Sine Activated \\{Matrices\\}}},
  year = {2025},
  eprint = {2403.19243},
  archiveprefix = {arXiv},
}

"""
    )


@pytest.mark.parametrize(
    ("source", "parts"),
    [
        ("arXiv:2106.09685v2 Hu et al. 2021, LoRA", ["eprint = {2106.09685}", "{Hu and others}"]),
        ("arXiv:cs/0112017 Doe 2001: A & B", ["eprint = {cs/0112017}", r"{{A \& B}}"]),
        (
            "doi:10.1000/x_1 Müller, Doe and Roe 1999 On",
            ["doi = {10.1000/x_1}", "{Müller and Doe and Roe}"],
        ),
        (
            "arXiv:1711.05101 Loshchilov and Hutter 2019, AdamW",
            ["{Loshchilov and Hutter}", "loshchilov2019adamw"],
        ),
        ("A book, 50% of it", [r"title = {{A book, 50\% of it}}"]),
    ],
)
def test_sources_in_every_form(source: str, parts: list[str]) -> None:
    (entry,) = entries([source])
    assert all(part in entry for part in parts), entry
    assert re.fullmatch(r"@misc\{[a-z0-9]+,\n(  \w+ = \{.*\},\n)+\}", entry)


def test_keys_differ() -> None:
    one, two = entries(["arXiv:2106.09685 Hu 2021, LoRA one", "arXiv:2106.09686 Hu 2021, LoRA two"])
    assert one.split(",")[0] != two.split(",")[0]


@pytest.fixture
def libraries(monkeypatch) -> None:
    monkeypatch.setattr("graftwork.cli.doctor.findings", lambda: [("torch", "not installed")])


@pytest.mark.usefixtures("libraries")
def test_doctor_is_content(graftwork) -> None:
    said = graftwork("doctor")
    assert said.status == 0
    assert said.out.endswith("all is well\n")
    assert re.search(r"^  dummy +graftwork-dummy 1\.2$", said.out, re.MULTILINE)
    assert re.search(r"^  python +3\.", said.out, re.MULTILINE)


@pytest.mark.usefixtures("libraries")
def test_doctor_tells_broken_plugins_and_clashes(graftwork, manager) -> None:
    manager.register(SimpleNamespace(formats=hookimpl(lambda: 1 / 0)), "bad", distribution="dist-x")
    spec = LossSpec(name="both", target="m:X", summary="s")
    manager.register(SimpleNamespace(losses=hookimpl(lambda: [spec])), "twin")
    said = graftwork("doctor")
    assert said.status == 1
    assert "bad  dist-x  hook formats raised ZeroDivisionError" in said.out
    assert "losses: 'both' is offered by both" in said.out
    assert said.out.endswith("2 problems found\n")


@pytest.mark.usefixtures("libraries")
def test_doctor_notices_a_block_that_blocks_nothing(graftwork, monkeypatch) -> None:
    monkeypatch.setenv("GRAFTWORK_BLOCK", "no-such-plugin")
    assert "no-such-plugin  is not installed; mend GRAFTWORK_BLOCK=" in graftwork("doctor").out


def test_a_library_that_crashes_is_told(monkeypatch) -> None:
    crash = "import os, sys; sys.stderr.write('bad build\\n'); os.abort()"
    monkeypatch.setattr(accelerators, "_ASKED", {"pytest": crash, "no-such-library": ""})
    told = dict(accelerators.findings())
    assert told["pytest"].endswith("fails to import (bad build)")
    assert told["no-such-library"] == "not installed"


def test_a_library_that_hangs_is_told(monkeypatch) -> None:
    monkeypatch.setattr(accelerators, "SECONDS", 0.2)
    monkeypatch.setattr(accelerators, "_ASKED", {"pytest": "import time; time.sleep(60)"})
    assert "does not answer" in dict(accelerators.findings())["pytest"]
