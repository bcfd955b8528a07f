"""Parts of a text as token ids that read the same when they are put together."""

from transformers import PreTrainedTokenizerBase


def first_piece(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """How a text begins: with the token that the tokenizer begins every text with, if any."""
    around = tokenizer("")["input_ids"]
    begin = around[:1] if around[:1] == [tokenizer.bos_token_id] else []
    return begin + tokenizer(text, add_special_tokens=False)["input_ids"]


def later_piece(tokenizer: PreTrainedTokenizerBase, text: str, *, before: str) -> list[int]:
    """The ids of a text as it reads after `before`.

    Alone it would read as the beginning of a text: tokenizers of the LLaMA kind would put a space
    in front. `before` need only be the end of what comes before, and not end in a space. Where one
    token would hold parts of both, the text is tokenised alone.
    """
    if not text:
        return []
    joint = tokenizer(before + text, add_special_tokens=False, return_offsets_mapping=True)
    border = len(before)
    spans = joint["offset_mapping"]
    if any(start < border < end for start, end in spans):
        return tokenizer(text, add_special_tokens=False)["input_ids"]
    pairs = zip(joint["input_ids"], spans, strict=True)
    return [token for token, (start, _) in pairs if start >= border]
