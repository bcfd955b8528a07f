"""Checks that torch's machinery works through an adapter: dtypes, compilation, checkpoints."""

import copy
from typing import ClassVar

import pytest
import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from graftwork.nn import graft
from graftwork.testing.adapter.case import AdapterCases, Case, only, projection
from graftwork.testing.adapter.toys import Toy
from graftwork.testing.compare import agree


class Machinery(AdapterCases):
    """Half precision, compilation, checkpointing, moves."""

    half_tolerance: ClassVar[float] = 0.05
    """Largest gap, relative to the output's size, between bfloat16 and float64."""
    single_tolerance: ClassVar[float] = 1e-4
    """The same between float32 and float64."""

    def test_half_precision_backbone(self, toy: Toy) -> None:
        """On a bfloat16 backbone the adapter stays in float32, and the output in bfloat16.

        When it fails: compute in `self.dtype` (`site.down` casts x to it) and leave the cast of the
        result to the caller.
        """
        case = self.case(toy, dtype=torch.bfloat16, adapter_dtype=torch.float32)
        output = case.output()
        assert output.dtype == torch.bfloat16, f"output in {output.dtype}; do not widen it"
        assert {p.dtype for p in case.handle.parameters()} == {torch.float32}, "parameters cast"
        reference = self._in_double(case)
        remedy = "arithmetic in bfloat16; compute in self.dtype"
        agree(output, reference, tolerance=self.half_tolerance, remedy=remedy)
        self._trains(case, output)

    def test_autocast(self, toy: Toy) -> None:
        """Under bfloat16 autocast values stay near and gradients arrive.

        When it fails: give a custom autograd function operands of one dtype, and switch autocast
        off around arithmetic that needs its digits.
        """
        case = self.case(toy, dtype=torch.float32, adapter_dtype=torch.float32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            output = case.output()
        remedy = "autocast changes the result; see torch.autocast(..., enabled=False)"
        agree(output, case.output(), tolerance=self.half_tolerance, remedy=remedy)
        self._trains(case, output)

    def test_moves_to_another_dtype(self, toy: Toy) -> None:
        """A grafted model moved to float64 computes the same.

        When it fails: keep tensors in parameters and buffers, so that `.to()` moves them.
        """
        case = self.case(toy, dtype=torch.float32, adapter_dtype=torch.float32)
        single = case.output()
        moved = case.model.double()(case.x if toy.tokens else case.x.double())
        remedy = "a tensor did not move with the model"
        agree(moved, single, tolerance=self.single_tolerance, remedy=remedy)

    def test_gradient_checkpointing(self, toy: Toy) -> None:
        """Recomputing the forward pass gives the same gradients, so parameters move.

        When it fails: let `forward` depend on its arguments and the adapter's tensors alone.
        """
        case = self.case(toy)
        expected = case.gradients(case.output())
        actual = case.gradients(checkpoint(case.model, case.x, use_reentrant=False))
        for name, gradient in expected.items():
            remedy = f"gradient of '{name}' under checkpointing"
            agree(actual[name], gradient, tolerance=1e-12, remedy=remedy)

    @only("linear", "conv2d", "embedding", "packed")
    def test_compiles(self, toy: Toy) -> None:
        """`torch.compile` takes the grafted model in one graph and computes the same.

        When it fails: in `forward` and `effective` use no data-dependent branch and no Python
        side effect; `torch.compiler.is_compiling()` can choose the definition.
        """
        case = self.case(toy, dtype=torch.float32, adapter_dtype=torch.float32)
        torch.compiler.reset()
        compiled = torch.compile(case.model, backend="aot_eager", fullgraph=True)
        try:
            actual = compiled(case.x)
        except Exception as error:
            reason = str(error).strip().partition("\n")[0]
            pytest.fail(f"{reason}; avoid what torch.compile cannot trace, or ask is_compiling()")
        expected = case.output()
        agree(actual, expected, tolerance=self.single_tolerance, remedy="compiled output differs")
        gradients = case.gradients(actual)
        for name, gradient in case.gradients(expected).items():
            remedy = f"gradient of '{name}' differs once compiled"
            agree(gradients[name], gradient, tolerance=self.single_tolerance, remedy=remedy)

    def _in_double(self, case: Case) -> Tensor:
        """The case's output with the same values, all of it in float64."""
        model = copy.deepcopy(case.plain).double()
        handle = graft(model, self.name, case.handle.settings, sites="*", dtype=torch.float64)
        handle.load_state_dict({k: t.double() for k, t in case.handle.state_dict().items()})
        return model(case.x if case.toy.tokens else case.x.double())

    def _trains(self, case: Case, output: Tensor) -> None:
        parameters = [p for p in case.handle.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(projection(output), parameters, allow_unused=True)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            assert gradient is not None, "a gradient is missing"
            assert gradient.isfinite().all(), "a gradient is not finite"
            assert gradient.dtype == parameter.dtype, "a gradient has another dtype"
