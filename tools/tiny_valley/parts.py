"""What `tiny-valley` is built from: a tower, a decoder, a tokenizer of whole words."""

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedTokenizerFast

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.tokens import add_visual_tokens
from graftwork.data.video.shapes_questions import vocabulary
from graftwork.data.video.shapes_scene import COLOURS, MOTIONS, NEW_MOTION, NEW_SHAPE, SHAPES

SIDE, PATCH = 32, 8
WORDS = (
    "a an the this that these there here it they you i is are was do does did can not no yes and "
    "or of in on to from with for by at what which who where when why how many much happens shown "
    "see clip video image picture film first last before after then next color shape way direction "
    "thing object one two three four five moving move moves stands stay stays sks new old small "
    "big say"
)
"""Beside the words of the films, so that other questions can be asked and other answers learned."""


def tokenizer() -> PreTrainedTokenizerFast:
    """Whole words, lower case, marks apart; "###" is one token, and spaces are put back."""
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split("###", "isolated"),
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Split("?", "isolated"),
        ]
    )
    special = ["<unk>", "<s>", "</s>"]
    known = [*COLOURS, *SHAPES, *MOTIONS, NEW_SHAPE, NEW_MOTION]
    corpus = [" Human: Assistant: ###", WORDS, " ".join(known), *vocabulary()]
    trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    made.train_from_iterator(corpus, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


def tower_config() -> CLIPVisionConfig:
    """Four blocks, of which Valley uses three."""
    return CLIPVisionConfig(
        hidden_size=64,
        intermediate_size=192,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
    )


def valley(
    words: PreTrainedTokenizerFast,
    *,
    temporal: str,
    frame_tokens: bool,
    seed: int,
    width: int = 96,
    layers: int = 3,
) -> ValleyForConditionalGeneration:
    """Fresh weights; the tokenizer gains Valley's tokens."""
    text = LlamaConfig(
        vocab_size=len(words),
        hidden_size=width,
        intermediate_size=8 * width // 3,
        num_hidden_layers=layers,
        num_attention_heads=width // 16,
        max_position_embeddings=512,
        bos_token_id=words.bos_token_id,
        eos_token_id=words.eos_token_id,
    )
    config = ValleyConfig(
        vision_config=tower_config(),
        text_config=text,
        temporal=temporal,
        frame_tokens=frame_tokens,
        delta_intermediate_size=2 * width,
        delta_heads=4,
        system="",
    )
    torch.manual_seed(seed)
    model = ValleyForConditionalGeneration(config)
    add_visual_tokens(words, model)
    return model
