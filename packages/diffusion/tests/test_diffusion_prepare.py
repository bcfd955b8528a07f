"""Encoding a data set, once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from graftwork.backbones.diffusion import latents
from graftwork.backbones.diffusion.backbone import StableDiffusion
from graftwork.backbones.diffusion.pixels import to_pixels, to_weights
from graftwork.core.errors import GraftworkError
from graftwork.nn import graft

Make = Callable[..., StableDiffusion]


def count_calls(owner: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    calls: list[None] = []
    original = getattr(owner, name)

    def counted(*args: Any, **kwargs: Any) -> Any:
        calls.append(None)
        return original(*args, **kwargs)

    monkeypatch.setattr(owner, name, counted)
    return calls


def test_pictures_are_cropped_at_the_centre_and_scaled() -> None:
    image = Image.new("RGB", (40, 20), "black")
    image.paste((255, 255, 255), (10, 0, 30, 20))
    pixels = to_pixels(image, 16)
    assert pixels.shape == (3, 16, 16)
    # The filter is wider than a pixel: at the border it also sees what is cut away.
    assert torch.equal(pixels[..., 1:-1], torch.ones(3, 16, 14))
    assert pixels.min() > 0.9
    assert to_pixels(Image.new("L", (5, 5), 0), 8).max() == -1


def test_masks_count_as_in_the_authors_code() -> None:
    """O5.5: 0 is 0, 127 is 1, 255 is 5; a place counts as its pixels do on average."""
    for value, weight in ((0, 0.0), (127, 1.0), (255, 5.0), (191, 3.0)):
        assert torch.equal(
            to_weights(Image.new("L", (9, 9), value), 8, 4), torch.full((1, 4, 4), weight)
        )
    half = Image.new("L", (40, 20), 0)
    half.paste(255, (20, 0, 40, 20))
    assert to_weights(half, 8, 4)[0].tolist() == [[0.0, 0.0, 5.0, 5.0]] * 4
    assert to_weights(half, 8, 1).item() == 2.5


def test_masks_reach_the_step(make_backbone: Make, squares: Any, tmp_path: Path) -> None:
    class Masked(squares):  # type: ignore[misc]
        def mask(self, index: int) -> Image.Image | None:
            return Image.new("L", (self.size, self.size + 6), 255) if index == 1 else None

        def hash(self) -> str:
            return f"masked-{super().hash()}"

    backbone = make_backbone(cache=str(tmp_path))
    for _ in range(2):  # encoded, and from the cache
        examples = backbone.prepare(Masked())
        needs, generator = frozenset({"prediction"}), torch.Generator().manual_seed(0)
        step = backbone.step(examples, [0, 1], needs=needs, generator=generator)
        assert step.weight is not None
        assert step.weight.shape == (2, 1, 8, 8)
        assert step.weight.mean((1, 2, 3)).tolist() == [1.0, 5.0]
    plain = backbone.step(backbone.prepare(squares()), [0], needs=needs, generator=generator)
    assert plain.weight is None


def test_latents_are_those_of_the_vae(backbone: StableDiffusion, squares: Any) -> None:
    data = squares(5)  # more than one batch of the VAE
    examples = backbone.prepare(data)
    pixels = torch.stack([to_pixels(data.image(i), backbone.side) for i in range(5)])
    posterior = backbone.vae.encode(pixels).latent_dist
    torch.testing.assert_close(examples.mean, posterior.mean)
    torch.testing.assert_close(examples.deviation, posterior.std)
    assert len(examples) == 5


def test_scaling_and_decoding_undo_one_another(backbone: StableDiffusion) -> None:
    raw = torch.randn(1, 4, 8, 8)
    decoded = latents.decode(backbone.vae, latents.scale(backbone.vae, raw))
    expected = (backbone.vae.decode(raw).sample / 2 + 0.5).clamp(0, 1)
    torch.testing.assert_close(decoded, expected)


def test_every_text_is_encoded_once_and_the_empty_one_is_row_0(
    backbone: StableDiffusion, squares: Any
) -> None:
    examples = backbone.prepare(squares(4))
    assert len(examples.texts) == 5  # the empty one, two captions, two without trigger
    assert examples.texts[0] == ""
    assert examples.captions.tolist() == [1, 2, 1, 2]
    assert examples.free is not None
    assert examples.free.tolist() == [3, 4, 3, 4]
    pipeline = backbone.pipeline
    expected, empty = pipeline.encode_prompt("a photo of sks cat 0", "cpu", 1, True, "")
    torch.testing.assert_close(examples.embeddings[1:2], expected)
    torch.testing.assert_close(examples.embeddings[:1], empty)


def test_without_a_trigger_there_are_no_free_captions(
    backbone: StableDiffusion, squares: Any
) -> None:
    assert backbone.prepare(squares(2, trigger=None)).free is None


def test_the_second_time_nothing_is_encoded(
    make_backbone: Make, squares: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = make_backbone(cache=str(tmp_path / "cache")).prepare(squares(3))
    again, data = make_backbone(cache=str(tmp_path / "cache")), squares(3)
    pictures = count_calls(again.vae, "encode", monkeypatch)
    texts = count_calls(again.module.text_encoder, "forward", monkeypatch)
    second = again.prepare(data)
    assert (len(pictures), len(texts), data.reads) == (0, 0, 0)
    assert all(torch.equal(second.tensors()[name], t) for name, t in first.tensors().items())
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_another_data_set_resolution_or_model_is_encoded_anew(
    make_backbone: Make, squares: Any, tmp_path: Path
) -> None:
    cache = str(tmp_path)
    make_backbone(cache=cache).prepare(squares(3))
    make_backbone(cache=cache).prepare(squares(2))
    make_backbone(cache=cache).prepare(squares(3, trigger=None))
    make_backbone(cache=cache, resolution=32).prepare(squares(3))
    other = make_backbone(cache=cache)
    with torch.no_grad():
        other.vae.encoder.conv_in.bias.add_(1)
    other.prepare(squares(3))
    assert len(list(tmp_path.iterdir())) == 5


def test_a_damaged_cache_is_written_anew(make_backbone: Make, squares: Any, tmp_path: Path) -> None:
    first = make_backbone(cache=str(tmp_path)).prepare(squares(2))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    second = make_backbone(cache=str(tmp_path)).prepare(squares(2))
    assert torch.equal(first.mean, second.mean)
    assert file.read_bytes() == whole


def test_what_is_kept_is_the_frozen_model_whatever_is_grafted(
    make_backbone: Make, squares: Any
) -> None:
    plain, grafted = make_backbone(), make_backbone()
    handle = graft(grafted.module, "lora", {"rank": 2}, sites="text_encoder.*.q_proj")
    with torch.no_grad():
        for parameter in handle.parameters():
            parameter.fill_(1.0)
    expected, kept = plain.prepare(squares(2)), grafted.prepare(squares(2))
    assert torch.equal(expected.embeddings, kept.embeddings)


def test_a_caption_that_is_too_long_is_named(backbone: StableDiffusion, squares: Any) -> None:
    class Wordy(squares):  # type: ignore[misc]
        def caption(self, index: int) -> str:
            return "a very wordy caption " * 20

    with pytest.warns(UserWarning, match="caption 'a very wordy.*the encoder reads 77; shorten"):
        examples = backbone.prepare(Wordy(1))
    assert examples.embeddings.shape[1] == 77


def test_an_empty_data_set_is_refused(backbone: StableDiffusion, squares: Any) -> None:
    with pytest.raises(GraftworkError, match="data: there are no images"):
        backbone.prepare(squares(0))


def test_the_data_sets_own_check_comes_first(backbone: StableDiffusion, squares: Any) -> None:
    class Bad(squares):  # type: ignore[misc]
        def check(self) -> None:
            raise GraftworkError("images/7.png: not an image; remove it")

    with pytest.raises(GraftworkError, match=r"images/7\.png"):
        backbone.prepare(Bad(2))
