"""In whose words a Valley is asked, and what a clip reads as.

A clip of T frames is `<im_start>` P x `<im_patch>` `<im_end>` `<vi_start>` T x `<im_patch>`
`<vi_end>`: P + T + 4 tokens, of which P + T are placeholders. Without frame tokens the second group
is left out. An image is a clip of one frame.
"""

from collections.abc import Collection
from typing import Any

from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.dialogue.chat_template import ChatTemplate, special_tokens
from graftwork.backbones.videollm.dialogue.dialogues import Dialogues
from graftwork.backbones.videollm.dialogue.rendering import Renderer, in_text
from graftwork.backbones.videollm.dialogue.wording import Wording
from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.template import CLIP, template_of
from graftwork.backbones.videollm.valley.tokens import NAMES, VisualTokens
from graftwork.core.errors import GraftworkError
from graftwork.video.record import Turn


def clip_text(config: ValleyConfig, frames: int) -> str:
    """What a clip reads as in a prompt."""
    image = f"<im_start>{'<im_patch>' * config.patches}<im_end>"
    return image + f"<vi_start>{'<im_patch>' * frames}<vi_end>" * config.frame_tokens


def valley_dialogues(
    config: ValleyConfig, tokenizer: PreTrainedTokenizerBase, *, stops: Collection[str] = ()
) -> Dialogues:
    """Writes records for a Valley.

    Args:
        config: Of the model.
        tokenizer: The model's.
        stops: Tokens at which the model's generation ends.

    Raises:
        GraftworkError: the tokenizer has no offsets, lacks one of Valley's tokens, has another
            placeholder than the model, or a chat template that cannot write dialogues about clips.
    """
    _refuse_others(config, tokenizer)
    context = getattr(config.text_config, "max_position_embeddings", None)
    wording = wording_of(config, tokenizer, stops=stops)
    return Dialogues(tokenizer, wording, reserved=NAMES, context=context)


def wording_of(
    config: ValleyConfig, tokenizer: PreTrainedTokenizerBase, *, stops: Collection[str] = ()
) -> Wording:
    """The tokenizer's chat template where it has one, unless the configuration says otherwise.

    Raises:
        GraftworkError: it cannot write dialogues about clips, or is to and is not there.
    """
    if config.template == "valley" or (config.template is None and not tokenizer.chat_template):
        return template_of(config.system)
    try:
        return _chat_template(tokenizer, system=config.system or "", stops=stops)
    except GraftworkError as error:
        raise GraftworkError(
            f"tokenizer: {error}; or write 'template': 'valley' into config.json, for Valley's own"
        ) from error


def _chat_template(
    tokenizer: PreTrainedTokenizerBase, *, system: str, stops: Collection[str]
) -> ChatTemplate:
    if not tokenizer.chat_template:
        raise GraftworkError(
            "has no chat template; put the one that the decoder was trained with into "
            "chat_template.jinja"
        )

    def apply(messages: list[dict[str, Any]], ask: bool) -> str:
        return str(
            tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=ask)
        )

    made = ChatTemplate(
        Renderer(apply, in_text(CLIP), system=system),
        tokenizer,
        clip=CLIP,
        # A configuration may name the last token of another vocabulary.
        stops=special_tokens(tokenizer).intersection(stops),
    )
    made.exchanges([Turn("<video>a", "b"), Turn("c", "d")])  # refuses before anything is read
    return made


def _refuse_others(config: ValleyConfig, tokenizer: PreTrainedTokenizerBase) -> None:
    tokens = VisualTokens.of(tokenizer)
    if tokens.patch != config.video_token_id:
        raise GraftworkError(
            f"tokenizer: <im_patch> is {tokens.patch} where the model has "
            f"video_token_id = {config.video_token_id}; use the tokenizer that belongs to it"
        )
    ids = [tokens.patch, tokens.image_start, tokens.image_end, tokens.video_start, tokens.video_end]
    text = "".join(tokenizer.convert_ids_to_tokens(ids))
    if tokenizer(text, add_special_tokens=False)["input_ids"] != ids:
        raise GraftworkError(
            "tokenizer: reads <im_patch> as a word like any other; add Valley's tokens with "
            "`add_visual_tokens`"
        )
