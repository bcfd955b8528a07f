"""Captions as token ids and as embeddings.

Learned words (`graftwork.nn.words`) stand for several ids each. What lies between them is
tokenised piece by piece, as the tokenizers library does around tokens that were added to it.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from graftwork.core.errors import GraftworkWarning
from graftwork.nn.words import LearnedWords

_BATCH = 16
_NONE = LearnedWords()


def tokenize(
    tokenizer: Any, texts: Sequence[str], words: LearnedWords = _NONE
) -> Int[Tensor, "texts tokens"]:
    """Token ids, padded to the encoder's length. A text that is too long is cut."""
    tokens = tokenizer(
        list(texts),
        padding="max_length",
        max_length=tokenizer.model_max_length,
        truncation=True,
        return_tensors="pt",
    )
    ids: Tensor = tokens.input_ids
    for row, text in enumerate(texts):
        if words.used_in(text):
            ids[row] = torch.tensor(_padded(tokenizer, token_ids(tokenizer, text, words)))
    return ids


def token_ids(tokenizer: Any, text: str, words: LearnedWords = _NONE) -> list[int]:
    """Ids of a whole text, without start, end and padding."""
    found: list[int] = []
    for piece in words.split(text):
        found += _plain(tokenizer, piece) if isinstance(piece, str) else piece
    return found


def embed(
    text_encoder: Any, ids: Int[Tensor, "texts tokens"]
) -> Float[Tensor, "texts tokens dims"]:
    """The encoder's last hidden states, which condition the UNet."""
    batches = ids.to(text_encoder.device).split(_BATCH)
    return torch.cat([text_encoder(batch)[0] for batch in batches])


def embed_texts(
    text_encoder: Any, tokenizer: Any, texts: Sequence[str], words: LearnedWords
) -> Float[Tensor, "texts tokens dims"]:
    """Embeddings of texts, each distinct one encoded once."""
    distinct = list(dict.fromkeys(texts))
    embeddings = embed(text_encoder, tokenize(tokenizer, distinct, words))
    rows = torch.tensor([distinct.index(text) for text in texts], device=embeddings.device)
    return embeddings[rows]


def warn_of_cuts(tokenizer: Any, texts: Sequence[str], words: LearnedWords = _NONE) -> None:
    """Warn of texts that are too long for the encoder, which reads their beginning alone."""
    limit = tokenizer.model_max_length
    for text in texts:
        length = len(token_ids(tokenizer, text, words)) + 2  # the start and the end
        if length > limit:
            warnings.warn(
                f"caption '{text[:60]}...': {length} tokens, the encoder reads {limit}; shorten it",
                GraftworkWarning,
                stacklevel=3,
            )


def _plain(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    return ids


def _padded(tokenizer: Any, ids: list[int]) -> list[int]:
    length = tokenizer.model_max_length
    whole = [tokenizer.bos_token_id, *ids[: length - 2], tokenizer.eos_token_id]
    return whole + [tokenizer.pad_token_id] * (length - len(whole))
