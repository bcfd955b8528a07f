"""The suite for backbones of any task."""

import torch

from graftwork.nn.match import match_sites
from graftwork.testing.backbone_steps import Steps


class BackboneSuite(Steps):
    """Checks of one backbone, with an adapter of the kit's own on it.

    ```python
    class TestDenoiser(BackboneSuite):
        name = "my-denoiser"

        def dataset(self):
            return MyClips()
    ```

    A backbone that draws pictures from prompts has `TextToImageSuite`.
    """

    def test_default_sites_exist(self) -> None:
        """Every pattern of `default_sites` matches a site of `module`.

        When it fails: correct the pattern that the message names.
        """
        backbone = self.backbone()
        patterns = backbone.default_sites()
        assert patterns, "default_sites: empty; name the layers that are usually adapted"
        match_sites(backbone.module, patterns)

    def test_adapters_keep_their_dtype(self) -> None:
        """`to` casts what is frozen, and leaves the adapters on it in float32.

        When it fails: move the module by `graftwork.nn.moving.move`.
        """
        backbone = self.backbone()
        with self.grafted(backbone) as handle:
            backbone.to(torch.device("cpu"), torch.bfloat16)
            found = {parameter.dtype for parameter in handle.parameters()}
            assert found == {torch.float32}, f"to: adapters are {found} now"

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

    def test_task_is_declared_once(self) -> None:
        """Record and class agree on the task.

        When it fails: give `task` the same value in both.
        """
        declared, own = getattr(self.record, "task", None), self.record.load().task
        assert declared == own, f"task: {declared} in the record, {own} in the class"
