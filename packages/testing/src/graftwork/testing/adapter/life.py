"""Checks of a graft's life: on, off, beside others, copied, trained."""

import copy

import torch
from torch import Tensor

from graftwork.nn import graft, grafts
from graftwork.testing.adapter.case import AdapterCases, defined_output, only, shake
from graftwork.testing.adapter.toys import TOYS, Toy
from graftwork.testing.compare import agree, refused, same_bits, same_state


class Life(AdapterCases):
    """What a handle promises."""

    def test_disabled_is_the_backbone(self, toy: Toy) -> None:
        """Inside `disabled()` the output is the backbone's, bit for bit, and afterwards adapted.

        When it fails: change nothing outside the adapter in `__init__`, `start` or `forward`.
        """
        case = self.case(toy)
        adapted = case.output()
        with case.handle.disabled():
            same_bits(case.output(), case.frozen_output(), remedy="it acts while disabled")
        same_bits(case.output(), adapted, remedy="it does not come back after disabled()")

    def test_detach_restores_the_backbone(self, toy: Toy) -> None:
        """After `detach` weights, keys, classes and `requires_grad` are what they were.

        When it fails: keep every effect of the adapter inside the adapter.
        """
        model = toy.model()
        first = next(iter(model.parameters())).requires_grad_(False)
        before, classes = copy.deepcopy(model.state_dict()), [type(m) for m in model.modules()]
        handle = self.graft(model, toy, dtype=torch.float64)
        shake(handle)
        model(toy.input())
        handle.detach()
        same_state(model.state_dict(), before, remedy="detach left the backbone changed")
        assert [type(m) for m in model.modules()] == classes, "detach left another class of layer"
        trains = [p.requires_grad for p in model.parameters() if p is not first]
        assert all(trains), "detach did not restore requires_grad"
        assert not first.requires_grad, "detach let a frozen parameter train"

    def test_grafts_compose(self, toy: Toy) -> None:
        """Two grafts with weights act as W + sum_k w_k (effective_k(W) - W).

        When it fails: declare `additive = True` only when `forward` adds to its second argument
        whatever that is, and let no state be shared between instances.
        """
        case = self.case(toy)
        other = self.graft(case.model, toy, name="defaults", weight=0.25, dtype=torch.float64)
        shake(other, seed=8)
        case.handle.weight = 0.5
        actual = case.output()
        if self.is_weight:
            expected = defined_output(case, [case.handle, other])
            agree(actual, expected, tolerance=1e-9, remedy="grafts do not add up; see `additive`")
        case.handle.weight = other.weight = 0.0
        same_bits(case.output(), case.frozen_output(), remedy="weight 0 must be the backbone")

    def test_similar_names_stay_apart(self, toy: Toy) -> None:
        """Grafts whose names contain each other do not meddle with each other.

        When it fails: build no key or file name from the graft's name inside the adapter.
        """
        case = self.case(toy)
        expected, state = case.output(), copy.deepcopy(case.handle.state_dict())
        other = self.graft(case.model, toy, name="default_2", dtype=torch.float64)
        shake(other, seed=8)
        other.detach()
        same_bits(case.output(), expected, remedy="detaching another graft changed this one")
        same_state(case.handle.state_dict(), state, remedy="another graft changed this one")

    def test_seed_decides(self, toy: Toy) -> None:
        """Initial values follow from the seed and the site's name alone.

        When it fails: draw initial values in `__init__` with torch's default generator, and
        nothing from global counters, other sites or other sources of chance.
        """
        whole = self.graft(toy.model(), toy, seed=4).state_dict()
        before = torch.get_rng_state()
        again = self.graft(toy.model(), toy, seed=4)
        assert torch.equal(before, torch.get_rng_state()), "grafting moved torch's global generator"
        same_state(again.state_dict(), whole, remedy="the same seed must give the same values")
        last = list(again.sites)[-1]
        alone = self.graft(toy.model(), toy, seed=4, sites=last).state_dict()
        expected = {key: whole[key] for key in alone}
        same_state(alone, expected, remedy="values depend on which sites came before")

    def test_host_keys_stay(self, toy: Toy) -> None:
        """The backbone's `state_dict` keys keep their names; the adapter's lie under "grafts".

        When it fails: register no module or parameter outside the adapter.
        """
        case = self.case(toy)
        state, plain = case.model.state_dict(), case.plain.state_dict()
        for key, tensor in plain.items():
            assert key in state, f"'{key}' is gone from the host's state_dict"
            same_bits(state[key], tensor, remedy=f"'{key}' changed in the host's state_dict")
        strange = [key for key in state.keys() - plain.keys() if "grafts." not in key]
        assert not strange, f"{strange} do not belong to a graft; register nothing on the layer"
        case.model.load_state_dict(state)

    def test_deepcopy_is_independent(self, toy: Toy) -> None:
        """A deep copy of the host gives the same output and has adapters of its own.

        When it fails: hold tensors as parameters and buffers, and no reference to the host.
        """
        case = self.case(toy)
        expected = case.output().detach()
        twin = copy.deepcopy(case.model)
        same_bits(twin(case.x).detach(), expected, remedy="a deep copy computes something else")
        shake(grafts(twin)["default"], seed=9)
        same_bits(case.output().detach(), expected, remedy="a deep copy shares the parameters")
        assert not torch.equal(twin(case.x), expected), "a deep copy uses the original's parameters"

    @only("linear", "conv2d")
    def test_it_learns(self, toy: Toy) -> None:
        """Sixty steps of Adam bring the adapter nearer to another backbone's output.

        When it fails: look at the scale of the change and the sign of a hand-written gradient.
        """
        case = self.case(toy, shaken=False)
        target = _other_backbone(toy)(case.x).detach()
        optimizer = torch.optim.Adam(case.handle.parameters(), lr=0.02)
        losses = []
        for _ in range(60):
            loss = (case.output() - target).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        assert losses[-1] < 0.95 * losses[0], (
            f"loss went from {losses[0]:.4g} to {losses[-1]:.4g}; check the change's scale"
        )

    def test_rank_above_size_is_refused(self) -> None:
        """A rank above what a site can have is one clear error, and the model stays as it was.

        When it fails: compare the rank with `min(site.rows, site.cols)` in `check` (or in
        `__init__`, where no file may hold more either), and raise a `GraftworkError` that names
        adapter.rank, the site and the largest rank.
        """
        if "rank" not in self.setting_names():
            return
        toy = self.toys()[0]
        model = toy.model()
        before = model.state_dict()
        settings = self.parsed(rank=997)
        with refused("rank", remedy="raise GraftworkError for a rank above min(rows, cols)"):
            graft(model, self.name, settings, sites="*")
        same_state(model.state_dict(), before, remedy="a refused graft must change nothing")

    def test_unsupported_sites_are_refused(self) -> None:
        """What `unsupported` lists is refused with an error, and for a reason.

        When it fails: raise `GraftworkError` in `__init__` for such a site, or take the kind off
        the list because it works.
        """
        for kind, reason in self.unsupported.items():
            toys = [toy for toy in TOYS if toy.kind == kind]
            assert toys, f"unsupported: no kind is called '{kind}'"
            assert reason.strip(), f"unsupported: say why '{kind}' is"
            for toy in toys:
                with refused(remedy=f"refuse it, or take '{kind}' off `unsupported`"):
                    self.graft(toy.model(), toy)


def _other_backbone(toy: Toy) -> torch.nn.Module:
    other = toy.model()
    generator = torch.Generator().manual_seed(13)
    with torch.no_grad():
        for parameter in other.parameters():
            noise: Tensor = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.mul_(1 + 0.5 * noise)
    return other
