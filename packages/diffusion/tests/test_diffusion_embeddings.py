"""The embeddings format: diffusers' own text embeddings decide whether a file is right."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import StableDiffusionPipeline
from safetensors.torch import load_file, save_file
from torch import Tensor

from graftwork.backbones.diffusion import text
from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.sampling import start_noise
from graftwork.core.errors import GraftworkError
from graftwork.nn import Graft, graft, load_graft
from graftwork.nn.words import LearnedWords

Make = Callable[..., StableDiffusion]
SITES = "text_encoder.*token_embedding"
PROMPTS = [
    "a photo of zed cat",
    "zed, two cats and another zed",
    "a cat",
    "ZED's cat",
    "zed " + "cat " * 40,
    "",
]


def words(backbone: StableDiffusion, method: str, name: str = "default", **settings: Any) -> Graft:
    """A graft of random words that show in pictures."""
    handle = graft(
        backbone.module, method, {"placeholder": "zed", **settings}, sites=SITES, name=name
    )
    torch.manual_seed(3)
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.normal_()
    return handle


def encoded(backbone: StableDiffusion, prompts: list[str]) -> Tensor:
    known = LearnedWords.of(backbone.module)
    with torch.no_grad():
        return text.embed_texts(backbone.module.text_encoder, backbone.tokenizer, prompts, known)


@pytest.fixture
def in_diffusers(pipeline_folder: Path) -> Callable[..., StableDiffusionPipeline]:
    """A pipeline that knows nothing of graftwork, with embedding files."""

    def load(*files: Path, **how: Any) -> StableDiffusionPipeline:
        pipeline = StableDiffusionPipeline.from_pretrained(pipeline_folder, safety_checker=None)
        pipeline.set_progress_bar_config(disable=True)
        for file in files:
            pipeline.load_textual_inversion(str(file.parent), weight_name=file.name, **how)
        return pipeline

    return load


@pytest.mark.parametrize("vectors", [1, 2, 5])
def test_diffusers_reads_prompts_as_we_do(
    vectors: int, make_backbone: Make, in_diffusers: Any, tmp_path: Path
) -> None:
    backbone = make_backbone()
    plain = encoded(backbone, PROMPTS)
    handle = words(backbone, "textual-inversion", vectors=vectors)
    file = handle.export(tmp_path / "out", format="embeddings")
    assert file == tmp_path / "out" / "zed.safetensors"
    ours = encoded(backbone, PROMPTS)
    theirs, _ = in_diffusers(file).encode_prompt([p.lower() for p in PROMPTS], "cpu", 1, False)
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)
    changed = [(a - b).abs().max() > 1e-3 for a, b in zip(ours, plain, strict=True)]
    assert changed == [True, True, False, True, True, False]


def test_diffusers_draws_the_same_pictures_of_a_pair(
    make_backbone: Make, in_diffusers: Any, tmp_path: Path
) -> None:
    backbone = make_backbone()
    handle = words(backbone, "dreamartist", vectors=2, negative_vectors=3)
    handle.export(tmp_path, format="embeddings")
    files = tmp_path / "zed.safetensors", tmp_path / "zed-neg.safetensors"
    assert sorted(tmp_path.iterdir()) == sorted(files)
    ours = backbone.sample(["a zed cat", "a cat"], [0, 1], steps=3, guidance=3.0)
    theirs = in_diffusers(*files)(
        ["a zed cat", "a cat"],
        negative_prompt=["a zed-neg cat", ""],
        num_inference_steps=3,
        guidance_scale=3.0,
        latents=start_noise((4, 8, 8), [0, 1]),
        height=16,
        width=16,
        output_type="pt",
    ).images
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("method", ["textual-inversion", "dreamartist"])
@pytest.mark.parametrize("target", ["out", "mine.safetensors"])
def test_a_round_trip_is_exact(
    method: str, target: str, make_backbone: Make, tmp_path: Path
) -> None:
    backbone = make_backbone()
    handle = words(backbone, method, vectors=2)
    handle.export(tmp_path / "files" / target, format="embeddings")
    other = make_backbone()
    path = tmp_path / "files" / ("out" if target == "out" else "")
    again = load_graft(other.module, path)
    assert again.method == method
    assert LearnedWords.of(other.module) == LearnedWords.of(backbone.module)
    for key, tensor in handle.state_dict().items():
        assert torch.equal(again.state_dict()[key], tensor), key
    assert torch.equal(encoded(other, PROMPTS), encoded(backbone, PROMPTS))


@pytest.mark.parametrize(
    ("content", "word", "count"),
    [
        ({"<dog>": torch.ones(3, 16)}, "<dog>", 3),
        ({"<dog>": torch.ones(16).half()}, "<dog>", 1),
        ({"emb_params": torch.ones(2, 16)}, "dog", 2),
    ],
    ids=["diffusers", "one vector", "A1111"],
)
def test_files_of_others_are_read(
    content: dict[str, Tensor], word: str, count: int, make_backbone: Make, tmp_path: Path
) -> None:
    save_file(content, tmp_path / "dog.safetensors")
    backbone = make_backbone()
    load_graft(backbone.module, tmp_path / "dog.safetensors")
    (ids,) = LearnedWords.of(backbone.module).ids.items()
    assert ids == (word, range(len(backbone.tokenizer), len(backbone.tokenizer) + count))
    embedding = backbone.module.text_encoder.get_input_embeddings()
    assert torch.equal(embedding(torch.tensor(ids[1])), torch.ones(count, 16))


def test_a_file_that_diffusers_saved_by_hand_and_ours_are_one(
    make_backbone: Make, tmp_path: Path
) -> None:
    handle = words(make_backbone(), "textual-inversion", vectors=2)
    file = handle.export(tmp_path / "x.safetensors", format="embeddings")
    assert file == tmp_path / "x.safetensors"
    ((word, vectors),) = load_file(file).items()
    assert word == "zed"
    assert torch.equal(vectors, next(handle.parameters()))


def test_a_word_that_is_a_token_is_told(
    make_backbone: Make, in_diffusers: Any, tmp_path: Path
) -> None:
    handle = words(make_backbone(), "textual-inversion", placeholder="z</w>")
    with pytest.warns(UserWarning, match="'z</w>' is a token already.*token='<z</w>>'"):
        file = handle.export(tmp_path, format="embeddings")
    assert file.name == "zw.safetensors"
    with pytest.raises(ValueError, match="already in tokenizer vocabulary"):
        in_diffusers(file)
    in_diffusers(file, token="<z>")


REFUSED = {
    "a pickle": ("dog.pt", None, "is a pickle.*converted"),
    "another width": ("a.safetensors", {"zed": torch.ones(2, 8)}, "another text encoder"),
    "two encoders": (
        "a.safetensors",
        {"clip_l": torch.ones(1, 16), "clip_g": torch.ones(1, 16)},
        "two text encoders",
    ),
    "not finite": ("a.safetensors", {"zed": torch.full((1, 16), float("nan"))}, "NaN"),
    "not vectors": ("a.safetensors", {"zed": torch.ones(1, 2, 16)}, "no table of vectors"),
    "several words in the word": ("a.safetensors", {"a b": torch.ones(1, 16)}, "several words"),
}


@pytest.mark.parametrize(("name", "content", "says"), REFUSED.values(), ids=REFUSED)
def test_bad_files_are_refused(
    name: str, content: Any, says: str, make_backbone: Make, tmp_path: Path
) -> None:
    file = tmp_path / name
    file.write_bytes(b"\x80\x02}q\x00.") if content is None else save_file(content, file)
    backbone = make_backbone()
    with pytest.raises(GraftworkError, match=rf"{name}: .*{says}"):
        load_graft(backbone.module, file)
    assert not LearnedWords.of(backbone.module).ids
    assert not backbone.module.text_is_adapted()


def test_words_that_are_no_pair_are_refused(make_backbone: Make, tmp_path: Path) -> None:
    for word in ("zed", "other"):
        save_file({word: torch.ones(1, 16)}, tmp_path / f"{word}.safetensors")
    with pytest.raises(GraftworkError, match=r"several words \(zed, other\)"):
        load_graft(make_backbone().module, tmp_path)


def test_what_the_format_cannot_hold_is_refused(make_backbone: Make, tmp_path: Path) -> None:
    backbone = make_backbone()
    handle = words(backbone, "textual-inversion")
    handle.weight = 0.5
    with pytest.raises(GraftworkError, match=r"holds words at weight 1, not 0\.5"):
        handle.export(tmp_path / "out", format="embeddings")
    lora = graft(backbone.module, "lora", {"rank": 2}, sites="unet.*.to_q", name="lora")
    with pytest.raises(GraftworkError, match="holds learned words, and lora has none"):
        lora.export(tmp_path / "out", format="embeddings")
    assert not (tmp_path / "out").exists()
