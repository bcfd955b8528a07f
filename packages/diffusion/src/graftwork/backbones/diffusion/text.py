"""Captions as token ids and as embeddings."""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

_BATCH = 16


def tokenize(tokenizer: Any, texts: Sequence[str]) -> Int[Tensor, "texts tokens"]:
    """Token ids, padded to the encoder's length. A text that is too long is cut, with a warning."""
    for text in texts:
        _warn_of_cut(tokenizer, text)
    tokens = tokenizer(
        list(texts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    ids: Tensor = tokens.input_ids
    return ids


def embed(
    text_encoder: Any, ids: Int[Tensor, "texts tokens"]
) -> Float[Tensor, "texts tokens dims"]:
    """The encoder's last hidden states, which condition the UNet."""
    batches = ids.to(text_encoder.device).split(_BATCH)
    return torch.cat([text_encoder(batch)[0] for batch in batches])


def embed_rows(
    text_encoder: Any, ids: Int[Tensor, "texts tokens"], rows: Int[Tensor, "n"]
) -> Float[Tensor, "n tokens dims"]:
    """Embeddings of `ids[rows]`, every text encoded once however often it occurs."""
    unique, place = rows.unique(return_inverse=True)
    embeddings = embed(text_encoder, ids[unique])
    return embeddings[place.to(embeddings.device)]


def _warn_of_cut(tokenizer: Any, text: str) -> None:
    limit = tokenizer.model_max_length
    length = len(tokenizer(text, truncation=False, verbose=False).input_ids)
    if length > limit:
        warnings.warn(
            f"caption '{text[:60]}...': {length} tokens, the encoder reads {limit}; shorten it",
            stacklevel=3,
        )
