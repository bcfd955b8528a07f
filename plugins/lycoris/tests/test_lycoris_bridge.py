"""Every algorithm of the installed LyCORIS, from its own registry, as a graftwork adapter."""

import copy
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from lycoris import create_lycoris, create_lycoris_from_weights
from lycoris.wrapper import network_module_dict
from torch import Tensor, nn

from graftwork.core import registry
from graftwork.core.config import as_dict, describe, parse, schema
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft, load_graft
from graftwork.testing import AdapterSuite
from graftwork.testing.plugins import heavy_imports
from graftwork_lycoris import catalogue
from graftwork_lycoris.settings import arguments, settings_class

WORKING = catalogue.working()
CASES = [
    (algorithm, option)
    for algorithm in WORKING
    for option in ("", "use_scalar", "weight_decompose", "rescaled")
    if option in {"", *(setting.name for setting in describe(settings_class(algorithm)))}
]


def layers() -> nn.Module:
    torch.manual_seed(7)
    return nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 8)).eval()


def shake(parameters: Any) -> None:
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in parameters:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))


def near(actual: Tensor, expected: Tensor) -> bool:
    return torch.allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_every_algorithm_has_its_place() -> None:
    assert set(catalogue.algorithms()) == set(network_module_dict)
    assert set(WORKING) | set(catalogue.BROKEN) == set(network_module_dict)
    assert len(WORKING) >= 9


def test_listing_imports_neither_lycoris_nor_torch() -> None:
    assert heavy_imports("graftwork_lycoris.plugin; graftwork_lycoris.plugin.adapters()") == []


