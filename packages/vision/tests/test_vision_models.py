"""Models by name, from a folder, from a file; what they are shown, their sites and classifiers."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from timm.data import create_transform, resolve_model_data_config

from graftwork.backbones.vision.loading import load
from graftwork.backbones.vision.settings import TimmSettings
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft
from graftwork.nn.match import match_sites
from graftwork.testing.toy_labels import ToyLabels

Make = Callable[..., Any]
ARGUMENTS = {"img_size": 32, "patch_size": 8, "embed_dim": 16, "depth": 2, "num_heads": 2}


def model(**more: Any) -> torch.nn.Module:
    torch.manual_seed(3)
    return timm.create_model("vit_tiny_patch16_224", **ARGUMENTS, **more).eval()


def saved(folder: Path, made: torch.nn.Module) -> Path:
    timm.models.save_for_hf(made, str(folder), safe_serialization=True)
    return folder


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "convnext_atto", "mobilenetv3_small_050"]
)
def test_features_and_logits_are_timms(vit: Make, name: str) -> None:
    backbone = vit(model=name, arguments={}, image_size=64 if "vit" not in name else None)
    torch.manual_seed(0)
    x = torch.randn(1, *backbone.looking.pixels.size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = timm.create_model(name).eval()
    with torch.no_grad():
        expected = reference.forward_head(reference.forward_features(x), pre_logits=True)
        torch.testing.assert_close(backbone.module.features(x), expected)
        torch.testing.assert_close(
            backbone.module.maps(x), reference.forward_features(x), rtol=1e-4, atol=1e-4
        )


def test_the_models_own_classifier(vit: Make) -> None:
    backbone = vit(classifier="own", arguments={**ARGUMENTS, "num_classes": 3})
    x = torch.randn(2, 3, 32, 32)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        reference = timm.create_model("vit_tiny_patch16_224", **ARGUMENTS, num_classes=3).eval()
    with torch.no_grad():
        torch.testing.assert_close(backbone.module(x), reference(x))
    backbone.meet(ToyLabels())
    assert len(backbone.prepare(ToyLabels())) == 6  # without any head


def test_a_classifier_of_other_classes_is_refused(vit: Make) -> None:
    with pytest.raises(GraftworkError, match="own has 1000 classes, and the data 3; set it to"):
        vit(classifier="own").meet(ToyLabels())


def test_a_blank_classifier_wants_a_head(vit: Make) -> None:
    backbone = vit()
    backbone.meet(ToyLabels())
    with pytest.raises(GraftworkError, match=r"add \[\[adapter\]\] with kind = 'linear-head'"):
        backbone.prepare(ToyLabels())


def test_meeting_the_same_classes_again_keeps_the_head(vit: Make) -> None:
    backbone = vit()
    backbone.meet(ToyLabels())
    handle = graft(backbone.module, "linear-head", sites=backbone.head_sites())
    backbone.meet(ToyLabels(part="test"))
    assert handle.sites["classifier"].site.layer is backbone.module.classifier


def test_sites(vit: Make) -> None:
    made = vit()
    names = list(match_sites(made.module, made.default_sites()))
    block = [f"body.blocks.0.attn.{part}" for part in ("qkv.q", "qkv.k", "qkv.v", "proj")]
    assert names == [*block, *(name.replace("blocks.0", "blocks.1") for name in block)]
    assert list(match_sites(made.module, made.head_sites())) == ["classifier"]
    resnet = vit(model="resnet10t", arguments={"channels": [8, 8, 8, 8]}, image_size=32)
    kinds = {site.kind for site in match_sites(resnet.module, resnet.default_sites()).values()}
    assert kinds == {"conv2d"}


def test_pictures_are_shown_as_timm_has_it(vit: Make) -> None:
    backbone = vit(model="resnet18", arguments={})
    config = resolve_model_data_config(timm.create_model("resnet18"))
    picture = torch.randint(0, 256, (3, 300, 200), dtype=torch.uint8)
    transform = create_transform(**config, is_training=False)
    expected = transform(Image.fromarray(picture.permute(1, 2, 0).numpy()))
    pixels = backbone.looking.pixels
    found = pixels.normalised(pixels.plain(picture)[None], torch.zeros(1))[0]
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_folder_of_timms(tmp_path: Path) -> None:
    made = model(num_classes=5)
    folder = saved(tmp_path / "model", made)
    found = load(TimmSettings(path=str(folder)))
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(x), made(x))
    assert not any(parameter.requires_grad for parameter in found.parameters())


def test_a_file_of_weights(tmp_path: Path) -> None:
    made = model()
    save_file(made.state_dict(), tmp_path / "weights.safetensors")
    path = str(tmp_path / "weights.safetensors")
    found = load(TimmSettings(path=path, model="vit_tiny_patch16_224", arguments=ARGUMENTS))
    assert torch.equal(found.norm.weight, made.norm.weight)
    x = torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(found(x), made(x))


def test_what_is_saved_is_loaded(vit: Make, tmp_path: Path) -> None:
    backbone = vit(classifier="own", arguments={**ARGUMENTS, "num_classes": 3}, image_size=32)
    backbone.save(tmp_path / "own")
    again = vit(model=None, path=str(tmp_path / "own"), classifier="own", arguments={})
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.module(x), backbone.module(x))
    assert again.looking.pixels.config == backbone.looking.pixels.config
    assert again.fingerprint() == backbone.fingerprint()
    with torch.no_grad():  # timm itself
        assert torch.equal(
            timm.create_model(f"local-dir:{tmp_path / 'own'}", pretrained=True).eval()(x),
            backbone.module(x),
        )


def test_a_body_without_a_classifier_is_saved(vit: Make, tmp_path: Path) -> None:
    backbone = vit()
    backbone.meet(ToyLabels())
    backbone.save(tmp_path / "body")
    again = vit(model=None, path=str(tmp_path / "body"), arguments={})
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.module.features(x), backbone.module.features(x))


def test_adapters_come_off_before_saving(vit: Make, tmp_path: Path) -> None:
    backbone = vit()
    graft(backbone.module, "linear-head", sites=backbone.head_sites())
    with pytest.raises(GraftworkError, match="merge or detach"):
        backbone.save(tmp_path / "model")


def no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def cut(folder: Path) -> None:
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:200])


def other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["model_args"]["embed_dim"] = 24
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (no_config, "has no config.json; save it with timm's save_for_hf"),
        (no_weights, "has no model.safetensors; save it with"),
        (cut, "cannot be"),
        (other_shape, "cannot be"),
    ],
)
def test_damaged_folders(tmp_path: Path, damage: Callable[[Path], None], told: str) -> None:
    folder = saved(tmp_path / "model", model())
    damage(folder)
    with pytest.raises(GraftworkError, match=told) as caught:
        load(TimmSettings(path=str(folder)))
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"model": "resnet81"}, "timm has no such model; did you mean 'resnet"),
        ({"path": "nowhere"}, "nowhere: no such folder or file"),
        ({"model": "resnet18", "pretrained": False, "arguments": {"depth": 3}}, "cannot be built"),
    ],
)
def test_models_that_cannot_be_had(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(GraftworkError, match=told) as caught:
        load(TimmSettings(**settings))
    assert "\n" not in str(caught.value)


def test_pickles_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "model.pth").write_bytes(b"pickle")
    with pytest.raises(GraftworkError, match=r"is no \.safetensors file"):
        load(TimmSettings(path=str(tmp_path / "model.pth"), model="resnet18"))


def test_published_weights_that_cannot_be_had_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*args: Any, **kwargs: Any) -> Any:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(GraftworkError, match=r"resnet18: its weights cannot be had .*no network"):
        load(TimmSettings(model="resnet18"))


def test_ids_of_the_hub_go_to_timm_as_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = model(), []

    def create(name: str, **arguments: Any) -> torch.nn.Module:
        asked.append((name, arguments))
        return made

    monkeypatch.setattr(timm, "create_model", create)
    load(TimmSettings(model="hf-hub:timm/resnet18.a1_in1k"))
    assert asked == [("hf-hub:timm/resnet18.a1_in1k", {"pretrained": True})]


def test_a_size_that_the_model_cannot_take(vit: Make) -> None:
    with pytest.raises(GraftworkError, match=r"backbone\.image_size: 48: .*requires \(32, 32\)"):
        vit(image_size=48)


def test_a_blank_classifier_is_no_part_of_the_backbone(vit: Make) -> None:
    """Adapters are known again beside data with other classes, and without data."""
    backbone = vit()
    alone = backbone.fingerprint()
    backbone.meet(ToyLabels())
    assert backbone.fingerprint() == alone
    assert "classifier.weight" not in dict(backbone.module.named_parameters())
    assert not backbone.module.classifier.weight.requires_grad
    own = vit(classifier="own", arguments={**ARGUMENTS, "num_classes": 3})
    assert "classifier.weight" in dict(own.module.named_parameters())


def test_a_backbone_meets_one_data_set_after_the_other(vit: Make) -> None:
    class Two(ToyLabels):
        classes = ("waves", "stripes")

        def label(self, index: int) -> int:
            return index % 2

    backbone = vit()
    for data in (ToyLabels(), Two(), ToyLabels()):
        backbone.meet(data)
        handle = graft(backbone.module, "linear-head", sites=backbone.head_sites())
        assert backbone.predict(data).logits.shape == (6, len(data.classes))
        handle.detach()
