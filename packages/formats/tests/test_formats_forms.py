"""The seam by which a stranger's method gets a place in PEFT's files; plugins/ia3 uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from torch import nn

from graftwork.core import AdapterSpec, hookimpl, plugins
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.formats.peft_forms import all_forms
from graftwork.nn import graft


class Stranger:
    """A plugin with a LoHa of its own, for which it claims PEFT's type."""

    @hookimpl
    def adapters(self) -> list[AdapterSpec]:
        return [
            AdapterSpec(
                name="my-loha",
                target="graftwork.adapters.loha:LoHa",
                config="graftwork.adapters.loha:LoHaConfig",
                summary="another LoHa",
                family="weight",
                forms={"peft": "graftwork.formats.peft_forms:LoHaForm"},
            )
        ]


@pytest.fixture
def manager() -> Iterator[PluginManager]:
    with plugins.use(PluginManager()) as manager:
        yield manager


@pytest.mark.usefixtures("manager")
def test_forms_of_this_package_and_of_plugins() -> None:
    found = all_forms()
    assert {"loha", "lokr", "oft"} <= found.keys()
    assert len({form.kind for form in found.values()}) == len(found)


def test_two_forms_for_one_type_are_refused(manager: PluginManager, tmp_path: Path) -> None:
    manager.register(Stranger(), "stranger")
    handle = graft(nn.Sequential(nn.Linear(4, 4)), "loha", {"rank": 2}, sites="*")
    with pytest.raises(GraftworkError, match="'loha' and 'my-loha' both claim peft_type LOHA"):
        handle.export(tmp_path / "out", format="peft")
    assert not (tmp_path / "out").exists()
