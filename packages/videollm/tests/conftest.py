"""A tiny random Valley in a folder, with a tokenizer of whole words."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedTokenizerFast

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.template import V1
from graftwork.backbones.videollm.valley.tokens import add_visual_tokens

torch.set_num_threads(1)

CORPUS = [
    V1.system,
    "Human: Assistant: where does the sks move? and the sks color? which is first?",
    "left right up red nothing what do you see in this clip",
]


def word_tokenizer() -> PreTrainedTokenizerFast:
    """Whole words and marks, "###" one of them."""
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("###", "isolated"), pre_tokenizers.WhitespaceSplit()]
    )
    special = ["<unk>", "<s>", "</s>"]
    trainer = trainers.WordLevelTrainer(special_tokens=special, show_progress=False)
    made.train_from_iterator([*CORPUS, "###"], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )


CHAT = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def build(
    folder: Path, *, temporal: str = "mean", context: int = 256, template: str | None = None
) -> Path:
    """Random weights of the real classes, and their tokenizer, as `save_pretrained` leaves them."""
    tokenizer = word_tokenizer()
    if template is not None:
        tokenizer.add_tokens(["<|im_start|>", "<|im_end|>"], special_tokens=True)
        tokenizer.chat_template = template
    vision = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
    )
    text = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=context,
        initializer_range=0.3,
    )
    config = ValleyConfig(
        vision_config=vision,
        text_config=text,
        temporal=temporal,
        delta_heads=4,
        delta_intermediate_size=24,
    )
    torch.manual_seed(0)
    model = ValleyForConditionalGeneration(config).eval()
    add_visual_tokens(tokenizer, model)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def valley_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("valley"))


@pytest.fixture(scope="session")
def delta_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("delta"), temporal="delta")


@pytest.fixture(scope="session")
def chat_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Valley whose tokenizer has a chat template."""
    return build(tmp_path_factory.mktemp("chat"), template=CHAT)
