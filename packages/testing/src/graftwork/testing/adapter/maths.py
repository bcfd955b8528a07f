"""Checks of what an adapter computes."""

from typing import Any, ClassVar

import torch

from graftwork.testing.adapter.case import AdapterCases, defined_output, only
from graftwork.testing.adapter.toys import Toy
from graftwork.testing.compare import agree, refused, same_bits, same_state


class Maths(AdapterCases):
    """Values and gradients, in float64."""

    identity_at_start: ClassVar[bool] = True
    """Whether a fresh graft leaves the backbone's output as it was."""
    tolerance: ClassVar[float] = 1e-9
    """Largest gap, relative to the output's size, between two ways to compute one thing."""

    def test_identity_at_start(self, toy: Toy) -> None:
        """A fresh graft changes nothing.

        When it fails: choose initial values that make `effective(W)` equal to W (a factor of
        zeros, a scale of ones, a `start` that reads W), or declare `identity_at_start = False`.
        """
        case = self.case(toy, shaken=False)
        output, before = case.output(), case.frozen_output()
        if not self.identity_at_start:
            assert not torch.allclose(output, before), (
                "it is the identity at start; remove `identity_at_start = False`"
            )
            return
        agree(output, before, tolerance=self.tolerance, remedy="start with effective(W) = W")

    def test_only_the_adapter_trains(self, toy: Toy) -> None:
        """The adapter has parameters that require gradients, and the backbone none.

        When it fails: make what trains an `nn.Parameter`, and what does not a buffer.
        """
        case = self.case(toy)
        own = {id(parameter) for parameter in case.handle.parameters()}
        assert own, "no parameter; make what trains an nn.Parameter"
        assert any(p.requires_grad for p in case.handle.parameters()), (
            "no parameter requires a gradient; leave requires_grad as it is"
        )
        for name, parameter in case.model.named_parameters():
            assert id(parameter) in own or not parameter.requires_grad, (
                f"'{name}' of the backbone trains; do not touch its requires_grad"
            )

    def test_gradient_reaches_every_parameter(self, toy: Toy) -> None:
        """Within two steps every trainable parameter has had a gradient other than zero.

        When it fails: use the parameter that the message names in `effective` and `forward`, or
        make it a buffer. If all factors start at zero, none of them ever moves.
        """
        case = self.case(toy, shaken=False)
        trainable = {k: p for k, p in case.handle.named_parameters() if p.requires_grad}
        reached: set[str] = set()
        for _ in range(2):
            gradients = case.gradients(case.output())
            reached |= {name for name in trainable if gradients[name].abs().max() > 0}
            with torch.no_grad():
                for name, parameter in trainable.items():
                    parameter.sub_(0.1 * gradients[name].sign())
        missed = sorted(trainable.keys() - reached)
        assert not missed, f"no gradient reaches {missed}; use them in effective and forward"

    def test_fast_path_equals_definition(self, toy: Toy) -> None:
        """`forward` and `effective` agree in value and in every gradient.

        When it fails: one of the two is wrong. Write `effective` as the paper's equation, and
        compare `forward` with it term by term; remove `forward` to run on the definition alone.
        """
        if not self.is_weight:
            return
        case = self.case(toy)
        actual, expected = case.output(), defined_output(case)
        agree(actual, expected, tolerance=self.tolerance, remedy="forward is not effective(W) x")
        gradients, defined = case.gradients(actual), case.gradients(expected)
        for name, gradient in defined.items():
            remedy = f"gradient of '{name}': forward is not effective(W) x"
            agree(gradients[name], gradient, tolerance=self.tolerance, remedy=remedy)

    def test_merge_equals_forward(self, toy: Toy) -> None:
        """Merging gives a plain model with the same output; what cannot merge says so.

        When it fails: let `effective` return the very weight that training used (no dropout, no
        randomness); for a change that depends on the input, derive from `ActivationAdapter` and
        put `mergeable=False` into the record.
        """
        case = self.case(toy)
        with torch.no_grad():
            expected = case.output()
        declared = getattr(self.record, "mergeable", True)
        assert declared == self.record.load().mergeable, "mergeable: record and class disagree"
        if not declared:
            with refused(remedy="let `mergeable = False` of the class refuse it"):
                case.handle.merge()
            same_bits(case.output(), expected, remedy="a refused merge must change nothing")
            return
        case.handle.merge()
        assert case.model.state_dict().keys() == case.plain.state_dict().keys(), "merge left traces"
        agree(case.output(), expected, tolerance=self.tolerance, remedy="merge changes the output")

    def test_evaluation_is_deterministic(self, toy: Toy) -> None:
        """In evaluation mode the same input gives the same output.

        When it fails: draw random values in `__init__` only, and keep them in buffers; let
        dropout act only while `self.training`.
        """
        changes: dict[str, Any] = {"dropout": 0.5} if "dropout" in self.setting_names() else {}
        case = self.case(toy, **changes)
        remedy = "draw nothing in effective or forward in evaluation mode"
        same_bits(case.output(), case.output(), remedy=remedy)

    @only("linear", "conv2d")
    def test_dropout_acts_in_training(self, toy: Toy) -> None:
        """The setting `dropout`, if there is one, makes training passes differ, and no others.

        When it fails: apply `nn.Dropout` to the input in `forward`, or override `drops` and
        `form`.
        """
        if "dropout" not in self.setting_names():
            return
        case = self.case(toy, dropout=0.5)
        quiet = self.case(toy, dropout=0.0)
        agree(case.output(), quiet.output(), tolerance=self.tolerance, remedy="drops in evaluation")
        case.model.train()
        first = case.output()
        # Of a few rows or blocks the same may be dropped twice.
        others = (case.output() for _ in range(20))
        assert not all(torch.equal(first, other) for other in others), (
            "dropout does nothing in training"
        )

    def test_follows_the_backbone(self, toy: Toy) -> None:
        """When the frozen weight changes, by another graft's merge or a load, the adapter sees it.

        When it fails: keep nothing that was computed from W, save in parameters that `start` sets.
        """
        case = self.case(toy)
        case.output()
        own = dict(case.model.named_parameters())
        with torch.no_grad():
            for name, parameter in case.plain.named_parameters():
                parameter.mul_(1.5)
                own[name].copy_(parameter)
        fresh = self.graft(case.plain, toy, dtype=torch.float64)
        fresh.load_state_dict(case.handle.state_dict())
        remedy = "it remembers the old weight; compute from W in every call"
        agree(case.output(), case.frozen_output(), tolerance=self.tolerance, remedy=remedy)

    @only("linear")
    def test_backbone_bits_survive_use(self, toy: Toy) -> None:
        """Forward, backward and an optimiser step leave the backbone's bits alone.

        When it fails: never write into the weight that `effective` or `start` is given.
        """
        case = self.case(toy)
        case.model.train()
        optimizer = torch.optim.SGD(case.handle.parameters(), lr=0.1)
        case.output().sum().backward()
        optimizer.step()
        case.output()
        case.handle.detach()
        remedy = "write into copies of W only"
        same_state(case.model.state_dict(), case.plain.state_dict(), remedy=remedy)
