"""Checks of what a backbone samples."""

import torch

from graftwork.nn import frozen
from graftwork.testing.backbone_cases import BackboneCases
from graftwork.testing.compare import agree, same_bits


class Samples(BackboneCases):
    """Images in 0..1, each for itself."""

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
