"""What one video LLM of transformers does in its own way: see a clip, and read it in a prompt."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from graftwork.backbones.videollm.dialogue.dialogues import Dialogues
from graftwork.backbones.videollm.prompt import Prompt, Rows, rows
from graftwork.backbones.videollm.seen import Seen
from graftwork.core.errors import GraftworkError
from graftwork.video.clip import Clip
from graftwork.video.record import Record


class VideoLLM(ABC):
    """A frozen model with the words it is asked in.

    Args:
        module: the model.
        dialogues: writes records for its tokenizer.
        towers: the dotted names of the parts whose output is kept, the tower first.
        unsaid: tokens that are never said.
        processor: what is saved beside the model; absent for its tokenizer.

    Raises:
        GraftworkError: nothing pads for the tokenizer.
    """

    module: PreTrainedModel

    def __init__(
        self,
        module: PreTrainedModel,
        dialogues: Dialogues,
        *,
        towers: Sequence[str],
        unsaid: Collection[int] = (),
        processor: ProcessorMixin | None = None,
    ) -> None:
        self.module, self.dialogues = module.requires_grad_(False).eval(), dialogues
        self.towers, self.unsaid = tuple(towers), sorted(unsaid)
        self.reader: PreTrainedTokenizerBase | ProcessorMixin = processor or self.tokenizer
        if self.tokenizer.pad_token_id is None:
            raise GraftworkError("tokenizer: has no pad_token; give it one, such as its eos_token")

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The model's tokenizer."""
        return self.dialogues.tokenizer

    @abstractmethod
    def looks(self) -> str:
        """What besides the towers decides what becomes of a clip."""

    @abstractmethod
    def pixels(self, clip: Clip) -> Mapping[str, Tensor]:
        """What the towers are given of a clip.

        Raises:
            GraftworkError: they cannot be given it.
        """

    @abstractmethod
    def see(self, pixels: Mapping[str, Tensor]) -> Seen:
        """What the towers make of it."""

    @abstractmethod
    def clip_text(self, seen: Seen) -> str:
        """What a clip reads as in a prompt."""

    @abstractmethod
    def inputs(self, prompts: Sequence[Prompt], batch: Rows) -> dict[str, Any]:
        """What the model's `forward` and `generate` take."""

    def write(self, record: Record, seen: Sequence[Seen], *, answered: bool) -> Prompt:
        """A record as ids; without its last answer, to be continued, unless `answered`.

        Raises:
            GraftworkError: it is longer than the context.
        """
        texts = [self.clip_text(clip) for clip in seen]
        return Prompt.of(*self.dialogues.encode(record, texts, answered=answered), seen)

    def rows(self, prompts: Sequence[Prompt], *, left: bool) -> Rows:
        """Prompts padded at their beginning or their end, where the model is."""
        padding = self.tokenizer.pad_token_id
        assert isinstance(padding, int)
        device = self.module.get_input_embeddings().weight.device
        return rows(prompts, padding=padding, left=left, device=device)