@pytest.mark.parametrize("algorithm", WORKING)
def test_a_life(algorithm: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    model, x, target = layers(), torch.randn(6, 8), torch.randn(6, 8)
    before, frozen = copy.deepcopy(model.state_dict()), model(x)
    handle = graft(model, f"lycoris/{algorithm}", sites="*")
    assert near(model(x), frozen)

    handle.train()
    optimizer, moved = torch.optim.Adam(handle.parameters(), lr=0.01), set[str]()
    for _ in range(5):
        optimizer.zero_grad()
        (model(x) - target).square().mean().backward()
        moved |= {k for k, p in handle.named_parameters() if p.grad is not None and p.grad.any()}
        optimizer.step()
    assert moved == dict(handle.named_parameters()).keys()
    handle.train(False)
    output = model(x)
    assert not near(output, frozen)

    handle.save(tmp_path / "adapter")
    other, generator = layers(), torch.get_rng_state()
    loaded = load_graft(other, tmp_path / "adapter")
    assert torch.equal(torch.get_rng_state(), generator)
    assert torch.equal(other(x), output)
    assert torch.equal(copy.deepcopy(model)(x), output)
    loaded.merge()
    assert near(other(x), output)
    handle.detach()
    assert all(torch.equal(model.state_dict()[key], before[key]) for key in before)


@pytest.mark.parametrize(("algorithm", "option"), CASES)
def test_lycoris_itself_computes_the_same(algorithm: str, option: str, tmp_path: Path) -> None:
    """With alpha other than the rank, and through a file."""
    settings = {"rank": 4, "alpha": 2.0, **({option: True} if option else {})}
    known = {setting.name for setting in describe(settings_class(algorithm))}
    settings = {name: value for name, value in settings.items() if name in known}
    layer, x = nn.Linear(8, 16), torch.randn(5, 8)
    plain = copy.deepcopy(layer)
    handle = graft(nn.Sequential(layer), f"lycoris/{algorithm}", settings, sites="*")
    shake(handle.parameters())
    adapter: Any = handle.sites["0"]
    theirs = network_module_dict[algorithm]("", plain, **arguments(handle.settings)).eval()
    with torch.no_grad():
        for name, value in adapter.module.named_parameters():
            theirs.get_parameter(name).copy_(value)
        for name, value in adapter.module.named_buffers():
            theirs.get_buffer(name).copy_(value)
    assert near(layer(x), theirs(x))
    again = nn.Sequential(copy.deepcopy(plain))
    load_graft(again, handle.save(tmp_path / "adapter"))
    assert near(again(x), theirs(x))


def test_other_layers_than_linear() -> None:
    class Other(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.tokens = nn.Embedding(16, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.convolution = nn.Conv2d(4, 8, 2, stride=2, padding=1)

        def forward(self, ids: Tensor) -> Tensor:
            h = self.tokens(ids)
            h = self.attention(h, h, h, need_weights=False)[0]
            return self.convolution(h.reshape(-1, 4, 4, 4))

    ids = torch.arange(16).view(2, 8) * 3 % 16
    for algorithm in WORKING:
        torch.manual_seed(1)
        model = Other().eval()
        frozen = model(ids)
        handle = graft(model, f"lycoris/{algorithm}", sites="*")
        shake(handle.parameters())
        output = model(ids)
        assert not near(output, frozen)
        handle.merge()
        assert near(model(ids), output)


@pytest.mark.parametrize("algorithm", WORKING)
def test_settings(algorithm: str) -> None:
    cls = registry.find("adapters", f"lycoris/{algorithm}").settings_class()
    settings = parse(cls, {}, "run.toml: adapter")
    assert parse(cls, as_dict(settings), "again") == settings
    assert pickle.loads(pickle.dumps(settings)) == settings
    listed = schema(cls).get("properties", {})
    for setting in describe(cls):
        assert listed[setting.name]["description"] == setting.doc
    names = {setting.name for setting in describe(cls)}
    assert "rank" in names or algorithm == "full"


def test_the_readme_tells_what_works() -> None:
    rows = [
        f"| `{name}` | {'no: ' + catalogue.BROKEN[name] if name in catalogue.BROKEN else 'yes'} |"
        for name in catalogue.algorithms()
    ]
    table = "\n".join(["| algorithm | works |", "|---|---|", *rows])
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert table in readme, f"put this into README.md:\n{table}"


def network(algorithm: str) -> Any:
    """LyCORIS's own network on a layer, its values as if trained."""
    model = nn.Sequential(nn.Linear(8, 16, bias=False)).eval()
    made = create_lycoris(model, 1.0, linear_dim=4, linear_alpha=4, algo=algorithm, block_size=2)
    made.apply_to()
    shake(made.parameters())
    return model, made.eval()


def test_dylora_is_broken_upstream() -> None:
    """When this fails, LyCORIS was mended: take 'dylora' off `catalogue.BROKEN`."""
    _, made = network("dylora")
    [module] = made.loras
    assert len({float(module.get_merged_weight()[0].sum().detach()) for _ in range(20)}) > 1
    saved = {key: torch.zeros_like(value) for key, value in module.state_dict().items()}
    module.load_state_dict(saved)
    assert all(parameter.any() for parameter in module.parameters())  # nothing was loaded


def rebuilt(algorithm: str) -> Any:
    """A network of LyCORIS made from what another one saves."""
    _, made = network(algorithm)
    state = {key: value.detach().clone() for key, value in made.state_dict().items()}
    fresh = nn.Sequential(nn.Linear(8, 16, bias=False))
    return create_lycoris_from_weights(1.0, None, fresh, weights_sd=state)


@pytest.mark.filterwarnings("ignore")
def test_ia3_is_broken_upstream() -> None:
    """When this fails, LyCORIS was mended: take 'ia3' off `catalogue.BROKEN`."""
    assert rebuilt("locon")
    with pytest.raises(TypeError):
        rebuilt("ia3")


@pytest.mark.parametrize("algorithm", ["loha", "lokr"])
def test_lycoris_merges_another_weight_than_it_computes(algorithm: str) -> None:
    """Why the effective weight is taken from the forward pass. Upstream's defect, not ours."""
    layer = nn.Linear(8, 16, bias=False)
    module = network_module_dict[algorithm]("", layer, lora_dim=4, alpha=2.0).eval()
    shake(module.parameters())
    x = torch.randn(5, 8)
    merged = x @ module.get_merged_weight(shape=layer.weight.shape)[0].T
    twice = module.scale * (module(x) - layer(x))
    assert module.scale == 0.5 or algorithm == "lokr"  # LoKr's full matrices have scale 1
    assert near(merged - layer(x), twice)


def test_a_refusal_names_the_site() -> None:
    with pytest.raises(GraftworkError, match="rank"):
        graft(layers(), "lycoris/loha", {"rank": 0}, sites="*")


class TestLoCon(AdapterSuite):
    name = "lycoris/locon"
    settings = {"rank": 2}
    expected_failures = {
        "test_rank_above_size_is_refused": "LyCORIS takes any rank",
    }


@pytest.mark.parametrize("algorithm", WORKING)
def test_sources(algorithm: str) -> None:
    cites = registry.find("adapters", f"lycoris/{algorithm}").cites
    assert cites[-1].startswith("arXiv:2309.14859 Yeh et al. 2023")
    own = {"loha": "2108.06098", "diag-oft": "2306.07280", "locon": "2106.09685"}
    assert algorithm not in own or own[algorithm] in cites[0]
