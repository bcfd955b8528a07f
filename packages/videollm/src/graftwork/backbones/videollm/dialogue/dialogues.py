"""Records as token ids with a mask of what is learned.

Every piece of a dialogue is tokenised once, as it reads after the piece before it, and its ids and
its mask are put down together. So the mask cannot drift from the ids, however many turns there are,
and what is asked is the same ids whether its answer follows or not.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import final

from transformers import PreTrainedTokenizerBase

from graftwork.backbones.videollm.dialogue.fitting import kept_turns
from graftwork.backbones.videollm.dialogue.tokenised import first_piece, later_piece
from graftwork.backbones.videollm.dialogue.wording import Wording
from graftwork.core.errors import GraftworkError
from graftwork.video.record import PLACEHOLDER, Record, Turn

_BORDER = 64
"""Letters before a piece that decide how its first token is written."""


@dataclass(frozen=True)
class Piece:
    """One turn as ids."""

    asked: list[int]
    said: list[int]
    """The answer and what ends it; nothing for one that is to be found."""

    def __len__(self) -> int:
        return len(self.asked) + len(self.said)


@final
class Dialogues:
    """Writes records in certain words, for one tokenizer.

    Args:
        tokenizer: a fast one, which tells where its tokens lie.
        wording: the words around questions and answers.
        reserved: texts that nobody's words may hold, beside those of the wording.
        context: at most so many tokens; None for no limit.

    Raises:
        GraftworkError: the tokenizer tells no offsets.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        wording: Wording,
        *,
        reserved: Collection[str] = (),
        context: int | None = None,
    ) -> None:
        if not tokenizer.is_fast:
            raise GraftworkError(
                f"tokenizer: {type(tokenizer).__name__} tells no offsets; use a fast tokenizer"
            )
        self.tokenizer, self.wording, self.context = tokenizer, wording, context
        self.ending = wording.ending(tokenizer)
        self._reserved = sorted({*reserved, *wording.reserved})

    def encode(
        self, record: Record, clips: Sequence[str], *, answered: bool
    ) -> tuple[list[int], list[bool]]:
        """Ids of a dialogue, and which of them belong to an answer or end one.

        Too long a dialogue loses turns after the first which hold no clip, the oldest first; a turn
        is never cut.

        Args:
            record: its questions and answers.
            clips: what its clips read as, in their order.
            answered: whether the last answer is part of it, rather than to be found.

        Raises:
            GraftworkError: it does not fit into the context, not even without those turns; or a
                text holds what is kept for something else.
        """
        self._refuse_reserved(record, answered=answered)
        pieces = self._pieces(record.turns, clips, record.name, answered=answered)
        keep = kept_turns(
            [len(piece) for piece in pieces],
            [not PLACEHOLDER.search(turn.question) for turn in record.turns],
            last_stays=not answered,
            room=self.context,
        )
        if keep is None:
            raise GraftworkError(
                f"{record.name}: does not fit into {self.context} tokens, not even without the "
                "later turns that hold no clip; use fewer frames, shorter texts or a longer context"
            )
        if len(keep) < len(pieces):
            turns = [record.turns[place] for place in keep]
            pieces = self._pieces(turns, clips, record.name, answered=answered)
        return _joined(pieces)

    def _pieces(
        self, turns: Sequence[Turn], clips: Sequence[str], name: str, *, answered: bool
    ) -> list[Piece]:
        pieces: list[Piece] = []
        before, left = "", list(clips)
        for exchange, turn in zip(self.wording.exchanges(turns), turns, strict=True):
            own = [left.pop(0) for _ in PLACEHOLDER.findall(turn.question)]
            asked = self._with_clips(exchange.asked, own, name)
            silent = not answered and len(pieces) == len(turns) - 1
            said = "" if silent else exchange.said
            pieces.append(Piece(self._ids(asked, before), self._ids(said, asked)))
            before = exchange.said
        return pieces

    def _with_clips(self, text: str, clips: Sequence[str], name: str) -> str:
        """A text with that of each clip in the place of its mark."""
        parts = text.split(self.wording.clip)
        if len(parts) != len(clips) + 1:
            raise GraftworkError(
                f"{name}: the chat template writes {len(parts) - 1} clips where {len(clips)} are "
                "asked about; use one that writes every question as it is"
            )
        return parts[0] + "".join(c + part for c, part in zip(clips, parts[1:], strict=True))

    def _ids(self, text: str, before: str) -> list[int]:
        if before:
            return later_piece(self.tokenizer, text, before=before[-_BORDER:])
        begin = self.tokenizer.bos_token
        if begin and text.startswith(begin):  # the template has written it
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return first_piece(self.tokenizer, text)

    def _refuse_reserved(self, record: Record, *, answered: bool) -> None:
        texts = [PLACEHOLDER.sub("", turn.question) for turn in record.turns]
        texts += [turn.answer for turn in record.turns[: None if answered else -1]]
        for token in self._reserved:
            if any(token in text for text in texts):
                raise GraftworkError(
                    f"{record.name}: a text contains {token!r}, which means something else to the "
                    "model; write <video> where a clip belongs, and leave it out elsewhere"
                )


def _joined(pieces: Sequence[Piece]) -> tuple[list[int], list[bool]]:
    ids: list[int] = []
    supervised: list[bool] = []
    for piece in pieces:
        ids += piece.asked + piece.said
        supervised += [False] * len(piece.asked) + [True] * len(piece.said)
    return ids, supervised
