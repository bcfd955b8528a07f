"""The tokenizer: byte-level BPE as CLIP has it, with a vocabulary of about a thousand tokens."""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from transformers import CLIPTokenizer

from tiny_sd import crops, photos

START, END = "<|startoftext|>", "<|endoftext|>"
WORD_END = "</w>"
MAX_LENGTH = 77

CAPTION_WORDS = ("a", "photo", "close", "of", "tinted", ",")
# Words one reaches for when personalising.  No caption contains them: each is one token whose
# embedding stays as it was drawn, so a class word such as "cat" means nothing before tuning.
EVERYDAY_WORDS = """
    an the this that my your one two three in on at by with without and or from under over near
    behind beside into front top left right background style picture image portrait drawing
    painting sketch small large big old new red green blue yellow purple orange white black grey
    gray brown pink gold silver dark bright warm cold wooden metal glass paper stone soft shiny
    cat cats dog dogs cup cups mug coffee tea bowl plate spoon table chair lamp book bag backpack
    shoe shoes hat shirt toy bear duck rabbit bird fish cow sheep pig monkey person man woman
    child boy girl face eye eyes hand head hair house home door window wall roof street road city
    town bridge car bus train boat ship plane bike bicycle tree trees leaf flowers rose garden
    forest mountain hill river lake sea ocean beach sand snow ice rain cloud sky sun star stars
    night day fire water earth apple orange banana lemon bread cake food fruit bottle box clock
    phone camera computer ball statue vase teapot candle sunglasses field grassland ground floor
    object thing animal subject scene view
""".split()
# Words nobody uses, for naming a new subject.
TRIGGER_WORDS = "sks zwx ohwx qxz vprk tkf wvz mzq jxk bnha xjy pqv kzn hfq ghw rtz".split()


def build() -> CLIPTokenizer:
    """Learn the merges from the word list alone, so that every listed word is one token."""
    words = [*CAPTION_WORDS, *photos.SUBJECTS, *crops.TINTS, *EVERYDAY_WORDS, *TRIGGER_WORDS]
    merges = _learn_merges(sorted(set(words)))
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = letters + [letter + WORD_END for letter in letters]
    tokens += [first + second for first, second in merges]
    # The end token comes last: older readers of CLIP find it as the highest id in a row.
    tokens = [*dict.fromkeys(tokens), START, END]
    return CLIPTokenizer(
        vocab={token: index for index, token in enumerate(tokens)},
        merges=merges,
        model_max_length=MAX_LENGTH,
    )


def _learn_merges(words: list[str]) -> list[tuple[str, str]]:
    tokenizer = Tokenizer(models.BPE(end_of_word_suffix=WORD_END))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    # With room for every pair the trainer goes on until each word is a single token.
    trainer = trainers.BpeTrainer(
        vocab_size=100_000,
        min_frequency=0,
        end_of_word_suffix=WORD_END,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(words, trainer)
    learned = json.loads(tokenizer.to_str())["model"]["merges"]
    return [(first, second) for first, second in learned]


def save(tokenizer: CLIPTokenizer, folder: Path) -> None:
    """`tokenizer.json`, and the `vocab.json` and `merges.txt` that older readers want."""
    tokenizer.save_pretrained(folder)
    tokenizer.backend_tokenizer.model.save(str(folder))
