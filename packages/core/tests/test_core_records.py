import pytest

from graftwork.core import AdapterSpec, GraftworkError, LossSpec, config
from graftwork.core.config import NoSettings
from graftwork.core.records import KINDS, RECORDS


@config
class Settings:
    rank: int = 4


def adapter(**changes: object) -> AdapterSpec:
    given = {"name": "x", "target": "m:X", "summary": "s", "family": "weight"} | changes
    return AdapterSpec(**given)  # type: ignore[arg-type]


def test_every_kind_has_its_record_class() -> None:
    assert len(KINDS) == 11
    assert all(RECORDS[kind].kind == kind for kind in KINDS)


@pytest.mark.parametrize(
    "name", ["", "Lora", "a b", "-x", "x-", "a--b", "x//y", "x/", "/x", "x/y/z"]
)
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="name"):
        adapter(name=name)


@pytest.mark.parametrize("name", ["lora", "sine-lora", "3d", "sd1.5", "min_snr", "peft/ln_tuning"])
def test_an_ordinary_name_is_taken(name: str) -> None:
    assert adapter(name=name).name == name


@pytest.mark.parametrize(
    "target", ["", "module", "module:", ":X", "a.b.C", "a b:C", "a:b:c", "a..b:C"]
)
def test_a_malformed_target_is_refused(target: str) -> None:
    with pytest.raises(ValueError, match="target"):
        adapter(target=target)
    with pytest.raises(ValueError, match="config"):
        adapter(config=target)


def test_load_imports_the_target() -> None:
    assert adapter(target="fractions:Fraction.from_float").load()(0.5) == 0.5


def test_a_missing_module_says_what_to_install() -> None:
    record = adapter(target="no_such_module:X", provider="graftwork-far 1.0", extra="deep")
    with pytest.raises(GraftworkError) as caught:
        record.load()
    assert str(caught.value) == (
        "adapters 'x' (graftwork-far 1.0): module 'no_such_module' is not installed; "
        "run: pip install 'graftwork-far[deep]'"
    )


def test_a_missing_module_of_an_unknown_provider_names_itself() -> None:
    with pytest.raises(GraftworkError, match="pip install 'no_such_module'"):
        adapter(target="no_such_module.deeper:X").load()


def test_a_missing_object_names_the_nearest() -> None:
    with pytest.raises(GraftworkError, match=r"there is no 'Fractoin'; did you mean 'Fraction'\?"):
        adapter(target="fractions:Fractoin").load()


def test_code_that_fails_to_import_is_one_line(install, tmp_path) -> None:
    install("far", {}, far_code="raise RuntimeError('two\\nlines')")
    with pytest.raises(GraftworkError) as caught:
        adapter(target="far_code:X", provider="far 1.2").load()
    assert "fails to import (RuntimeError: two lines)" in str(caught.value)
    assert str(caught.value).endswith("update or reinstall far")


def test_a_name_that_cannot_be_imported_asks_for_an_upgrade(install) -> None:
    install("far", {}, far_old="from fractions import NewThing")
    with pytest.raises(GraftworkError, match="run: pip install --upgrade 'far'"):
        adapter(target="far_old:X", provider="far 1.2").load()


def test_settings_class_from_a_string_a_class_or_none(install) -> None:
    install("far", {}, far_settings="class Named: pass")
    assert adapter(config="far_settings:Named").settings_class().__name__ == "Named"
    assert adapter(config=Settings).settings_class() is Settings
    assert adapter().settings_class() is NoSettings


def test_the_label_names_kind_and_provider() -> None:
    assert adapter().label == "adapters 'x'"
    loss = LossSpec(name="cat", target="m:C", summary="s", provider="graftwork-losses 0.1.0")
    assert loss.label == "losses 'cat' (graftwork-losses 0.1.0)"


def test_forms_are_checked_and_loaded_by_name() -> None:
    assert adapter().forms is None
    assert len({adapter(forms={"peft": "m:Form"}), adapter()}) == 2, "records are hashed"
    with pytest.raises(ValueError, match="form for 'peft'"):
        adapter(forms={"peft": "Form"})
    found = adapter(forms={"peft": "pathlib:Path"}).load_form("peft")
    assert found.__name__ == "Path"
