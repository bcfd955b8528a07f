"""Tiny random Valleys of the real classes, and prompts for them."""

from collections import Counter

import pytest
import torch
from tokenizers import (
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import CLIPVisionConfig, LlamaConfig, PreTrainedTokenizerFast

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration

torch.set_num_threads(1)

PAD, BOS, EOS, VIDEO = 0, 1, 2, 5
SIDE = 16  # 2 x 2 patches


def vision_config(**changes):
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    sizes |= {"num_attention_heads": 2, "image_size": SIDE, "patch_size": 8, "projection_dim": 8}
    return CLIPVisionConfig(**(sizes | changes))


def text_config(**changes):
    sizes = {"vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2}
    sizes |= {"num_attention_heads": 4, "num_key_value_heads": 2, "initializer_range": 0.3}
    sizes |= {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
    return LlamaConfig(**(sizes | changes))


@pytest.fixture(scope="session")
def make_config():
    """A configuration; `vision` and `text` change those of the parts."""

    def make(vision=None, text=None, **changes):
        parts = {"vision_config": vision_config(), "text_config": text_config()}
        if vision is not None:
            parts["vision_config"] = vision_config(**vision)
        if text is not None:
            parts["text_config"] = text_config(**text)
        sizes = {"video_token_id": VIDEO, "delta_heads": 4, "delta_intermediate_size": 24}
        return ValleyConfig(**(parts | sizes | changes))

    return make


@pytest.fixture(scope="session")
def make_model(make_config):
    """A model in evaluation mode."""

    def make(temporal="mean", seed=0, **changes):
        torch.manual_seed(seed)
        return ValleyForConditionalGeneration(make_config(temporal=temporal, **changes)).eval()

    return make


@pytest.fixture(scope="session")
def clip():
    """Random pixels of a clip, or of several of one length."""

    def make(*shape, seed=0):
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(*shape, 3, SIDE, SIDE, generator=generator)

    return make


@pytest.fixture(scope="session")
def prompt():
    """Ids: BOS, some words, the placeholders of clips with a word after each, some words."""

    def make(config, *frames, words=4, seed=0):
        generator = torch.Generator().manual_seed(seed)
        more = torch.randint(6, config.text_config.vocab_size, (words,), generator=generator)
        ids = [BOS, 7]
        for count in frames:
            ids += [VIDEO] * config.visual_rows(count) + [8]
        return torch.tensor([ids + more.tolist()])

    return make


@pytest.fixture
def tower_calls():
    """Count the calls of a model's tower."""

    def watch(model):
        calls = Counter()
        model.get_encoder(modality="video").register_forward_hook(
            lambda *_: calls.update(["tower"])
        )
        return calls

    return watch


CORPUS = [
    "what colour is the square and where does it go",
    "The square is red. It moves to the left, then up!",
    "a blue circle, a green one: which comes first?",
    "system user words about clips and pictures 0 1 2 3 4 5 6 7 8 9",
    "é ü ß 赤 ☃ 🎈",
]
SPECIAL = ["<unk>", "<s>", "</s>"]


def byte_level():
    """As GPT-2's: bytes, and spaces at the front of words."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


def metaspace():
    """As LLaMA's: a space in front of every text, though there is none."""
    made = Tokenizer(models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    made.decoder = decoders.Metaspace(prepend_scheme="first")
    letters = [*"#:\n.,!?HA"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, initial_alphabet=letters, show_progress=False
    )
    made.train_from_iterator(CORPUS, trainer)
    return made


def prepending():
    """As LLaMA's of old: a space in front of all that stands between special tokens."""
    made = metaspace()
    vocabulary = Tokenizer.to_str(made)
    made = Tokenizer.from_str(vocabulary)
    made.pre_tokenizer = pre_tokenizers.Sequence([])
    made.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    return made


def words():
    """Whole words and marks; spaces and lines count for nothing."""
    made = Tokenizer(models.WordLevel(unk_token="<unk>"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(special_tokens=SPECIAL, show_progress=False)
    made.train_from_iterator([*CORPUS, "### Human : Assistant"], trainer)
    return made


TOKENIZERS = {
    "byte-level": byte_level,
    "metaspace": metaspace,
    "prepending": prepending,
    "words": words,
}


@pytest.fixture(scope="session")
def make_tokenizer():
    """A fast tokenizer that begins each text with BOS."""

    def make(kind="byte-level"):
        made = TOKENIZERS[kind]()
        made.post_processor = processors.TemplateProcessing(
            single="<s> $A", special_tokens=[("<s>", made.token_to_id("<s>"))]
        )
        return PreTrainedTokenizerFast(
            tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
        )

    return make
