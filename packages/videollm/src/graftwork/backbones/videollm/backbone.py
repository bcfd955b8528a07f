"""What every video LLM does alike, as one backbone: see, learn, answer, and be saved."""

from abc import abstractmethod
from collections.abc import Iterator, Sequence, Set
from pathlib import Path

import torch
from transformers import PreTrainedModel

from graftwork.backbones.videollm.answering import Answering
from graftwork.backbones.videollm.examples import Examples
from graftwork.backbones.videollm.learning import Learning
from graftwork.backbones.videollm.loading import loading
from graftwork.backbones.videollm.seeing import Seeing
from graftwork.backbones.videollm.seen import Store
from graftwork.backbones.videollm.settings import TinyChatSettings
from graftwork.backbones.videollm.video_llm import VideoLLM
from graftwork.core import atomic
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, grafts
from graftwork.nn.moving import move
from graftwork.video.chat import Decoding, VideoChat
from graftwork.video.instructions import VideoInstructions
from graftwork.video.readable import readable, refuse_none
from graftwork.video.reading.workers import ClipReader
from graftwork.video.record import Record
from graftwork.video.source import ClipSource
from graftwork.video.step import AnswerStep

_WINDOW = 4096
"""Records that are looked at together before the first step."""


class AnsweringBackbone(VideoChat):
    """A frozen video LLM of transformers; its clips are seen once.

    Subclasses say how it is loaded.
    """

    module: PreTrainedModel
    settings: TinyChatSettings

    def __init__(self, settings: TinyChatSettings) -> None:
        super().__init__(settings)
        self.sampling = settings.sampling()
        self.llm = self._load()
        self.module = self.llm.module
        reader = ClipReader(
            self.sampling, workers=settings.workers, seconds=settings.decode_seconds
        )
        folder = None if settings.cache is None else Path(settings.cache).expanduser()
        self.seeing = Seeing(self.llm, reader, Store(folder, settings.memory * 2**20))
        self.answering = Answering(self.seeing)
        self.learning = Learning(self.answering, settings)

    @abstractmethod
    def _load(self) -> VideoLLM:
        """The model that the settings describe."""

    def default_sites(self) -> tuple[str, ...]:
        """The linear layers of the decoder, wherever the model keeps it, and no others."""
        decoder = self.module.get_decoder()
        name = next(name for name, part in self.module.named_modules() if part is decoder)
        return (f"{name}.layers.*",)

    def look(self, records: Sequence[Record], *, tolerant: bool = False) -> Set[ClipSource]:
        """See every clip once, in worker processes where they are files."""
        return self.seeing.look(records, tolerant=tolerant)

    def prepare(self, data: VideoInstructions) -> Examples:
        """See every clip once, in worker processes where they are files.

        Raises:
            GraftworkError: a clip cannot be read and the data is not tolerant, or nothing is left.
        """
        places: list[int] = []
        tokens: list[int] = []
        for start in range(0, len(data), _WINDOW):
            window = range(start, min(start + _WINDOW, len(data)))
            records = dict(enumerate(map(data.record, window), start))
            found = readable(self, data, records)
            places += found
            # Refuses a record that is too long before the first step.
            tokens += [len(self.learning.prompt(records[place])) for place in found]
        refuse_none(places)
        return Examples(data, places, tokens)

    def sizes(self, examples: Examples) -> Sequence[int]:
        """Tokens of each record."""
        return examples.tokens

    def step(
        self,
        examples: Examples,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> AnswerStep:
        """Read records `indices`, and compute what `needs` asks for of their answers."""
        return self.learning.step(examples, indices, needs=needs)

    def answers(self, records: Sequence[Record], decoding: Decoding) -> Sequence[str]:
        """Batches of records of like length; drawn answers one by one, each from its seed."""
        return self.answering.answers(records, decoding)

    def stream(self, record: Record, decoding: Decoding) -> Iterator[str]:
        """Generated in a thread, handed on word by word."""
        return self.answering.stream(record, decoding)

    def likelihoods(self, record: Record) -> Sequence[float]:
        """Of each option's tokens and of what ends it."""
        return self.answering.likelihoods(record)

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move the model; adapters on it change device and keep their dtype."""
        move(self.module, device, dtype)
        self.seeing.changed()

    def fingerprint(self) -> str:
        """Hash of the architecture and weights, as they are now."""
        return fingerprint(self.module)

    def save(self, folder: Path) -> None:
        """Write the model and what reads for it, as `from_pretrained` takes them.

        Raises:
            GraftworkError: an adapter is still on it.
        """
        if grafts(self.module):
            raise GraftworkError("save: adapters are on the backbone; merge or detach them first")
        with atomic.folder(folder) as target, loading(folder):
            self.module.save_pretrained(target)
            self.llm.reader.save_pretrained(target)
