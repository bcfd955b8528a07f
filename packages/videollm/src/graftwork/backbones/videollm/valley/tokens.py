"""The six tokens that Valley adds to its decoder's vocabulary, and their embeddings.

`<im_patch>` and `<vi_frame>` hold the places of rows; the others stand before and after them. Our
prompts use the first one's id for both kinds of row, so that one id says where features go.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import AddedToken, PreTrainedModel, PreTrainedTokenizerBase

from graftwork.core.errors import GraftworkError

NAMES = ("<im_patch>", "<vi_frame>", "<im_start>", "<im_end>", "<vi_start>", "<vi_end>")
DELIMITERS = NAMES[2:]
PAD = "[PAD]"


@dataclass(frozen=True)
class VisualTokens:
    """The ids of the six tokens."""

    patch: int
    """The placeholder, of patches and of frames."""
    frame: int
    """The released model's second placeholder, which stands in no prompt of ours."""
    image_start: int
    image_end: int
    video_start: int
    video_end: int

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase) -> "VisualTokens":
        """The ids that a tokenizer gives them.

        Raises:
            GraftworkError: it lacks one of them.
        """
        known = tokenizer.get_vocab()
        if missing := [name for name in NAMES if name not in known]:
            raise GraftworkError(
                f"tokenizer: has no {missing[0]}; add Valley's tokens with `add_visual_tokens`"
            )
        return cls(*(known[name] for name in NAMES))

    def __contains__(self, token: int) -> bool:
        own = (self.patch, self.frame, self.image_start, self.image_end)
        return token in own or token in (self.video_start, self.video_end)

    def one_placeholder(self, ids: Sequence[int]) -> list[int]:
        """Ids of a prompt in the released layout, which has two placeholders, with our one."""
        return [self.patch if token == self.frame else token for token in ids]


def add_visual_tokens(tokenizer: PreTrainedTokenizerBase, model: PreTrainedModel) -> VisualTokens:
    """Teach a tokenizer and a Valley the six tokens, and `[PAD]` where nothing pads yet.

    New delimiters start, in the input and the output matrix, as the mean of the rows that were in
    use; the model's `video_token_id` becomes the placeholder's. What is known stays as it is.
    """
    before = tokenizer.get_vocab()
    used = max(before.values()) + 1
    tokenizer.add_tokens([AddedToken(name, special=True, normalized=False) for name in NAMES])
    if tokenizer.pad_token is None:
        tokenizer.add_special_tokens({"pad_token": PAD})
    tokens = VisualTokens.of(tokenizer)
    rows = model.get_input_embeddings().weight.shape[0]
    if (size := max(tokenizer.get_vocab().values()) + 1) > rows:
        model.resize_token_embeddings(size, mean_resizing=False)
    fresh = [tokenizer.get_vocab()[name] for name in DELIMITERS if name not in before]
    _start_at_mean(model, fresh, used)
    model.config.video_token_id = tokens.patch
    return tokens


@torch.no_grad()
def _start_at_mean(model: PreTrainedModel, rows: list[int], used: int) -> None:
    for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
        if layer is not None and rows:
            layer.weight[rows] = layer.weight[:used].float().mean(0).to(layer.weight.dtype)
