"""CLIP and DINO from a local folder, on tiny models made here from their configurations."""

import json
import os
import sys

import pytest
import torch
from safetensors.torch import load_file, save_file

from graftwork.core import GraftworkError
from graftwork.metrics.features import extractor
from graftwork.metrics.pretrained import pretrained
from graftwork.nn.text_to_image import Pictures

transformers = pytest.importorskip("transformers")

TOWER = {
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}
CLIP_SIZE = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
DINO_SIZE = {"size": {"height": 32, "width": 32}}


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clip")
    text = {**TOWER, "vocab_size": 64, "max_position_embeddings": 8}
    config = transformers.CLIPConfig(vision_config=TOWER, text_config=text, projection_dim=12)
    torch.manual_seed(0)
    transformers.CLIPModel(config).save_pretrained(folder)
    transformers.CLIPImageProcessor(**CLIP_SIZE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def dino(tmp_path_factory):
    folder = tmp_path_factory.mktemp("dino")
    torch.manual_seed(0)
    transformers.Dinov2Model(transformers.Dinov2Config(**TOWER)).save_pretrained(folder)
    transformers.BitImageProcessor(**CLIP_SIZE).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def vit(tmp_path_factory):
    """The first DINO is a plain ViT, saved without the pooler."""
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    config = transformers.ViTConfig(**TOWER)
    transformers.ViTModel(config, add_pooling_layer=False).save_pretrained(folder)
    transformers.ViTImageProcessor(**DINO_SIZE).save_pretrained(folder)
    return folder


class Nothing(Pictures):
    """An evaluation that is not to be asked for anything."""

    subject_prompts = free_prompts = seeds = ()
    reference = torch.empty(0, 3, 8, 8)  # a type check of the protocol looks at it


@pytest.fixture
def images():
    """Already of the model's size and in 8 bits, so that nothing is lost on the way."""
    levels = torch.randint(256, (3, 3, 32, 32), generator=torch.Generator().manual_seed(0))
    return levels / 255


def normalised(images, mean, std):
    return (images - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)


CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def test_clip_gives_the_projected_image_embedding(clip, images):
    model = transformers.CLIPModel.from_pretrained(clip).eval()
    pixels = normalised(images, CLIP_MEAN, CLIP_STD)
    with torch.no_grad():
        tower = model.vision_model(pixel_values=pixels).pooler_output
        expected = model.visual_projection(tower)
    found = pretrained(clip, place="here")(images)
    assert found.shape == (3, 12)
    torch.testing.assert_close(found, expected)


def test_dinov2_gives_the_class_token(dino, images):
    model = transformers.Dinov2Model.from_pretrained(dino).eval()
    processor = json.loads((dino / "preprocessor_config.json").read_text())
    pixels = normalised(images, processor["image_mean"], processor["image_std"])
    with torch.no_grad():
        expected = model(pixel_values=pixels).last_hidden_state[:, 0]
    torch.testing.assert_close(pretrained(dino, place="here")(images), expected)


def test_dino_gives_the_class_token(vit, images):
    model = transformers.ViTModel.from_pretrained(vit, add_pooling_layer=False).eval()
    with torch.no_grad():
        expected = model(pixel_values=images * 2 - 1).last_hidden_state[:, 0]
    torch.testing.assert_close(pretrained(vit, place="here")(images), expected)


def test_any_size_and_many_images(clip):
    assert pretrained(clip, place="here")(torch.rand(33, 3, 20, 50)).shape == (33, 12)


def test_a_folder_is_loaded_once(clip, monkeypatch):
    monkeypatch.chdir(clip.parent)
    assert pretrained(clip, place="one") is pretrained(clip.relative_to(clip.parent), place="two")


def test_the_setting_takes_the_folder(clip, images):
    found = extractor(str(clip))(Nothing(), images)
    torch.testing.assert_close(found, pretrained(clip, place="here")(images))


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (
            "descripter",
            r"^metric\.features: 'descripter' is neither .* did you mean 'descriptor'\?$",
        ),
        ("no/such/folder", r"'no/such/folder' is neither a name nor a folder; known names: auto"),
    ],
)
def test_neither_a_name_nor_a_folder(features, message):
    with pytest.raises(GraftworkError, match=message):
        extractor(features)


def broken(folder, tmp_path, *, without=(), config=None):
    """A copy of a model's folder with some damage."""
    for source in folder.iterdir():
        if source.name not in without:
            os.link(source, tmp_path / source.name)
    if config is not None:
        (tmp_path / "config.json").unlink()
        (tmp_path / "config.json").write_text(config)
    return str(tmp_path)


def refusal(path):
    with pytest.raises(GraftworkError) as caught:
        extractor(path)
    message = str(caught.value)
    assert message.startswith("metric.features: ")
    assert path in message
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json", "model.safetensors"])
def test_a_missing_file_is_told_with_the_layout(clip, tmp_path, name):
    message = refusal(broken(clip, tmp_path, without=[name]))
    assert "must hold config.json, preprocessor_config.json and model.safetensors" in message


def test_pickled_weights_are_never_opened(clip, tmp_path):
    path = broken(clip, tmp_path, without=["model.safetensors"])
    torch.save(load_file(clip / "model.safetensors"), tmp_path / "pytorch_model.bin")
    assert "model.safetensors" in refusal(path)


def test_a_truncated_weight_file(clip, tmp_path):
    path = broken(clip, tmp_path, without=["model.safetensors"])
    whole = (clip / "model.safetensors").read_bytes()
    (tmp_path / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    assert "cannot be loaded" in refusal(path)


def test_missing_weights_are_not_made_up(dino, tmp_path):
    path = broken(dino, tmp_path, without=["model.safetensors"])
    weights = load_file(dino / "model.safetensors")
    del weights["layernorm.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert "lacks 'layernorm.weight'" in refusal(path)


def test_a_configuration_that_is_not_json(clip, tmp_path):
    assert "cannot be loaded" in refusal(broken(clip, tmp_path, config="{"))


def test_a_model_of_another_kind(clip, tmp_path):
    message = refusal(broken(clip, tmp_path, config='{"model_type": "bert"}'))
    assert "a model of type 'bert'; use one of: clip" in message


def test_code_in_the_folder_is_never_run(clip, tmp_path):
    config = json.loads((clip / "config.json").read_text())
    config |= {"model_type": "mine", "auto_map": {"AutoConfig": "code.Config"}}
    path = broken(clip, tmp_path, config=json.dumps(config))
    (tmp_path / "code.py").write_text("raise SystemExit('ran')")
    refusal(path)


def test_without_transformers_the_extra_is_named(clip, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(GraftworkError, match=r"run: pip install 'graftwork-metrics\[clip\]'$"):
        extractor(broken(clip, tmp_path))
