"""Graft, weigh, disable, merge, detach: the backbone comes through unharmed."""

import copy

import pytest
import torch
from torch import nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import frozen, graft, grafts

METHODS = ["low-rank", "slow-low-rank", "scale", "fast-scale", "gate"]


@pytest.fixture
def model():
    layers = [nn.Linear(5, 6), nn.Tanh(), nn.Linear(6, 6), nn.Tanh(), nn.Linear(6, 3)]
    return nn.Sequential(*layers).double()


@pytest.fixture
def x():
    return torch.randn(4, 5, dtype=torch.float64)


def on(model, method, **options):
    return graft(model, method, sites="*", dtype=torch.float64, **options)


def changed_weights(model, *handles):
    """W + sum_k w_k (effective_k(W) - W) for every site."""
    weights = dict(model.named_parameters())
    for handle in handles:
        for name, adapter in handle.sites.items():
            frozen_weight = adapter.site.weight()
            change = handle.weight * (adapter.effective(frozen_weight) - frozen_weight)
            weights[f"{name}.weight"] = weights[f"{name}.weight"] + change
    return weights


@pytest.mark.parametrize("first", METHODS[:4])
@pytest.mark.parametrize("second", METHODS[:4])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (0.5, -2.0), (0.0, 1.0)])
def test_two_grafts_of_any_methods_add_up(model, x, first, second, weights):
    """Also with the bias, whichever of the two has a fast path or is additive."""
    plain = copy.deepcopy(model)
    handles = [
        on(model, method, name=name, weight=weight)
        for method, name, weight in zip((first, second), ("a", "b"), weights, strict=True)
    ]
    expected = torch.func.functional_call(plain, changed_weights(plain, *handles), (x,))
    torch.testing.assert_close(model(x), expected)


def test_an_activation_adapter_stacks_on_the_frozen_output(model, x):
    gate, low = on(model, "gate", name="gate"), on(model, "low-rank", name="low")
    layer, site = model[0], "0"
    frozen_output = x @ layer._parameters["weight"].T
    low_change = x @ (low.sites[site].up @ low.sites[site].down).T
    gated = gate.sites[site].gain * torch.tanh(frozen_output)
    torch.testing.assert_close(layer(x), frozen_output + low_change + gated + layer.bias)


@pytest.mark.parametrize("method", METHODS)
def test_detach_restores_bits_flags_and_classes(model, x, method):
    model[2].weight.requires_grad_(False)
    before = copy.deepcopy(model)
    handle = on(model, method)
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {
        f"{site}.grafts.default.weight.{key}"
        for site, adapter in handle.sites.items()
        for key, _ in adapter.named_parameters()
    }
    model(x).sum().backward()
    handle.detach()
    assert [type(m) for m in model.modules()] == [type(m) for m in before.modules()]
    for (name, one), (other_name, other) in zip(
        model.named_parameters(), before.named_parameters(), strict=True
    ):
        assert name == other_name
        assert torch.equal(one, other)
        assert one.requires_grad == other.requires_grad
        assert one.grad is None
    assert grafts(model) == {}
    assert not any(m._forward_pre_hooks for m in model.modules())


def test_the_backbone_stays_frozen_until_the_last_graft_goes(model):
    first, second = on(model, "scale", name="a"), on(model, "low-rank", name="b")
    first.detach()
    assert not model[0]._parameters["weight"].requires_grad
    second.detach()
    assert model[0].weight.requires_grad


def test_weight_can_be_set_at_any_time(model, x):
    plain = model(x)
    handle = on(model, "low-rank", weight=0.0)
    assert torch.equal(model(x), plain)
    handle.weight = 1.0
    assert not torch.allclose(model(x), plain)


def test_disabled_nests_and_survives_errors(model, x):
    plain = model(x)
    handle = on(model, "low-rank")
    adapted = model(x)
    with handle.disabled():
        with handle.disabled():
            assert torch.equal(model(x), plain)
        assert torch.equal(model(x), plain)
    with pytest.raises(ZeroDivisionError), handle.disabled():
        _ = 1 / 0
    assert torch.equal(model(x), adapted)


def test_frozen_disables_all_grafts(model, x):
    plain = model(x)
    on(model, "low-rank", name="a")
    on(model, "gate", name="b")
    with frozen(model):
        assert torch.equal(model(x), plain)
    assert not torch.allclose(model(x), plain)


def test_handle_counts_and_names_its_parameters(model):
    handle = graft(model, "low-rank", {"rank": 2}, sites=["0", "4"])
    assert handle.num_parameters() == 2 * (5 + 6) + 2 * (6 + 3)
    assert [name for name, _ in handle.named_parameters()] == ["0.down", "0.up", "4.down", "4.up"]
    assert handle.method == "low-rank"
    assert handle.settings.rank == 2
    assert grafts(model) == {"default": handle}


