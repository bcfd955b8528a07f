"""Methods of PEFT and LyCORIS through run files, the command line and a search's settings."""

import json

import pytest

pytest.importorskip("graftwork_peft")
pytest.importorskip("graftwork_lycoris")


@pytest.mark.parametrize("kind", ["peft/vera", "peft/lora", "lycoris/lokr"])
def test_a_run_with_a_bridged_method(graftwork, write_run, tmp_path, kind) -> None:
    out = tmp_path / "run"
    said = graftwork("fit", write_run({"adapter": {"kind": kind, "rank": 2}}), "--out", out)
    assert said.status == 0, said.err
    assert f'kind = "{kind}"' in (out / "run.toml").read_text()
    assert json.loads((out / "adapter" / "adapter.json").read_text())["method"] == kind
    said = graftwork("evaluate", out)
    assert said.status == 0, said.err


def test_the_command_line_knows_their_names(graftwork) -> None:
    assert "adapters/peft/vera" in graftwork("show", "peft/vera").out
    assert "rank = 256" in graftwork("show", "adapters/peft/vera").out
    assert "did you mean 'peft/vera'?" in graftwork("show", "peft/verra").err
    assert "rank" in graftwork("schema", "lycoris/loha").out


def test_a_mistake_in_a_run_file_is_one_line(graftwork, write_run) -> None:
    said = graftwork("fit", write_run({"adapter": {"kind": "peft/vera", "rnak": 2}}))
    assert said.status == 2
    assert "adapter.rnak: unknown key; did you mean 'rank'?" in said.err
    said = graftwork("fit", write_run({"adapter": {"kind": "peft/c3a", "block_size": 7}}))
    assert said.status == 2
    assert "peft/c3a" in said.err
