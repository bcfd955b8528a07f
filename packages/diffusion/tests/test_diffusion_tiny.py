"""The shipped weights."""

import pytest
import torch

from graftwork.backbones.diffusion import tiny
from graftwork.backbones.diffusion.backbone import SITES
from graftwork.backbones.diffusion.settings import TinySDConfig
from graftwork.backbones.diffusion.tiny import TinySD
from graftwork.core.errors import GraftworkError
from graftwork.nn.match import match_sites

pytestmark = pytest.mark.skipif(not tiny.folder().is_dir(), reason="the weights are not built yet")


@pytest.fixture(scope="module")
def backbone() -> TinySD:
    return TinySD(TinySDConfig())


def test_it_is_a_small_stable_diffusion_in_float32(backbone: TinySD) -> None:
    assert {p.dtype for p in backbone.module.parameters()} == {torch.float32}
    assert backbone.side == 64
    blocks = [n for n, _ in backbone.module.named_modules() if n.endswith("transformer_blocks.0")]
    assert len(match_sites(backbone.module, SITES)) == 8 * len(blocks)
    assert sum(f.stat().st_size for f in tiny.folder().rglob("*") if f.is_file()) <= 16e6


def test_its_samples_are_named_rightly_by_its_classifier(backbone: TinySD) -> None:
    subjects = ["brick", "coins", "flower", "page", "temple", "rocket"]
    prompts = [f"a photo of {name}" for name in subjects]
    named = backbone.classifier.names(backbone.sample(prompts, range(6), guidance=3.0))
    assert sum(map(str.__eq__, subjects, named)) >= 4, named  # one of fifteen by chance


def test_features_are_of_length_one_for_any_size(backbone: TinySD) -> None:
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    features = backbone.features(images)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    assert not features.requires_grad
    large = images.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert (backbone.features(large) * features).sum(1).min() > 0.9


def test_the_classifier_is_loaded_on_first_use() -> None:
    fresh = TinySD(TinySDConfig())
    assert "classifier" not in vars(fresh)
    assert fresh.features(torch.rand(1, 3, 64, 64)) is not None
    assert "classifier" in vars(fresh)


def test_every_trigger_word_is_one_token(backbone: TinySD) -> None:
    for word in ("sks", "cat"):
        assert len(backbone.tokenizer(word).input_ids) == 3


def test_an_installation_without_weights_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiny, "folder", lambda: tiny.Path("nowhere"))
    with pytest.raises(GraftworkError, match="tiny-sd: its weights are not in this installation"):
        TinySD(TinySDConfig())
