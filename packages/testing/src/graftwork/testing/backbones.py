"""Checks of a backbone."""

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from graftwork.core import plugins
from graftwork.core.plugins import PluginManager
from graftwork.nn import Graft, frozen, graft
from graftwork.nn.backbone import Backbone
from graftwork.nn.dataset import Dataset
from graftwork.nn.match import match_sites
from graftwork.testing import toy
from graftwork.testing.adapter.case import shake
from graftwork.testing.compare import agree, same_bits
from graftwork.testing.plugins import PluginSuite
from graftwork.testing.toy_data import ToyDataset

_ALL = frozenset({"prediction", "free"})


class BackboneSuite(PluginSuite):
    """Checks of one text-to-image backbone, with an adapter of the kit's own on it.

    ```python
    class TestTinySD(BackboneSuite):
        name = "tiny-sd"
    ```
    """

    kind = "backbones"
    base = Backbone

    sampling: ClassVar[Mapping[str, Any]] = {"steps": 2}
    """Settings of `sample` that keep it short."""
    prompts: ClassVar[tuple[str, ...]] = ("a photo of brick", "a photo of grass")
    """Two prompts that give different images."""
    tolerance: ClassVar[float] = 1e-4
    """Largest gap between an image drawn alone and in a batch."""
    rounding: ClassVar[float] = 0.0
    """Largest gap between the adapted and the frozen prediction while no adapter acts; not zero
    where the two come from batches of different sizes."""

    def backbone(self, **changes: Any) -> Backbone:
        """A fresh backbone in float32 on the CPU."""
        made: Backbone = self.record.load()(self.parsed(**changes))
        made.to(torch.device("cpu"), torch.float32)
        return made

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare; override for another task."""
        return ToyDataset()

    def step(self, backbone: Backbone, *, seed: int = 0, needs: frozenset[str] = _ALL) -> Any:
        """One step on the first two examples."""
        examples = backbone.prepare(self.dataset())
        generator = torch.Generator().manual_seed(seed)
        return backbone.step(examples, [0, 1], needs=needs, generator=generator)

    @contextlib.contextmanager
    def grafted(self, backbone: Backbone) -> Iterator[Graft]:
        """The kit's low-rank adapter on the default sites, with random values."""
        manager = PluginManager()
        manager.register(toy, "graftwork-testing-toy")
        with plugins.use(manager):
            handle = graft(backbone.module, "toy-lora", {"rank": 1}, sites=backbone.default_sites())
            shake(handle, size=0.2)
            yield handle
            handle.detach()

    def test_default_sites_exist(self) -> None:
        """Every pattern of `default_sites` matches a site of `module`.

        When it fails: correct the pattern that the message names.
        """
        backbone = self.backbone()
        patterns = backbone.default_sites()
        assert patterns, "default_sites: empty; name the layers that are usually adapted"
        match_sites(backbone.module, patterns)

    def test_fingerprint_follows_the_weights(self) -> None:
        """The fingerprint is the same for the same weights, grafted or not, and only for them.

        When it fails: return `graftwork.nn.fingerprint(self.module)`.
        """
        backbone = self.backbone()
        before = backbone.fingerprint()
        assert before == self.backbone().fingerprint(), "two fingerprints for the same weights"
        with self.grafted(backbone):
            assert backbone.fingerprint() == before, "an adapter changes the fingerprint"
        with torch.no_grad():
            next(iter(backbone.module.parameters())).add_(0.5)
        assert backbone.fingerprint() != before, "other weights, same fingerprint; hash them"

    def test_step_is_finite(self) -> None:
        """A step holds what was asked for, finite, and nothing that was not.

        When it fails: compute each prediction only if its word is in `needs`.
        """
        backbone = self.backbone()
        step = self.step(backbone)
        for name in ("clean", "noise", "prediction", "adapted_free", "frozen_free"):
            field = getattr(step, name)
            assert field is not None, f"'{name}' is None though `needs` asks for it"
            assert field.isfinite().all(), f"'{name}' has NaN or infinity"
            assert field.shape == step.clean.shape, f"'{name}' has another shape than 'clean'"
        assert ((step.alpha_bar > 0) & (step.alpha_bar <= 1)).all(), "alpha_bar outside 0..1"
        lean = self.step(backbone, needs=frozenset({"prediction"}))
        assert lean.adapted_free is None, "adapted_free computed though nobody needs it"
        assert lean.frozen_free is None, "frozen_free computed though nobody needs it"

    def test_step_repeats(self) -> None:
        """The same generator seed gives the same step, bit for bit; another seed another one.

        When it fails: draw noise and timesteps from the `generator` argument alone.
        """
        backbone = self.backbone()
        with self.grafted(backbone):
            first, again, other = (self.step(backbone, seed=seed) for seed in (0, 0, 1))
        for field in dataclasses.fields(first):
            value = getattr(first, field.name)
            if isinstance(value, Tensor):
                remedy = f"'{field.name}': draw from `generator` alone"
                same_bits(value, getattr(again, field.name), remedy=remedy)
        assert not torch.equal(first.noise, other.noise), "the seed does not change the noise"

    def test_free_pair_is_equal_without_graft(self) -> None:
        """Without an adapter the adapted and the frozen prediction are equal, with one they differ.

        When it fails: use the same z_t, t and captions in both, and `frozen(self.module)` in the
        second, without gradient.
        """
        backbone = self.backbone()
        step = self.step(backbone)
        pair = step.adapted_free, step.frozen_free
        agree(*pair, tolerance=self.rounding, remedy="use the same z_t, t and captions")
        with self.grafted(backbone):
            changed = self.step(backbone)
        assert not changed.frozen_free.requires_grad, "frozen_free carries a gradient; no_grad()"
        pair = changed.frozen_free, step.frozen_free
        agree(*pair, tolerance=self.rounding, remedy="use frozen(self.module)")
        gap = (changed.adapted_free - step.frozen_free).abs().max()
        assert gap > 10 * self.rounding, "the graft does not act on adapted_free"

    def test_gradient_reaches_the_adapter(self) -> None:
        """Every adapter on the default sites gets a gradient, and the backbone none.

        When it fails: run the adapted forward pass with gradients, through the layers that
        `default_sites` names.
        """
        backbone = self.backbone()
        with self.grafted(backbone) as handle:
            _loss(self.step(backbone)).backward()
            still = [n for n, p in handle.named_parameters() if p.grad is None or not p.grad.any()]
            assert not still, f"no gradient reaches {still[:3]}"
            own = {id(p) for p in handle.parameters()}
            given = [
                n
                for n, p in backbone.module.named_parameters()
                if id(p) not in own and p.grad is not None
            ]
            assert not given, f"the backbone's {given[:3]} got a gradient; keep it frozen"

    def test_samples_are_images(self) -> None:
        """Samples have shape (n, 3, height, width), lie in 0..1 and repeat bit for bit.

        When it fails: decode to RGB, clamp to 0..1, and draw from generators made of `seeds`.
        """
        backbone = self.backbone()
        images = backbone.sample(self.prompts, [3, 4], **self.sampling)
        assert images.dim() == 4, f"{images.dim()} axes; return (samples, 3, height, width)"
        assert images.shape[:2] == (2, 3), f"shape {tuple(images.shape)}; return (samples, 3, ...)"
        assert images.isfinite().all(), "NaN or infinity in a sample"
        assert images.min() >= 0, "values below 0; clamp"
        assert images.max() <= 1, "values above 1; clamp"
        again = backbone.sample(self.prompts, [3, 4], **self.sampling)
        same_bits(again, images, remedy="draw from generators made of `seeds`")

    def test_samples_are_independent(self) -> None:
        """A sample depends on its own prompt and seed: not on the batch, and on both of them.

        When it fails: give every sample a generator of its own, and use no batch statistics.
        """
        backbone = self.backbone()
        both = backbone.sample(self.prompts, [3, 4], **self.sampling)
        alone = backbone.sample(self.prompts[1:], [4], **self.sampling)
        agree(alone[0], both[1], tolerance=self.tolerance, remedy="a sample depends on its batch")
        seed = backbone.sample(self.prompts[1:], [5], **self.sampling)
        assert not torch.allclose(seed, alone), "another seed, the same sample"
        prompt = backbone.sample(self.prompts[:1], [4], **self.sampling)
        assert not torch.allclose(prompt, alone), "another prompt, the same sample"

    def test_grafts_act_on_samples(self) -> None:
        """A graft changes samples, and `frozen` gives those of the backbone.

        When it fails: sample with `self.module`, not with a copy of it.
        """
        backbone = self.backbone()
        plain = backbone.sample(self.prompts, [3, 4], **self.sampling)
        with self.grafted(backbone):
            adapted = backbone.sample(self.prompts, [3, 4], **self.sampling)
            with frozen(backbone.module):
                off = backbone.sample(self.prompts, [3, 4], **self.sampling)
        assert not torch.allclose(adapted, plain), "the graft does not act on samples"
        same_bits(off, plain, remedy="frozen(module) does not give the backbone's samples")

    def test_gradient_checkpointing_changes_nothing(self) -> None:
        """With the setting `gradient_checkpointing`, if there is one, gradients are the same.

        When it fails: use non-reentrant checkpointing and draw nothing inside it.
        """
        if "gradient_checkpointing" not in self.setting_names():
            return
        found = [self._gradients(gradient_checkpointing=on) for on in (False, True)]
        for name, gradient in found[0].items():
            remedy = f"gradient of '{name}' under checkpointing"
            agree(found[1][name], gradient, tolerance=1e-4, remedy=remedy)

    def test_features_are_rows(self) -> None:
        """`features` gives one finite row for each image, or None.

        When it fails: flatten everything but the batch.
        """
        backbone = self.backbone()
        images = backbone.sample(self.prompts, [3, 4], **self.sampling)
        features = backbone.features(images)
        if features is not None:
            assert features.dim() == 2, f"{features.dim()} axes; return (images, dims)"
            assert len(features) == 2, f"{len(features)} rows for 2 images"
            assert features.isfinite().all(), "NaN or infinity in the features"

    def test_task_is_declared_once(self) -> None:
        """Record and class agree on the task.

        When it fails: give `task` the same value in both.
        """
        declared, own = getattr(self.record, "task", None), self.record.load().task
        assert declared == own, f"task: {declared} in the record, {own} in the class"

    def _gradients(self, **changes: Any) -> dict[str, Tensor]:
        backbone = self.backbone(**changes)
        with self.grafted(backbone) as handle:
            handle.train()
            _loss(self.step(backbone)).backward()
            return {
                name: p.grad.clone() for name, p in handle.named_parameters() if p.grad is not None
            }


def _loss(step: Any) -> Tensor:
    loss: Tensor = (step.prediction - step.target).square().mean()
    return loss + step.adapted_free.square().mean()
