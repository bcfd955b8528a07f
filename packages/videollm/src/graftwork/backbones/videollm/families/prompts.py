"""Records as token ids with a mask of what is learned, for any model that has a processor."""

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import ProcessorMixin

from graftwork.backbones.videollm.families.template import MARK, ChatTemplate
from graftwork.backbones.videollm.valley.fitting import kept_turns
from graftwork.backbones.videollm.valley.pieces import first_piece, later_piece
from graftwork.core.errors import GraftworkError
from graftwork.video.record import PLACEHOLDER

_BORDER = 64
"""Letters before a piece that decide how its first token is written."""


@dataclass(frozen=True)
class Pieces:
    """A dialogue as ids, turn by turn."""

    asked: Sequence[list[int]]
    said: Sequence[list[int]]

    def joined(self, *, answered: bool) -> tuple[list[int], list[bool]]:
        """Ids, and which of them belong to an answer or end one; the last answer may be left."""
        ids: list[int] = []
        supervised: list[bool] = []
        last = len(self.asked) - 1
        for number, (asked, said) in enumerate(zip(self.asked, self.said, strict=True)):
            said = said if answered or number < last else []
            ids += asked + said
            supervised += [False] * len(asked) + [True] * len(said)
        return ids, supervised

    def lengths(self, *, answered: bool) -> list[int]:
        """Tokens of each turn."""
        found = [len(asked) + len(said) for asked, said in zip(self.asked, self.said, strict=True)]
        return found if answered else [*found[:-1], len(self.asked[-1])]


class FamilyPrompts:
    """Makes prompts with one processor.

    Every piece of a dialogue is tokenised once, as it reads after the piece before it, so the mask
    cannot drift from the ids, and what is asked is the same ids whether its answer follows or not.

    Args:
        template: of the same processor.
        context: at most so many tokens; None for no limit.
    """

    def __init__(
        self, processor: ProcessorMixin, template: ChatTemplate, *, context: int | None
    ) -> None:
        self.processor, self.template, self.context = processor, template, context
        self.tokenizer = processor.tokenizer
        visual = (processor.video_token, getattr(processor, "image_token", None))
        self._kept_back = sorted({MARK, *filter(None, visual), *template.stops})

    def encode(
        self,
        turns: Sequence[tuple[str, str]],
        clips: Sequence[str],
        *,
        name: str,
        answered: bool,
    ) -> tuple[list[int], list[bool]]:
        """Ids of a dialogue, and which of them are learned.

        Args:
            turns: questions, with a placeholder for each clip, and answers.
            clips: the texts that the clips become.
            name: what errors call the dialogue.
            answered: whether the last answer is part of it, rather than to be found.

        Raises:
            GraftworkError: it does not fit into the context, not even without the turns after the
                first that hold no clip; or a text holds a token that is kept for something else.
        """
        self._check(turns, name)
        made = self._pieces(turns, clips)
        keep = kept_turns(
            made.lengths(answered=answered),
            [not PLACEHOLDER.search(question) for question, _ in turns],
            last_stays=not answered,
            room=self.context,
        )
        if keep is None:
            raise GraftworkError(
                f"{name}: does not fit into {self.context} tokens, not even without the later "
                "turns that hold no clip; use fewer frames, shorter texts or a longer context"
            )
        if len(keep) < len(turns):
            made = self._pieces([turns[place] for place in keep], clips)
        return made.joined(answered=answered)

    def _pieces(self, turns: Sequence[tuple[str, str]], clips: Sequence[str]) -> Pieces:
        asked: list[list[int]] = []
        said: list[list[int]] = []
        before, left = "", list(clips)
        for exchange, (question, _) in zip(self.template.exchanges(turns), turns, strict=True):
            own = [left.pop(0) for _ in PLACEHOLDER.findall(question)]
            text = self._expanded(exchange.asked, own)
            asked.append(self._ids(text, before))
            said.append(self._ids(exchange.said, text))
            before = exchange.said
        return Pieces(asked, said)

    def _expanded(self, text: str, clips: list[str]) -> str:
        """A text with that of each clip in the place of its token."""
        [found], _ = self.processor.get_text_with_replacements([text], videos_replacements=clips)
        return str(found)

    def _ids(self, text: str, before: str) -> list[int]:
        if before:
            return later_piece(self.tokenizer, text, before=before[-_BORDER:])
        begin = self.tokenizer.bos_token
        if begin and text.startswith(begin):  # the template has written it
            return list(self.tokenizer(text, add_special_tokens=False)["input_ids"])
        return first_piece(self.tokenizer, text)

    def _check(self, turns: Sequence[tuple[str, str]], name: str) -> None:
        texts = [PLACEHOLDER.sub("", question) for question, _ in turns] + [a for _, a in turns]
        for token in self._kept_back:
            if any(token in text for text in texts):
                raise GraftworkError(
                    f"{name}: a text contains {token!r}, which means something else to the model; "
                    "write <video> where a clip belongs, and leave it out elsewhere"
                )
