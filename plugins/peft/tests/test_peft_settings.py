"""Settings made from PEFT's configurations, and what listing them costs."""

import pickle
import re
from pathlib import Path
from typing import Any

import peft
import pytest
from torch import nn

from graftwork.core import registry
from graftwork.core.config import as_dict, describe, parse, schema
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.testing.plugins import heavy_imports
from graftwork_peft import catalogue
from graftwork_peft.settings import peft_config, settings_class
from graftwork_peft.sources import SOURCES

REQUIRED: dict[str, dict[str, Any]] = {
    "adalora": {"total_step": 100},
    "trainable_tokens": {"token_indices": [1]},
}


def test_listing_imports_neither_peft_nor_torch() -> None:
    assert heavy_imports("graftwork_peft.plugin; graftwork_peft.plugin.adapters()") == []


@pytest.mark.parametrize("method", catalogue.injectable())
def test_settings_are_documented_and_survive_a_file(method: str) -> None:
    cls = registry.find("adapters", f"peft/{method}").settings_class()
    settings = parse(cls, REQUIRED.get(method, {}), "run.toml: adapter")
    assert parse(cls, as_dict(settings), "again") == settings
    assert pickle.loads(pickle.dumps(settings)) == settings
    listed = schema(cls).get("properties", {})
    for setting in describe(cls):
        assert setting.doc
        assert listed[setting.name]["description"] == setting.doc


@pytest.mark.parametrize("method", catalogue.injectable())
def test_search_ranges_are_taken(method: str) -> None:
    cls = settings_class(method)
    for setting in describe(cls):
        if setting.search is not None:
            whole = setting.type_text.startswith("int")
            for value in (setting.search.low, setting.search.high):
                assert value is not None
                given = {setting.name: int(value) if whole else value}
                parse(cls, {**REQUIRED.get(method, {}), **given}, method)


def test_the_shared_names() -> None:
    settings = settings_class("lora")(rank=4, alpha=2.0, dropout=0.1)
    config = peft_config("lora", settings)
    assert (config.r, config.lora_alpha, config.lora_dropout) == (4, 2.0, 0.1)
    names = {
        s.name for method in ("vera", "miss", "hira") for s in describe(settings_class(method))
    }
    assert {"rank", "dropout"} <= names
    assert not {"r", "vera_dropout", "miss_dropout", "hira_dropout", "target_modules"} & names


def test_what_would_change_the_backbone_is_no_setting() -> None:
    with pytest.raises(GraftworkError, match=r"init_lora_weights: expected .*'gaussian'"):
        parse(settings_class("lora"), {"init_lora_weights": "pissa"}, "run.toml: adapter")


def test_peft_checks_settings_together() -> None:
    with pytest.raises(GraftworkError, match=r"run\.toml: adapter: .*`tfinal`"):
        parse(settings_class("adalora"), {"total_step": 5, "tinit": 9}, "run.toml: adapter")


def test_peft_checks_the_sites() -> None:
    model = nn.Sequential(nn.Linear(6, 7))
    with pytest.raises(GraftworkError, match=r"peft/c3a: 0: ValueError: .*block size"):
        graft(model, "peft/c3a", {"block_size": 4}, sites="*")
    assert type(model[0]) is nn.Linear


def test_dropout_is_refused_where_it_would_not_act() -> None:
    with pytest.raises(GraftworkError, match=r"adapter\.dropout: .*linear layers alone"):
        graft(nn.Sequential(nn.Conv2d(4, 4, 3)), "peft/lora", {"dropout": 0.1}, sites="*")


def test_a_method_of_a_new_peft_is_there_the_same_day(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "utils").mkdir()
    enum = 'class PeftType(str, enum.Enum):\n    LORA = "LORA"\n    BRAND_NEW = "BRAND_NEW"\n'
    (tmp_path / "utils" / "peft_types.py").write_text(enum)
    (tmp_path / "tuners" / "brand_new").mkdir(parents=True)
    (tmp_path / "tuners" / "brand_new" / "layer.py").touch()
    monkeypatch.setattr(catalogue, "_folder", lambda: tmp_path)
    assert catalogue.methods.__wrapped__() == ("brand_new", "lora")
    monkeypatch.setattr(catalogue, "methods", catalogue.methods.__wrapped__)
    assert catalogue.injectable.__wrapped__() == ("brand_new",)


def test_sources_are_those_that_peft_names() -> None:
    """Every arXiv number stands in PEFT's own files of that method."""
    tuners = Path(peft.__file__).parent / "tuners"
    assert SOURCES.keys() <= set(catalogue.injectable())
    assert {"lora", "vera", "oft", "boft", "hra"} <= SOURCES.keys()
    for method, cites in SOURCES.items():
        text = "".join(path.read_text("utf-8") for path in (tuners / method).glob("*.py"))
        for source in cites:
            number = re.fullmatch(r"arXiv:(\d{4}\.\d{5}) .+", source)
            assert number, source
            assert number[1] in text, f"{method}: PEFT does not name {number[1]}"
        assert registry.find("adapters", f"peft/{method}").cites == cites
