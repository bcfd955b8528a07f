"""docs/bridges.md says what the installed PEFT and LyCORIS bring, and what each method does."""

import pytest

pytest.importorskip("graftwork_peft")
pytest.importorskip("graftwork_lycoris")

from lycoris.wrapper import network_module_dict
from peft.utils import PeftType

import table_bridges
from bridges.methods import methods, versions

WITH_KIT = ("peft/hra", "lycoris/lokr")


def test_every_method_of_both_registries_has_its_place() -> None:
    theirs = {f"peft/{str(one.value).lower()}" for one in PeftType} - {"peft/graftwork"}
    theirs |= {f"lycoris/{name}" for name in network_module_dict}
    assert {method.kind for method in methods()} == theirs


@pytest.mark.filterwarnings("ignore")
def test_the_page_is_as_a_run_of_today_would_write_it() -> None:
    assert table_bridges.stale(WITH_KIT) == []
    text = table_bridges.PAGE.read_text("utf-8")
    assert versions() in text
    assert "| not run |" not in text


def test_a_line_that_is_no_longer_true_is_found(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = table_bridges.PAGE.read_text("utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| `peft/vera`"))
    changed = tmp_path / "bridges.md"
    changed.write_text(text.replace(row, row.replace("| yes |", "| no |")))
    monkeypatch.setattr(table_bridges, "PAGE", changed)
    [found] = table_bridges.stale()
    assert found.endswith(row)
