"""Composition, resizing and merging of several, against the dense sum of their changes."""

from collections.abc import Callable
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, grafts
from graftwork.nn.approximating import change, reranked
from graftwork.nn.composing import compose, composition
from graftwork.nn.factors import graft_factors
from graftwork.nn.merging_together import merge_together
from graftwork.nn.spectrum import Spectrum

WEIGHTS = (0.7, -0.4)


def make_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 8, 3), nn.Flatten(), nn.Linear(32, 16), nn.Linear(16, 12))


def strong(model: nn.Module, method: str, settings: Any, *, name: str, sites: Any = "*") -> Graft:
    handle = graft(model, method, settings, sites=sites, name=name)
    generator = torch.Generator().manual_seed(len(name))
    with torch.no_grad():
        for key, parameter in handle.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            scaled = parameter * (1 + 0.3 * noise.abs()) if "magnitude" in key else 0.3 * noise
            parameter.copy_(scaled)
    return handle


def two(model: nn.Module, *, ranks: tuple[int, int] = (2, 3)) -> list[Graft]:
    """LoRAs whose scales are not 1; the second lacks the last layer."""
    return [
        strong(model, "lora", {"rank": ranks[0], "alpha": 5.0}, name="a"),
        strong(model, "lora", {"rank": ranks[1], "alpha": 2.0}, name="bb", sites=["0", "2"]),
    ]


def dense_sum(handles: list[Graft], weights: tuple[float, ...]) -> dict[str, Tensor]:
    """sum_k w_k s_k B_k A_k in float64, by the definition."""
    total: dict[str, Tensor] = {}
    for handle, weight in zip(handles, weights, strict=True):
        for site, adapter in handle.sites.items():
            one = weight * adapter.scale * (adapter.up.double() @ adapter.down.double())
            total[site] = total.get(site, 0) + one.detach()
    return total


def changes_of(handle: Graft) -> dict[str, Tensor]:
    return {site: change(adapter).double() for site, adapter in handle.sites.items()}


@pytest.fixture
def x() -> Tensor:
    return torch.randn(5, 4, 4, 4, generator=torch.Generator().manual_seed(3))


