"""Every method of the installed PEFT, from its own registry, as a graftwork adapter."""

import copy
from collections import OrderedDict
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from peft.utils import PeftType
from torch import Tensor, nn

from graftwork.nn import Graft, graft, load_graft
from graftwork_peft import catalogue
from graftwork_peft.adapters import adapter_class
from graftwork_peft.settings import peft_config, settings_class

SETTINGS: dict[str, dict[str, Any]] = {
    "adalora": {"total_step": 100},
    "adamss": {"rank": 8, "num_subspaces": 2},
    "c3a": {"block_size": 4},
    "deft": {"rank": 4},
    "fourierft": {"n_frequency": 20, "scaling": 4.0},
    "gralora": {"rank": 4},
    "hira": {"rank": 4},
    "lily": {"rank": 4},
    "miss": {"rank": 4},
    "oft": {"oft_block_size": 4},
    "peanut": {"rank": 4},
    "psoft": {"rank": 4},
    "pvera": {"rank": 4},
    "randlora": {"rank": 4, "alpha": 16.0},
    "road": {"group_size": 4},
    "shira": {"rank": 2},
    "supertuning": {"sparsity": 0.8},
    "tinylora": {"u": 4},
    "trainable_tokens": {"token_indices": [1, 2]},
    "vblora": {"vector_length": 4, "num_vectors": 16},
    "vera": {"rank": 4},
    "waveft": {"n_frequency": 20},
}
"""What fits layers of 8 and 16; a method that is not named runs on its defaults."""

# PEFT draws their first values without a factor of zeros.
STARTS_ELSEWHERE = {"c3a", "fourierft", "unilora", "vblora"}
METHODS = catalogue.injectable()
ON_WEIGHT = [method for method in METHODS if method not in catalogue.ACTIVATION]
HEAD = (
    "| adapter | on | starts as the backbone | merges | what sites share |\n|---|---|---|---|---|"
)


@pytest.fixture(autouse=True)
def _one_seed() -> None:
    torch.manual_seed(3)


def layers() -> nn.Module:
    """Three layers of 8 and 16 without biases, which PEFT's methods may scale and ours keep."""
    torch.manual_seed(7)
    widths = {"opening": (8, 16), "middle": (16, 16), "ending": (16, 8)}
    parts = {name: nn.Linear(*width, bias=False) for name, width in widths.items()}
    return nn.Sequential(OrderedDict(parts)).eval()


def put(model: nn.Module, method: str, sites: str = "*", **changes: Any) -> Graft:
    return graft(model, f"peft/{method}", {**SETTINGS.get(method, {}), **changes}, sites=sites)


