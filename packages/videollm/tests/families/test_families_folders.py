"""Folders that hold no video LLM, or not all of one: a line each."""

import json
import shutil

import pytest
import torch
from transformers import (
    AutoModelForImageTextToText,
    AutoProcessor,
    LlamaConfig,
    LlamaForCausalLM,
)

from graftwork.backbones.videollm.predicting import predicted
from graftwork.core.errors import GraftworkError


@pytest.fixture
def copy(family_folder, tmp_path):
    """A copy of a family's folder, to spoil."""
    return lambda family: shutil.copytree(family_folder(family), tmp_path / family)


def changed(path, **changes):
    found = json.loads(path.read_text())
    path.write_text(json.dumps(found | changes))


def test_no_folder_and_no_model(backbone, tmp_path):
    with pytest.raises(GraftworkError, match=r"backbone\.path: none: no such folder"):
        backbone("none")
    with pytest.raises(GraftworkError, match=r"has no config\.json"):
        backbone(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(GraftworkError, match=r"config\.json: no configuration of a model"):
        backbone(tmp_path)


def test_another_kind_of_model(backbone, tmp_path):
    config = LlamaConfig(hidden_size=32, intermediate_size=8, num_hidden_layers=1, vocab_size=9)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    with pytest.raises(GraftworkError, match=r"model_type is 'llama'; .* takes internvl, llava_n"):
        backbone(tmp_path)


def test_a_model_without_its_processor(folder, backbone, tmp_path):
    model = AutoModelForImageTextToText.from_pretrained(folder)
    model.save_pretrained(tmp_path / "bare")
    with pytest.raises(GraftworkError, match=r"bare: has no processor_config\.json; save the"):
        backbone(tmp_path / "bare")


def test_a_processor_of_another_family(copy, family_folder, backbone):
    spoilt = copy("video_llava")
    shutil.copy(family_folder("smolvlm") / "processor_config.json", spoilt)
    with pytest.raises(GraftworkError, match="SmolVLMProcessor where video_llava is read by a Vid"):
        backbone(spoilt)
    (spoilt / "processor_config.json").write_text('{"processor_class": "LlavaProcessor"}')
    with pytest.raises(GraftworkError, match="video_llava: its processor cannot be loaded"):
        backbone(spoilt)


def test_a_package_is_missing(family_folder, backbone, monkeypatch):
    def refuse(*args, **kwargs):
        raise ImportError("Package `num2words` is required to run it. Install it somehow")

    monkeypatch.setattr(AutoProcessor, "from_pretrained", refuse)
    with pytest.raises(GraftworkError, match=r"is required to run it\); pip install 'graftwork-v"):
        backbone(family_folder("smolvlm"))


def test_no_chat_template(copy, backbone):
    spoilt = copy("llava_next_video")
    (spoilt / "chat_template.jinja").unlink()
    with pytest.raises(GraftworkError, match="llava_next_video: has no chat template; put the"):
        backbone(spoilt)


def test_the_placeholder_of_another_model(copy, backbone):
    spoilt = copy("llava_onevision")
    changed(spoilt / "config.json", video_token_id=9)
    with pytest.raises(
        GraftworkError,
        match="tokenizer: has id 7 for <video>, where the model has video_token_id = 9",
    ):
        backbone(spoilt)


def test_a_tokenizer_without_the_familys_tokens(copy, family_folder, backbone):
    """One of Qwen's family in the place of another's: its tokens are not there."""
    spoilt = copy("qwen2_5_vl")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(family_folder("llava_onevision") / name, spoilt / name)
    with pytest.raises(GraftworkError, match=r"tokenizer: lacks <\|video_pad\|>"):
        backbone(spoilt)
    spoilt = copy("internvl")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(family_folder("llava_onevision") / name, spoilt / name)
    with pytest.raises(GraftworkError, match="internvl: its processor cannot be loaded"):
        backbone(spoilt)


def test_a_tokenizer_larger_than_the_model(copy, backbone):
    spoilt = copy("video_llava")
    tokens = [f"<extra {n}>" for n in range(9)]
    made = backbone(spoilt)
    made.llm.tokenizer.add_tokens(tokens)
    made.llm.processor.save_pretrained(spoilt)
    with pytest.raises(GraftworkError, match=r"the tokenizer has \d+ tokens and the model \d+;"):
        backbone(spoilt)


def test_weights_of_another_configuration(copy, backbone):
    spoilt = copy("smolvlm")
    config = json.loads((spoilt / "config.json").read_text())
    config["text_config"]["num_hidden_layers"] = 3
    (spoilt / "config.json").write_text(json.dumps(config))
    with pytest.raises(GraftworkError, match=r"describes model\.text_model\.layers\.2\..* lack"):
        backbone(spoilt)
    weights = spoilt / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(GraftworkError, match="smolvlm: cannot be loaded"):
        backbone(spoilt)


@pytest.mark.parametrize(
    ("size", "why"),
    [
        (64, r"describes \S+, which the weights lack or have in another size"),
        (30, r"config\.json: Class validation error .*\(30\) is not a multiple of"),
        ("x", r"config\.json: Validation error .* expected int, got str"),
    ],
)
def test_sizes_that_cannot_be(copy, backbone, size, why):
    spoilt = copy("llava_next_video")
    config = json.loads((spoilt / "config.json").read_text())
    config["text_config"]["hidden_size"] = size
    (spoilt / "config.json").write_text(json.dumps(config))
    with pytest.raises(GraftworkError, match=why):
        backbone(spoilt)


def test_a_tokenizer_without_padding_pads_all_the_same(copy, backbone, film, record):
    spoilt = copy("qwen2_5_vl")
    wanted = backbone(spoilt)
    changed(spoilt / "tokenizer_config.json", pad_token=None)
    made = backbone(spoilt)
    assert made.llm.tokenizer.pad_token == "<|im_end|>"
    both = [record("<video> a", "left", clips=[film(0)]), record("b", "right up")]
    with torch.no_grad():
        prompts = [made.learning.prompt(one) for one in both]
        found, expected = (predicted(each.llm, prompts)[1] for each in (made, wanted))
    assert torch.equal(found, expected)


@pytest.mark.parametrize("family", ["llava_next_video", "qwen2_5_vl", "smolvlm", "internvl"])
def test_a_folder_of_an_older_transformers(copy, family_folder, backbone, film, record, family):
    """Images, videos and the template in files of their own, as on the hub."""
    old = copy(family)
    processor = json.loads((old / "processor_config.json").read_text())
    images, videos = processor.pop("image_processor"), processor.pop("video_processor")
    files = {
        "processor_config.json": processor,
        "preprocessor_config.json": images | {"processor_class": processor["processor_class"]},
        "video_preprocessor_config.json": videos,
        "chat_template.json": {"chat_template": (old / "chat_template.jinja").read_text()},
    }
    (old / "chat_template.jinja").unlink()
    for name, content in files.items():
        (old / name).write_text(json.dumps(content))
    asked = record("<video> what?", "left", clips=[film(0)], options=("left",))
    wanted = backbone(family_folder(family)).likelihoods(asked)
    assert backbone(old).likelihoods(asked) == wanted