def test_concatenation_is_the_dense_sum_and_takes_the_place_of_its_parts(x: Tensor) -> None:
    model = make_net()
    handles = two(model)
    wanted = dense_sum(handles, WEIGHTS)
    for handle, weight in zip(handles, WEIGHTS, strict=True):
        handle.weight = weight
    before = model(x)
    result = compose(handles)
    assert set(grafts(model)) == {"composed"}
    assert (result.method, result.settings.rank) == ("lora", 5)
    for site, matrix in changes_of(result).items():
        torch.testing.assert_close(matrix, wanted[site], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(model(x), before, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("rank", [1, 2, 4, None])
def test_svd_is_the_best_of_its_rank(rank: int | None) -> None:
    handles = two(make_net())
    wanted = dense_sum(handles, WEIGHTS)
    made = composition(handles, WEIGHTS, how="svd", rank=rank)
    lost = total = 0.0
    for site, matrix in wanted.items():
        values = torch.linalg.svdvals(matrix)
        one = made.factors[site]
        error = float((matrix - one.scale * one.up @ one.down).square().sum())
        best = float(values[rank or 3 :].square().sum())
        assert error == pytest.approx(best, rel=1e-4, abs=1e-10)
        kept = 1 - best / float(values.square().sum())
        assert made.energy[site] == pytest.approx(kept, abs=1e-6)
        lost, total = lost + best, total + float(values.square().sum())
    assert made.error == pytest.approx((lost / total) ** 0.5, rel=1e-4, abs=1e-6)


def test_svd_takes_whatever_can_be_merged(x: Tensor) -> None:
    model = make_net()
    handles = [
        strong(model, "loha", {"rank": 2}, name="a", sites=["2", "3"]),
        strong(model, "dora", {"rank": 2}, name="bb", sites=["2", "3"]),
    ]
    before = model(x)
    compose(handles, how="svd", rank=12)  # the last layer's full rank; the other loses some
    full = composition(
        [strong(make_net(), "dora", {"rank": 2}, name="bb", sites="3")], how="svd", rank=12
    )
    assert full.error < 1e-5
    assert (model(x) - before).abs().max() < 0.5 * before.abs().max()


def test_linear_is_what_peft_calls_linear() -> None:
    """PEFT's `add_weighted_adapter` is the reference, negative weights included."""
    model = make_net()
    handles = two(model, ranks=(3, 3))
    ours = composition(handles, WEIGHTS, how="linear")
    config, names = {"target_modules": ["0", "2", "3"], "r": 3}, ["first", "second"]
    theirs = peft.get_peft_model(make_net(), peft.LoraConfig(**config, lora_alpha=5), "first")
    theirs.add_adapter("second", peft.LoraConfig(**config, lora_alpha=2))
    for name, handle in zip(names, handles, strict=True):
        for site, module in theirs.base_model.model.named_children():
            if site in ("0", "2", "3"):
                _fill(module, name, handle.sites.get(site))
    theirs.add_weighted_adapter(names, list(WEIGHTS), "both", combination_type="linear")
    for site in ("0", "2"):
        module = theirs.base_model.model[int(site)]
        wanted = module.get_delta_weight("both").flatten(1)
        one = ours.factors[site]
        torch.testing.assert_close(one.scale * one.up @ one.down, wanted, atol=1e-6, rtol=1e-5)


def _fill(module: Any, name: str, adapter: Any) -> None:
    with torch.no_grad():
        for factor, key in ((module.lora_A[name], "down"), (module.lora_B[name], "up")):
            value = (
                getattr(adapter, key, torch.zeros(())) if adapter is not None else torch.zeros(())
            )
            factor.weight.copy_(value.view(factor.weight.shape) if value.dim() else value)


def test_linear_is_not_the_sum_and_is_not_told_as_such() -> None:
    handles = two(make_net(), ranks=(3, 3))
    wanted = dense_sum(handles, (1.0, 1.0))
    one = composition(handles, (1.0, 1.0), how="linear").factors["2"]
    assert (one.scale * one.up @ one.down - wanted["2"]).abs().max() > 0.1


REFUSED: dict[str, tuple[Callable[[list[Graft]], Any], str]] = {
    "ranks for linear": (
        lambda two: compose(two, how="linear"),
        "'linear' adds factors of one rank, and these have 2 and 3; use 'concatenate'",
    ),
    "a rank for concatenate": (lambda two: compose(two, rank=2), "fixes the rank itself"),
    "too many weights": (lambda two: compose(two, [1.0]), "weights: 1 for 2 adapters"),
    "not a number": (lambda two: compose(two, [1.0, torch.nan]), "ordinary numbers"),
    "none": (lambda two: compose([]), "there is no adapter"),
    "rank zero": (lambda two: composition(two, how="svd", rank=-1), "rank: expected at least 1"),
    "name taken": (lambda two: compose(two, name="a"), "graft 'a' is already on the model"),
}


@pytest.mark.parametrize(("call", "says"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_composed_is_refused_and_changes_nothing(call: Any, says: str) -> None:
    model = make_net()
    handles = two(model)
    with pytest.raises(GraftworkError, match=says):
        call(handles)
    assert set(grafts(model)) == {"a", "bb"}


def test_a_rank_above_the_smallest_layer_s_needs_svd() -> None:
    model = make_net()
    handles = two(model, ranks=(5, 4))
    with pytest.raises(GraftworkError, match=r"rank 9 is above what '0' \(8 x 36\).*use 'svd'"):
        compose(handles)
    wanted = dense_sum(handles, (1.0, 1.0))
    for site, matrix in changes_of(compose(handles, how="svd", rank=8)).items():
        if site == "0":  # no more than eight of its values are there
            torch.testing.assert_close(matrix, wanted[site], atol=1e-5, rtol=1e-5)


def test_methods_that_are_no_lora_need_svd() -> None:
    model = make_net()
    handles = [strong(model, "dora", {"rank": 2}, name="a")]
    with pytest.raises(GraftworkError, match="takes lora, and 'a' is dora; use 'svd'"):
        compose(handles)
    vectors = graft(
        nn.Sequential(nn.Embedding(5, 4)), "textual-inversion", {"placeholder": "x"}, sites="0"
    )
    with pytest.raises(GraftworkError, match="textual-inversion changes no weight"):
        compose([vectors], how="svd", rank=1)


# -- Another rank --------------------------------------------------------------------------------


def test_a_lower_rank_keeps_the_largest_singular_values() -> None:
    handle = strong(make_net(), "lora", {"rank": 4, "alpha": 6.0}, name="a")
    handle.weight = 0.5
    cut = reranked(handle, rank=2)
    for site, matrix in dense_sum([handle], (0.5,)).items():
        one = cut.factors[site]
        assert one.rank == 2
        values = torch.linalg.svdvals(matrix)
        error = torch.linalg.matrix_norm(matrix - one.scale * one.up @ one.down)
        assert float(error) == pytest.approx(float(values[2:].norm()), rel=1e-4)


@pytest.mark.parametrize("energy", [0.3, 0.9, 0.99, 1.0])
def test_energy_finds_the_smallest_rank_that_keeps_it(energy: float) -> None:
    handle = strong(make_net(), "lora", {"rank": 5}, name="a")
    cut = reranked(handle, energy=energy)
    rank = max(one.rank for one in cut.factors.values())
    assert min(cut.energy.values()) >= energy - 1e-6
    if rank > 1:
        assert min(reranked(handle, rank=rank - 1).energy.values()) < energy
    assert rank <= 5


def test_dora_keeps_its_magnitude(x: Tensor) -> None:
    model, other = make_net(), make_net()
    handle = strong(model, "dora", {"rank": 2, "alpha": 3.0}, name="a")
    same = reranked(handle, rank=2)
    resized = graft_factors(other, same.factors, place="test")
    assert resized.method == "dora"
    torch.testing.assert_close(other(x), model(x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("ask", [{}, {"rank": 1, "energy": 0.5}, {"rank": 0}, {"energy": 1.5}])
def test_a_rank_or_an_energy(ask: Any) -> None:
    with pytest.raises(GraftworkError, match=r"rank|energy"):
        reranked(strong(make_net(), "lora", {"rank": 2}, name="a"), **ask)


def test_the_spectrum_of_a_product_is_that_of_its_matrix() -> None:
    torch.manual_seed(0)
    up, down = torch.randn(9, 3), torch.randn(3, 7)
    product = Spectrum.of_product(up, down)
    torch.testing.assert_close(product.values, torch.linalg.svdvals(up @ down)[:3])
    whole = product.cut(3)
    torch.testing.assert_close(whole.up @ whole.down, up @ down, atol=1e-5, rtol=1e-5)
    assert Spectrum.of_matrix(torch.zeros(3, 3)).rank_for(0.5) == 1


# -- Several merged ------------------------------------------------------------------------------


def test_merging_together_is_what_they_did_together(x: Tensor) -> None:
    """One after the other is another thing, for DoRA depends on the weight."""
    model, other = make_net(), make_net()
    for each in (model, other):
        strong(each, "lora", {"rank": 2}, name="a").weight = 0.7
        strong(each, "dora", {"rank": 2}, name="bb").weight = 0.6
    wanted = model(x)
    merge_together(list(grafts(model).values()))
    assert not grafts(model)
    torch.testing.assert_close(model(x), wanted, atol=1e-5, rtol=1e-5)
    alone = grafts(other)
    alone["bb"].detach()
    alone["a"].merge()
    late = strong(other, "dora", {"rank": 2}, name="bb")
    late.weight = 0.6
    assert (other(x) - wanted).abs().max() > 1e-3


def test_merging_together_wants_one_model_and_mergeable_methods() -> None:
    first = strong(make_net(), "lora", {"rank": 2}, name="a")
    second = strong(make_net(), "lora", {"rank": 2}, name="a")
    with pytest.raises(GraftworkError, match="grafts of one model"):
        merge_together([first, second])
    model = nn.Sequential(nn.Embedding(5, 4))
    words = graft(model, "textual-inversion", {"placeholder": "x"}, sites="0")
    with pytest.raises(GraftworkError, match="textual-inversion cannot be merged"):
        merge_together([graft(model, "lora", {"rank": 2}, sites="0", name="l"), words])
    assert set(grafts(model)) == {"default", "l"}
