"""From a data set to examples: the VAE and the text encoder run once, here."""

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from graftwork.backbones.diffusion import latents, text
from graftwork.backbones.diffusion.cache import cached, key_of
from graftwork.backbones.diffusion.examples import Examples
from graftwork.backbones.diffusion.parts import Parts
from graftwork.backbones.diffusion.pixels import to_pixels, to_weights
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, frozen
from graftwork.nn.text_to_image import CaptionedImages
from graftwork.nn.words import LearnedWords


def prepare(
    data: CaptionedImages,
    *,
    parts: Parts,
    vae: torch.nn.Module,
    tokenizer: object,
    side: int,
    cache: str | None,
) -> Examples:
    """Encode the images and captions of `data`, or take them from the cache.

    Raises:
        GraftworkError: the data set is empty or does not pass its own check.
    """
    data.check()
    if not len(data):
        raise GraftworkError("data: there are no images; check its path")
    captions = [data.caption(index) for index in range(len(data))]
    free = _free_captions(data)
    texts = list(dict.fromkeys(["", *captions, *(free or [])]))

    def encode() -> Examples:
        mean, deviation = latents.encode(
            vae, (to_pixels(data.image(index), side) for index in range(len(data)))
        )
        with torch.no_grad(), frozen(parts):
            ids = text.tokenize(tokenizer, texts)
            embeddings = text.embed(parts.text_encoder, ids).float().cpu()
        row = {words: number for number, words in enumerate(texts)}
        return Examples(
            mean=mean,
            deviation=deviation,
            embeddings=embeddings,
            captions=torch.tensor([row[words] for words in captions]),
            free=torch.tensor([row[words] for words in free]) if free else None,
            weight=_weights(data, side, mean.shape[-1]),
        )

    text.warn_of_cuts(tokenizer, texts, LearnedWords.of(parts))
    models = fingerprint(vae), fingerprint(parts.text_encoder)
    encoded = cached(cache, key_of(data.hash(), captions, free, models, side), encode)
    return replace(encoded, texts=tuple(texts))


def _weights(data: CaptionedImages, side: int, cells: int) -> Float[Tensor, "n 1 h w"] | None:
    """What the masks of the data come to; an image without one counts once everywhere."""
    masks = [data.mask(index) for index in range(len(data))]
    if all(mask is None for mask in masks):
        return None
    ones = torch.ones(1, cells, cells)
    return torch.stack([ones if m is None else to_weights(m, side, cells) for m in masks])


def _free_captions(data: CaptionedImages) -> list[str] | None:
    free = [data.caption_free(index) for index in range(len(data))]
    return None if None in free else [words for words in free if words is not None]
