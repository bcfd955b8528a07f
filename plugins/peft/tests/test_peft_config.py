"""Weight adapters of graftwork as a method of PEFT."""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils import PeftType
from torch import Tensor, nn

from graftwork.core import AdapterSpec, hookimpl
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager, use
from graftwork.nn import Site, WeightAdapter
from graftwork_peft import GraftworkConfig

ADAPTERS: dict[str, dict[str, Any]] = {
    "lora": {"rank": 3, "alpha": 6.0},
    "dora": {"rank": 3},
    "sine-lora": {"rank": 3},
    "ia3": {},
    "strange": {},
}


class Strange(WeightAdapter):
    """W' = W + a b^T, by somebody else."""

    def __init__(self, site: Site, settings: Any) -> None:
        super().__init__(site)
        self.a = nn.Parameter(torch.zeros(site.rows, 1))
        self.b = nn.Parameter(torch.randn(1, site.cols))
        self.register_buffer("scale", torch.tensor(0.5))

    def effective(self, weight: Tensor) -> Tensor:
        """W + a b^T."""
        return weight + self.scale * self.a @ self.b


class Stranger:
    @hookimpl
    def adapters(self) -> list[AdapterSpec]:
        target = f"{__name__}:Strange"
        return [AdapterSpec(name="strange", target=target, summary="one", family="weight")]


@pytest.fixture(autouse=True)
def _with_a_stranger() -> Iterator[None]:
    both = PluginManager()
    both.register(Stranger(), "stranger")
    torch.manual_seed(0)
    with use(both):
        yield


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(11, 8)
        self.convolution = nn.Conv2d(8, 8, 3, padding=1)
        self.head = nn.Linear(8, 6)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.tokens(ids)
        return self.head(self.convolution(h.mT.unsqueeze(-1)).squeeze(-1).mT)


def net() -> nn.Module:
    torch.manual_seed(7)
    return Net().eval().requires_grad_(False)


IDS = torch.arange(10).view(2, 5)


def wrapped(adapter: str, **changes: Any) -> Any:
    config = GraftworkConfig(
        adapter=adapter,
        settings=ADAPTERS[adapter],
        target_modules=["tokens", "convolution", "head"],
        **changes,
    )
    return get_peft_model(net(), config)


def shake(model: Any) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def near(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_life_in_peft(adapter: str, tmp_path: Path) -> None:
    frozen = net()(IDS)
    model = wrapped(adapter)
    assert near(model(IDS), frozen)
    trains = {name for name, p in model.named_parameters() if p.requires_grad}
    assert trains
    assert all(".graftwork_adapters.default." in name for name in trains)
    shake(model)
    output = model(IDS)
    output.square().sum().backward()
    assert all(p.grad is not None for p in model.parameters() if p.requires_grad)
    assert not near(output, frozen)
    with model.disable_adapter():
        assert torch.equal(model(IDS), frozen)

    model.save_pretrained(tmp_path)
    again = PeftModel.from_pretrained(net(), tmp_path).eval()
    assert torch.equal(again(IDS), output)
    assert again.peft_config["default"].settings == ADAPTERS[adapter]

    model.merge_adapter(safe_merge=True)
    assert near(model(IDS), output)
    model.unmerge_adapter()
    assert torch.equal(model(IDS), output)
    plain = again.merge_and_unload()
    assert near(plain(IDS), output)
    assert [type(module) for module in plain.modules()] == [type(m) for m in net().modules()]


def test_lora_is_pefts_lora() -> None:
    """The same factors, with alpha other than the rank, give what PEFT's LoRA gives."""
    names = ["tokens", "convolution", "head"]
    config = LoraConfig(r=3, lora_alpha=6, target_modules=names, init_lora_weights=False)
    theirs: Any = get_peft_model(net(), config)
    ours = wrapped("lora")
    for name in names:
        layer = theirs.base_model.model.get_submodule(name)
        adapter = ours.base_model.model.get_submodule(name).graftwork_adapters["default"]
        delta = adapter.site.matrix(layer.get_delta_weight("default"))
        a, b = _factors(layer)
        assert near(6 / 3 * b @ a, delta)
        shapes = {tuple(a.shape): a, tuple(b.shape): b}
        with torch.no_grad():
            for parameter in adapter.parameters():
                parameter.copy_(shapes[tuple(parameter.shape)])
    assert near(ours(IDS), theirs(IDS))


def _factors(layer: Any) -> tuple[Tensor, Tensor]:
    if len(layer.lora_embedding_A):
        return layer.lora_embedding_A["default"].detach(), layer.lora_embedding_B[
            "default"
        ].detach()
    a, b = (part["default"].weight.detach().flatten(1) for part in (layer.lora_A, layer.lora_B))
    return a, b


def test_several_adapters(tmp_path: Path) -> None:
    model = wrapped("lora")
    shake(model)
    first = model(IDS)
    other = GraftworkConfig(adapter="dora", settings={"rank": 2}, target_modules=["head"])
    model.add_adapter("other", other)
    assert torch.equal(model(IDS), first)
    model.set_adapter("other")
    assert near(model(IDS), net()(IDS))
    shake(model)
    second = model(IDS)
    model.base_model.set_adapter(["default", "other"])
    both = model(IDS)
    model.merge_adapter()
    assert near(model(IDS), both)
    model.unmerge_adapter()
    model.delete_adapter("default")
    model.set_adapter("other")
    assert near(model(IDS), second)
    model.save_pretrained(tmp_path)
    assert (tmp_path / "other" / "adapter_model.safetensors").is_file()


def test_a_merge_is_in_the_backbones_dtype_and_safe() -> None:
    model = wrapped("lora").to(torch.bfloat16)
    shake(model)
    assert model.merge_and_unload()(IDS).dtype == torch.bfloat16
    broken = wrapped("lora")
    with torch.no_grad():
        next(p for p in broken.parameters() if p.requires_grad).fill_(float("nan"))
    before = copy.deepcopy(broken.base_model.model.tokens.base_layer.weight)
    with pytest.raises(ValueError, match="NaN"):
        broken.merge_adapter(safe_merge=True)
    assert torch.equal(broken.base_model.model.tokens.base_layer.weight, before)


def test_pefts_enumeration_is_left_alone() -> None:
    assert "GRAFTWORK" not in PeftType.__members__
    assert str(GraftworkConfig(adapter="ia3").peft_type) == "GRAFTWORK"
    assert peft.get_peft_model_state_dict(wrapped("ia3"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"adapter": "lorra"}, "did you mean 'lora'"),
        ({"adapter": "lora", "settings": {"rnak": 4}}, "rnak: unknown key; did you mean 'rank'"),
        ({"adapter": "peft/lily"}, "changes no weight"),
        ({"adapter": "peft/hira"}, "PEFT's own"),
    ],
)
def test_mistakes_are_told(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(GraftworkError, match=words):
        GraftworkConfig(**changes)


def test_a_layer_that_cannot_be_adapted_is_named() -> None:
    config = GraftworkConfig(adapter="ia3", target_modules=["norm"])
    model = nn.ModuleDict({"norm": nn.LayerNorm(4)})
    with pytest.raises(GraftworkError, match="'norm' is a LayerNorm"):
        get_peft_model(model, config)