def test_settings_may_be_an_instance(model):
    handle = on(model, "low-rank")
    handle.detach()
    assert on(model, "low-rank", settings=handle.settings).settings == handle.settings


@pytest.mark.parametrize(
    ("method", "options", "message"),
    [
        ("low-rnk", {}, "did you mean 'low-rank'"),
        ("low-rank", {"settings": {"rnak": 2}}, "did you mean 'rank'"),
        ("low-rank", {"settings": {"rank": 4}}, "too large for '4'"),
        ("low-rank", {"name": "a.b"}, "cannot be used"),
        ("low-rank", {"name": ""}, "cannot be used"),
        ("low-rank", {"name": "keys"}, "cannot be used"),
        ("low-rank", {"name": "training"}, "cannot be used"),
        ("low-rank", {"sites": "nowhere"}, "matches no site"),
        ("vectors", {}, "not an embedding"),
    ],
)
def test_a_refused_graft_changes_nothing(model, method, options, message):
    before = [(name, p.requires_grad) for name, p in model.named_parameters()]
    classes = [type(m) for m in model.modules()]
    with pytest.raises(GraftworkError, match=message):
        graft(model, method, **{"sites": "*", **options})
    assert [(name, p.requires_grad) for name, p in model.named_parameters()] == before
    assert [type(m) for m in model.modules()] == classes
    assert grafts(model) == {}


def test_a_name_is_taken_once(model):
    on(model, "low-rank")
    with pytest.raises(GraftworkError, match="'default' is already on the model"):
        on(model, "scale")


def test_a_name_is_taken_for_parts_of_the_model_too(model, x):
    handle = on(model, "low-rank")
    adapted = model(x)
    with pytest.raises(GraftworkError, match="already sits on part"):
        graft(model[0], "scale", sites="*")
    assert torch.equal(model(x), adapted)
    other = graft(model[0], "scale", sites="*", name="other")
    assert all(p.requires_grad for p in handle.parameters()), "the inner graft froze the outer one"
    other.detach()
    assert torch.equal(model(x), adapted)


def test_a_detached_handle_says_so(model):
    handle = on(model, "low-rank")
    handle.detach()
    for act in (handle.detach, handle.merge):
        with pytest.raises(GraftworkError, match="no longer on the model"):
            act()


def test_training_mode_reaches_adapters(model):
    handle = on(model, "low-rank")
    assert all(adapter.training for adapter in handle.sites.values())
    model.eval()
    assert not any(adapter.training for adapter in handle.sites.values())
    handle.train()
    assert all(adapter.training for adapter in handle.sites.values())
    assert not model.training


def test_what_a_method_keeps_fixed_stays_fixed(model):
    handle = on(model, "half")
    assert [n for n, p in handle.named_parameters() if p.requires_grad] == ["0.up", "2.up", "4.up"]


def test_load_state_dict_is_strict(model, x):
    handle = on(model, "low-rank")
    expected, state = model(x), {k: t.clone() for k, t in handle.state_dict().items()}
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.zero_()
    handle.load_state_dict(state)
    assert torch.equal(model(x), expected)
    with pytest.raises(GraftworkError, match="missing"):
        handle.load_state_dict({})
    with pytest.raises(GraftworkError, match="not a parameter"):
        handle.load_state_dict({**state, "5.up": torch.ones(1)})
    with pytest.raises(GraftworkError, match="shape"):
        handle.load_state_dict({**state, "0.up": torch.ones(1)})


def test_host_state_dict_loads_strictly_into_another_host(model, x):
    other = copy.deepcopy(model)
    on(model, "low-rank")
    on(other, "low-rank", seed=5)
    with torch.no_grad():
        model[0]._parameters["weight"].mul_(1.1)
    other.load_state_dict(model.state_dict(), strict=True)
    assert torch.equal(other(x), model(x))


def test_a_backbone_s_own_state_still_loads(model, x):
    state = {key: 2 * tensor for key, tensor in model.state_dict().items()}
    handle = on(model, "scale")
    missing = model.load_state_dict(state, strict=False)
    assert not missing.unexpected_keys
    assert all(".grafts." in key for key in missing.missing_keys)
    handle.detach()
    assert torch.equal(model[0].weight, state["0.weight"])


def test_deepcopy_is_a_host_of_its_own(model, x):
    handle = on(model, "gate")
    twin = copy.deepcopy(model)
    mine = grafts(twin)["default"]
    assert mine is not handle
    assert mine.model is twin
    with mine.disabled():
        assert not torch.allclose(twin(x), model(x))
    mine.detach()
    assert not torch.allclose(twin(x), model(x))
    assert grafts(model)["default"] is handle
    handle.detach()
    assert torch.equal(twin(x), model(x))
