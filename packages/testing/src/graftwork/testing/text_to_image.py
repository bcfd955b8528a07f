"""The suite for backbones that draw pictures from prompts."""

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from graftwork.nn import frozen
from graftwork.nn.dataset import Dataset
from graftwork.nn.text_to_image import TextToImage
from graftwork.testing.backbones import BackboneSuite
from graftwork.testing.compare import agree, same_bits
from graftwork.testing.toy_data import ToyDataset


class TextToImageSuite(BackboneSuite):
    """Checks of one text-to-image backbone, with an adapter of the kit's own on it.

    ```python
    class TestTinySD(TextToImageSuite):
        name = "tiny-sd"
    ```
    """

    base = TextToImage
    fields = {"prediction": ("prediction",), "free": ("adapted_free", "frozen_free")}

    sampling: ClassVar[Mapping[str, Any]] = {"steps": 2}
    """Settings of `sample` that keep it short."""
    prompts: ClassVar[tuple[str, ...]] = ("a photo of brick", "a photo of coins")
    """Two prompts that give different images."""
    tolerance: ClassVar[float] = 1e-4
    """Largest gap between an image drawn alone and in a batch."""
    rounding: ClassVar[float] = 0.0
    """Largest gap between the adapted and the frozen prediction while no adapter acts; not zero
    where the two come from batches of different sizes."""

    def backbone(self, **changes: Any) -> TextToImage:
        """A fresh backbone in float32 on the CPU."""
        backbone = super().backbone(**changes)
        assert isinstance(backbone, TextToImage)
        return backbone

    def dataset(self) -> Dataset:
        """What the backbone is given to prepare."""
        return ToyDataset()

    def objective(self, step: Any) -> Tensor:
        """Both adapted predictions."""
        return super().objective(step) + step.adapted_free.square().mean()

    def test_step_is_of_one_shape(self) -> None:
        """Noise and predictions have the shape of the clean images, and alpha_bar lies in 0..1.

        When it fails: predict for the whole batch, and draw timesteps of the schedule.
        """
        step = self.step(self.backbone())
        for name in ("noise", "prediction", "adapted_free", "frozen_free"):
            shape = getattr(step, name).shape
            assert shape == step.clean.shape, f"'{name}' has another shape than 'clean'"
        assert ((step.alpha_bar > 0) & (step.alpha_bar <= 1)).all(), "alpha_bar outside 0..1"

    def test_seed_draws_the_noise(self) -> None:
        """Another seed of the generator gives other noise.

        When it fails: draw the noise from the `generator` argument.
        """
        backbone = self.backbone()
        first, other = (self.step(backbone, seed=seed).noise for seed in (0, 1))
        assert not torch.equal(first, other), "the seed does not change the noise"

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
