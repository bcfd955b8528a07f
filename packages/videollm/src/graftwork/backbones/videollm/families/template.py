"""The chat template of a processor, or of the tokenizer in it."""

from collections.abc import Collection
from typing import Any

from transformers import ProcessorMixin

from graftwork.backbones.videollm.dialogue.chat_template import ChatTemplate
from graftwork.backbones.videollm.dialogue.rendering import Renderer, in_parts, in_text
from graftwork.core.errors import GraftworkError


def template_of(processor: ProcessorMixin, stops: Collection[str] = ()) -> ChatTemplate:
    """The words of a model of transformers.

    Clips are parts of a message, or, for a template that knows text alone, the processor's token
    for a clip in that text.

    Args:
        processor: with a template of its own, or a tokenizer with one.
        stops: tokens at which the model's generation ends.

    Raises:
        GraftworkError: there is no template, or none that will do.
    """
    tokenizer = processor.tokenizer
    # None for the processor's own: SmolVLM's has another for films.
    text = None if processor.chat_template is not None else tokenizer.chat_template
    if processor.chat_template is None and text is None:
        raise GraftworkError(
            "has no chat template; put the one that the model was trained with into "
            "chat_template.jinja"
        )

    def apply(messages: list[dict[str, Any]], ask: bool) -> str:
        return str(processor.apply_chat_template(messages, text, add_generation_prompt=ask))

    clip = processor.video_token
    renderer = Renderer(apply, in_parts)
    if not _writes(renderer, clip):
        renderer = Renderer(apply, in_text(clip))
    return ChatTemplate(renderer, tokenizer, clip=clip, stops=stops)


def _writes(renderer: Renderer, clip: str) -> bool:
    try:
        return renderer.writes(clip)
    except GraftworkError:  # a template of text alone may stumble over parts
        return False