def shake(handle: Graft) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in handle.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def near(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_every_method_of_peft_has_its_place() -> None:
    known = {str(member.value).lower() for member in PeftType} - {"graftwork"}
    assert set(catalogue.methods()) == known
    assert set(METHODS) | set(catalogue.UNSUPPORTED) == known
    assert not set(METHODS) & set(catalogue.UNSUPPORTED)
    assert len(METHODS) >= 35


@pytest.mark.parametrize("method", METHODS)
def test_a_life(method: str, tmp_path: Path) -> None:
    model, x, target = layers(), torch.randn(6, 8), torch.randn(6, 8)
    before, frozen = copy.deepcopy(model.state_dict()), model(x)
    handle = put(model, method)
    assert near(model(x), frozen) == (method not in STARTS_ELSEWHERE)

    handle.train()
    trainable = [p for p in handle.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(trainable, lr=0.01)
    moved: set[int] = set()
    for _ in range(5):
        optimizer.zero_grad()
        (model(x) - target).square().mean().backward()
        moved |= {id(p) for p in trainable if p.grad is not None and p.grad.any()}
        optimizer.step()
    assert moved == {id(p) for p in trainable}
    handle.train(False)
    output = model(x)
    assert not near(output, frozen)

    handle.save(tmp_path / "adapter")
    other, generator = layers(), torch.get_rng_state()
    loaded = load_graft(other, tmp_path / "adapter")
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(other(x), output)
    assert torch.equal(copy.deepcopy(model)(x), output)

    if adapter_class(method).mergeable:
        loaded.merge()
        assert near(other(x), output)
    handle.detach()
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)


@pytest.mark.parametrize("method", METHODS)
def test_peft_itself_computes_the_same(method: str) -> None:
    model, x = layers(), torch.randn(6, 8)
    handle = put(model, method)
    shake(handle)
    theirs = in_peft(method, handle)
    call = {"task_ids": torch.zeros(1, dtype=torch.long)} if method == "poly" else {}
    output = theirs.base_model(x.unsqueeze(0), **call)[0]  # as one sequence, for Poly
    assert near(model(x), output)
    count = sum(p.numel() for p in handle.parameters() if p.requires_grad)
    assert count == theirs.get_nb_trainable_parameters()[0]
    if adapter_class(method).mergeable and method != "poly":  # which PEFT cannot merge
        assert near(theirs.merge_and_unload()(x), output)


def in_peft(method: str, handle: Graft) -> Any:
    """PEFT's own model over the same layers, with the values of a graft."""
    config = peft_config(method, handle.settings)
    config.target_modules = list(handle.sites)
    theirs: Any = peft.get_peft_model(layers(), config)
    first: Any = next(iter(handle.sites.values()))
    for name, child in getattr(first, "common", nn.ModuleDict()).items():
        getattr(theirs.base_model, name).load_state_dict(child.state_dict())
    for name, adapter in handle.sites.items():
        layer = theirs.base_model.model.get_submodule(name)
        wanted = adapter.tuner.state_dict()  # type: ignore[operator, union-attr]
        assert not layer.load_state_dict(wanted, strict=False).unexpected_keys
    return theirs.eval()


@pytest.mark.parametrize("method", METHODS)
def test_linear_layers_take_any_number_of_axes(method: str) -> None:
    """PEFT's GraLoRA refuses four, and its OFT takes them for a picture."""
    model, x = layers(), torch.randn(2, 3, 2, 8)
    shake(put(model, method))
    assert near(model(x), model(x.view(2, 6, 8)).view(2, 3, 2, 8))


@pytest.mark.parametrize("method", ON_WEIGHT)
def test_the_gradient_of_the_input_is_that_of_the_merged_weight(method: str) -> None:
    """What the layers below learn from. PEFT's own forward pass of C3A gives another one."""
    model, x = layers(), torch.randn(4, 3, 8, requires_grad=True)
    handle = put(model, method)
    shake(handle)
    noise = torch.randn(4, 3, 8)
    [ours] = torch.autograd.grad(model(x), x, noise)
    handle.merge()
    [merged] = torch.autograd.grad(model(x), x, noise)
    assert near(ours, merged)


class Other(nn.Module):
    """A convolution, an embedding and a packed projection of sizes that divide by four."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(16, 8)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.convolution = nn.Conv2d(4, 8, 2, stride=2, padding=1)

    def forward(self, ids: Tensor) -> Tensor:
        h = self.tokens(ids)
        h = self.attention(h, h, h, need_weights=False)[0]
        return self.convolution(h.reshape(-1, 4, 4, 4))


@pytest.mark.parametrize("method", ON_WEIGHT)
def test_other_layers_than_linear(method: str) -> None:
    torch.manual_seed(1)
    model = Other().eval().requires_grad_(False)
    ids = torch.arange(16).view(2, 8) * 3 % 16
    frozen = model(ids)
    handle = put(model, method)
    shake(handle)
    assert {"convolution", "tokens", "attention.in_proj.q"} <= set(handle.sites)
    output = model(ids)
    output.square().sum().backward()
    assert all(p.grad is not None for p in handle.parameters() if p.requires_grad)
    assert not near(output, frozen)
    handle.merge()
    assert near(model(ids), output)


@pytest.mark.parametrize("method", sorted(catalogue.ACTIVATION))
def test_activation_methods_refuse_what_shows_no_features(method: str) -> None:
    with pytest.raises(Exception, match="linear layers alone"):
        put(nn.Sequential(nn.Conv2d(4, 8, 2)), method)


def test_the_readme_tells_what_works() -> None:
    rows = [_row(method) for method in METHODS]
    reasons = [f"| {name} | {why} |" for name, why in sorted(catalogue.UNSUPPORTED.items())]
    table = "\n".join([HEAD, *rows])
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert table in readme, f"put this into README.md:\n{table}"
    for reason in reasons:
        assert reason in readme, f"put this into README.md: {reason}"


def _row(method: str) -> str:
    cls = adapter_class(method)
    assert settings_class(method)  # it can be configured
    on = "every site" if method in ON_WEIGHT else "linear"
    start = "no" if method in STARTS_ELSEWHERE else "yes"
    merges = "yes" if cls.mergeable else "no"
    return f"| `peft/{method}` | {on} | {start} | {merges} | {_shared(method)} |"


def _shared(method: str) -> str:
    """What the tuner, or the first of several like-named layers, holds for all."""
    if not adapter_class(method).joint:
        return ""
    blocks = [nn.Sequential(OrderedDict(to_q=nn.Linear(8, 8))) for _ in range(2)]
    adapters: list[Any] = list(put(nn.Sequential(*blocks), method).sites.values())
    lent = [name for name, held in vars(adapters[1].tuner).items() if isinstance(held, nn.Module)]
    found = sorted({*getattr(adapters[0], "common", {}), *lent})
    return ", ".join(found) or "a budget of ranks"
