"""Dialogues about clips as token ids, with a mask of what is learned.

A clip of T frames is `<im_start>` P x `<im_patch>` `<im_end>` `<vi_start>` T x `<im_patch>`
`<vi_end>`: P + T + 4 tokens, of which P + T are placeholders. Without frame tokens the second group
is left out. An image is a clip of one frame.

Every piece of a dialogue is tokenised once, as it reads after the piece before it, and its ids and
its mask are put down together. So the mask cannot drift from the ids, however many turns there are.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.valley.config import ValleyConfig
from graftwork.backbones.videollm.valley.fitting import kept_turns
from graftwork.backbones.videollm.valley.pieces import first_piece, later_piece
from graftwork.backbones.videollm.valley.template import Template, template_of
from graftwork.backbones.videollm.valley.tokens import VisualTokens
from graftwork.core.errors import GraftworkError

CLIP = re.compile("<video>|<image>")
"""What stands for the next clip in a question; the two mean the same."""

IGNORED = -100


@dataclass(frozen=True)
class Prompt:
    """A dialogue in tokens."""

    ids: list[int]
    supervised: list[bool]
    """True for the tokens of answers and of what ends them."""
    placeholders: int
    """How many rows of video features it takes."""

    @property
    def labels(self) -> list[int]:
        """The ids where they are supervised, else -100."""
        pairs = zip(self.ids, self.supervised, strict=True)
        return [token if counts else IGNORED for token, counts in pairs]


class ValleyPrompts:
    """Makes prompts for one model and its tokenizer.

    Raises:
        GraftworkError: the tokenizer has no offsets, lacks one of Valley's tokens, or has another
            placeholder than the model.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: ValleyConfig,
        template: Template | None = None,
    ) -> None:
        if not tokenizer.is_fast:
            raise GraftworkError(
                f"tokenizer: {type(tokenizer).__name__} tells no offsets; use a fast tokenizer"
            )
        self.tokenizer = tokenizer
        self.config = config
        self.template = template or template_of(config.system)
        self.tokens = VisualTokens.of(tokenizer)
        if self.tokens.patch != config.video_token_id:
            raise GraftworkError(
                f"tokenizer: <im_patch> is {self.tokens.patch} where the model has "
                f"video_token_id = {config.video_token_id}; use the tokenizer that belongs to it"
            )

    def encode(
        self,
        turns: Sequence[tuple[str, str | None]],
        frames: Sequence[int] = (),
        *,
        name: str = "prompt",
        max_length: int | None = None,
        may_be_empty: bool = False,
    ) -> Prompt:
        """The tokens of a dialogue.

        Args:
            turns: Questions and their answers. A last answer that is None is to be found: the
                prompt ends where it would begin.
            frames: For each `<video>` or `<image>` in the questions, how many frames it has.
            name: What errors call the dialogue.
            may_be_empty: Whether an answer of no words, which only ends, is one.
            max_length: At most so many tokens. Too long a dialogue loses turns after the first
                which hold no clip, the oldest first; a turn is never cut.

        Raises:
            GraftworkError: no turn; an empty answer, or none before the last turn; placeholders
                and clips differ in number; a text has a token that is kept for clips; or the
                dialogue does not fit.
        """
        self._check(turns, frames, name, may_be_empty=may_be_empty)
        opening = first_piece(self.tokenizer, self.template.opening)
        parts, left = [], list(frames)
        for question, answer in turns:
            clips = [left.pop(0) for _ in CLIP.findall(question)]
            parts.append(self._turn(question, clips, answer, name))
        keep = kept_turns(
            [len(part.ids) for part in parts],
            [part.placeholders == 0 for part in parts],
            last_stays=turns[-1][1] is None,
            room=None if max_length is None else max_length - len(opening),
        )
        if keep is None:
            raise GraftworkError(
                f"{name}: does not fit into {max_length} tokens, not even without the later turns "
                "that hold no clip; use fewer frames, shorter texts or a longer context"
            )
        return _joined([Prompt(opening, [False] * len(opening), 0), *(parts[i] for i in keep)])

    def _turn(self, question: str, clips: list[int], answer: str | None, name: str) -> Prompt:
        asked = self._asked(question, clips, name)
        said = []
        if answer is not None:
            said = self._text(self.template.answered(answer), self.template.assistant, name)
        supervised = [False] * len(asked) + [True] * len(said)
        return Prompt(asked + said, supervised, sum(map(self.config.visual_rows, clips)))

    def _asked(self, question: str, clips: list[int], name: str) -> list[int]:
        texts = CLIP.split(self.template.asked(question))
        ids = self._text(texts[0], self.template.stop, name)
        before = "<vi_end>" if self.config.frame_tokens else "<im_end>"
        for frames, text in zip(clips, texts[1:], strict=True):
            ids += self._clip(frames) + self._text(text, before, name)
        return ids

    def _clip(self, frames: int) -> list[int]:
        tokens = self.tokens
        ids = [tokens.image_start, *[tokens.patch] * self.config.patches, tokens.image_end]
        if self.config.frame_tokens:
            ids += [tokens.video_start, *[tokens.patch] * frames, tokens.video_end]
        return ids

    def _text(self, text: str, before: str, name: str) -> list[int]:
        ids = later_piece(self.tokenizer, text, before=before)
        if kept := [token for token in ids if token in self.tokens]:
            raise GraftworkError(
                f"{name}: a text contains {self.tokenizer.convert_ids_to_tokens(kept[0])}, which "
                "is kept for clips; write <video> where a clip belongs, and leave it out elsewhere"
            )
        return ids

    def _check(
        self,
        turns: Sequence[tuple[str, str | None]],
        frames: Sequence[int],
        name: str,
        *,
        may_be_empty: bool,
    ) -> None:
        if not turns:
            raise GraftworkError(f"{name}: has no question; give at least one turn")
        for number, (_, answer) in enumerate(turns, start=1):
            open_end = answer is None and number == len(turns)
            said = answer is not None and (may_be_empty or answer.strip())
            if not open_end and not said:
                raise GraftworkError(f"{name}: turn {number} has no answer; give it one")
        named = sum(len(CLIP.findall(question)) for question, _ in turns)
        if named != len(frames):
            raise GraftworkError(
                f"{name}: {named} placeholders for {len(frames)} clips; write <video> in the "
                "questions once for each clip"
            )
        if any(count < 1 for count in frames):
            raise GraftworkError(f"{name}: a clip has no frame; give it at least one")


def _joined(parts: Sequence[Prompt]) -> Prompt:
    return Prompt(
        [token for part in parts for token in part.ids],
        [counts for part in parts for counts in part.supervised],
        sum(part.placeholders for part in parts),
    )
