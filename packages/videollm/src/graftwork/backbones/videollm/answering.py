"""What every video LLM does alike: prepare, train on answers, and answer."""

import hashlib
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    ProcessorMixin,
    TextIteratorStreamer,
)

from graftwork.backbones.videollm.checkpointed import checkpointed
from graftwork.backbones.videollm.examples import Examples
from graftwork.backbones.videollm.loading import loading
from graftwork.backbones.videollm.pieces import answer_pieces
from graftwork.backbones.videollm.prompt import Prompt, Rows, rows
from graftwork.backbones.videollm.seen import Seen, Store
from graftwork.backbones.videollm.settings import TinyChatSettings
from graftwork.core import atomic, plugins
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint, frozen, grafts
from graftwork.video.chat import Decoding, VideoChat
from graftwork.video.clip import Clip
from graftwork.video.file_source import FileSource
from graftwork.video.instructions import VideoInstructions
from graftwork.video.readable import readable, refuse_none
from graftwork.video.reading.workers import ClipReader
from graftwork.video.record import Record
from graftwork.video.source import ClipSource
from graftwork.video.step import AnswerStep

_BATCH = 16
"""Records that are answered at once."""
_WINDOW = 4096
"""Records that are looked at together before the first step."""


class AnsweringBackbone(VideoChat):
    """A model of transformers whose clips are seen by a frozen tower once.

    Subclasses say how a clip is seen, how a record is written, and how both are put in.
    """

    module: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    settings: TinyChatSettings

    def __init__(self, settings: TinyChatSettings) -> None:
        super().__init__(settings)
        self.sampling = settings.sampling()
        self.module, self.tokenizer = self._load()
        self.module.requires_grad_(False).eval()
        folder = None if settings.cache is None else Path(settings.cache)
        self._store = Store(folder, settings.memory * 2**20)
        self._tower_print = ""
        self._said: dict[Record, str] = {}

    @abstractmethod
    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        """The model and its tokenizer."""

    @property
    @abstractmethod
    def _towers(self) -> tuple[str, ...]:
        """The dotted names of the parts whose output is kept, the tower first."""

    @abstractmethod
    def _pixels(self, clip: Clip) -> Mapping[str, Tensor]:
        """What the tower is given of a clip."""

    @abstractmethod
    def _see(self, pixels: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """What the tower makes of one clip."""

    @abstractmethod
    def _write(self, record: Record, seen: Sequence[Seen], *, answered: bool) -> Prompt:
        """A record as ids; without its last answer, to be continued, unless `answered`."""

    @abstractmethod
    def _inputs(self, prompts: Sequence[Prompt], batch: Rows) -> dict[str, Any]:
        """What the model's `forward` and `generate` take."""

    @abstractmethod
    def _stopping(self, start: int) -> dict[str, Any]:
        """How `generate` is told where an answer that begins at token `start` ends."""

    @property
    def _reader(self) -> PreTrainedTokenizerBase | ProcessorMixin:
        """What is saved beside the model."""
        return self.tokenizer

    def _answer_in(self, text: str) -> str:
        """The answer alone in what was generated."""
        return text.strip()

    @property
    def _stop(self) -> str:
        """The text that ends an answer; empty where a token does."""
        return ""

    # Seeing.

    def look(self, records: Sequence[Record], *, tolerant: bool = False) -> Set[ClipSource]:
        """See every clip once, in worker processes where they are files."""
        if self._tower_is_grafted():
            return set()  # nothing that is seen now will be what is seen later
        wanted = {self._key(clip): (clip, each) for each in records for clip in each.clips}
        missing = {key: both for key, both in wanted.items() if key not in self._store}
        unreadable: set[ClipSource] = set()
        sources = {key: clip for key, (clip, _) in missing.items()}
        for done, (key, source, clip) in enumerate(self._clips(sources), start=1):
            if not isinstance(clip, GraftworkError):
                self._store.put(key, self._encode(clip))
            elif tolerant:
                unreadable.add(source)
            else:
                raise GraftworkError(f"{missing[key][1].name}: {clip}") from clip
            if len(missing) > 1:
                plugins.manager().hook.work_done(what="clips", done=done, total=len(missing))
        return unreadable

    def _seen(self, record: Record) -> list[Seen]:
        return [self._seen_clip(record, source) for source in record.clips]

    def _seen_clip(self, record: Record, source: ClipSource) -> Seen:
        def make() -> Seen:
            try:
                return self._encode(source.read(self.sampling))
            except GraftworkError as error:
                raise GraftworkError(f"{record.name}: {error}") from error

        if self._tower_is_grafted():
            return make()
        return self._store.get(self._key(source), make)

    def _encode(self, clip: Clip) -> Seen:
        """What the tower makes of a clip; a tower with a graft on it learns through this."""
        parameter = next(self.module.get_submodule(self._towers[0]).parameters())
        pixels = {n: t.to(parameter.device) for n, t in self._pixels(clip).items()}
        if self._tower_is_grafted():
            return self._see(pixels)
        with torch.no_grad():
            return {name: tensor.cpu() for name, tensor in self._see(pixels).items()}

    def _key(self, source: ClipSource) -> str:
        if not self._tower_print:
            towers = [self.module.get_submodule(name) for name in self._towers]
            dtype = next(towers[0].parameters()).dtype
            self._tower_print = "".join(map(fingerprint, towers)) + str(dtype)
        parts = (self._tower_print, self._looking(), source.key(self.sampling))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def _looking(self) -> str:
        """What besides the tower decides what it is given."""
        return type(self).__name__

    def _tower_is_grafted(self) -> bool:
        inside = tuple(f"{tower}." for tower in self._towers)
        return any(
            f"{path}.".startswith(inside)
            for handle in grafts(self.module).values()
            for path in handle.sites
        )

    # Training.

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
            tokens += [len(self._prompt(records[place]).ids) for place in found]
        refuse_none(places)
        return Examples(data, places, tokens)

    def sizes(self, examples: Examples) -> Sequence[int]:
        """Tokens of each record."""
        return examples.tokens

    def _clips(
        self, missing: Mapping[str, ClipSource]
    ) -> Iterator[tuple[str, ClipSource, Clip | GraftworkError]]:
        made = {key: s for key, s in missing.items() if not isinstance(s, FileSource)}
        for key, source in made.items():
            yield key, source, source.read(self.sampling)
        files = [(key, s) for key, s in missing.items() if isinstance(s, FileSource)]
        reader = ClipReader(
            self.sampling, workers=self.settings.workers, seconds=self.settings.decode_seconds
        )
        for (key, source), clip in zip(files, reader.read(s.path for _, s in files), strict=True):
            if isinstance(clip, Clip) and source.backwards:
                clip = clip.reversed()
            yield key, source, clip

    def step(
        self,
        examples: Examples,
        indices: Sequence[int],
        *,
        needs: frozenset[str],
        generator: torch.Generator,
    ) -> AnswerStep:
        """Read records `indices`, and compute what `needs` asks for of their answers."""
        records, prompts = zip(*(self._example(examples, k) for k in indices), strict=True)
        targets, logits = self._predict(prompts, wanted="prediction" in needs)
        free: dict[str, Tensor | None] = {}
        frees = [examples.data.free_of(record) for record in records]
        if "free" in needs and all(record is not None for record in frees):
            kept = [self._prompt(self._own_answer(r)) for r in frees if r is not None]
            with torch.no_grad(), frozen(self.module):
                free["frozen_free"] = self._predict(kept)[1]
            free["adapted_free"] = self._predict(kept)[1]
        return AnswerStep(targets=targets, logits=logits, **free)

    def _own_answer(self, record: Record) -> Record:
        """A record with what the frozen backbone says to its last question."""
        if record not in self._said:
            with frozen(self.module):
                decoding = Decoding(tokens=self.settings.free_tokens)
                self._said[record] = self.answers([record], decoding)[0]
        return record.answered(self._said[record])

    def _example(self, examples: Examples, index: int) -> tuple[Record, Prompt]:
        record, prompt = examples.get(index, lambda each: replace(self._prompt(each), seen=()))
        return record, replace(prompt, seen=self._seen(record))

    def _prompt(self, record: Record) -> Prompt:
        return self._write(record, self._seen(record), answered=True)

    def _predict(
        self, prompts: Sequence[Prompt], *, wanted: bool = True
    ) -> tuple[Tensor, Float[Tensor, "tokens vocabulary"] | None]:
        """The tokens of all answers, and the logits that predict them."""
        batch = self._rows(prompts, left=False)
        if not wanted:
            return batch.targets(), None
        places = batch.predicting()
        first = int(places.any(dim=0).nonzero()[0])
        inputs = self._inputs(prompts, batch)
        kept = batch.ids.shape[1] - first
        with checkpointed(self.module, enabled=self.settings.gradient_checkpointing):
            logits = self.module(**inputs, use_cache=False, logits_to_keep=kept).logits
        return batch.targets(), logits[places[:, first:]]

    def _rows(self, prompts: Sequence[Prompt], *, left: bool) -> Rows:
        device = self.module.get_input_embeddings().weight.device
        padding = self.tokenizer.pad_token_id
        assert isinstance(padding, int)
        return rows(prompts, padding=padding, left=left, device=device)

    # Answering.

    @torch.no_grad()
    def answers(self, records: Sequence[Record], decoding: Decoding) -> Sequence[str]:
        """Batches of records of like length; drawn answers one by one, each from its seed."""
        prompts = [self._write(r, self._seen(r), answered=False) for r in records]
        order = sorted(range(len(prompts)), key=lambda index: len(prompts[index].ids))
        size = _BATCH if decoding.temperature == 0 else 1
        said: dict[int, str] = {}
        for start in range(0, len(order), size):
            places = order[start : start + size]
            found = self._generate([prompts[place] for place in places], decoding)
            said |= dict(zip(places, found, strict=True))
        return [said[place] for place in range(len(prompts))]

    def stream(self, record: Record, decoding: Decoding) -> Iterator[str]:
        """Generated in a thread, handed on word by word."""
        prompt = self._write(record, self._seen(record), answered=False)
        streamer = TextIteratorStreamer(
            self.tokenizer, skip_prompt=True, skip_special_tokens=True, timeout=None
        )
        failed: list[BaseException] = []

        def work() -> None:
            try:
                with torch.no_grad():
                    self._generate([prompt], decoding, streamer=streamer)
            except BaseException as error:  # told in the caller's thread
                failed.append(error)
                streamer.end()

        thread = Thread(target=work, daemon=True)
        thread.start()
        yield from answer_pieces(streamer, self._stop)
        thread.join()
        if failed:
            raise failed[0]

    def _generate(self, prompts: Sequence[Prompt], decoding: Decoding, **more: Any) -> list[str]:
        batch = self._rows(prompts, left=True)
        drawn = {"do_sample": True, "temperature": decoding.temperature, "top_k": 0, "top_p": 1.0}
        with torch.random.fork_rng(devices=_devices(batch.ids)):
            torch.manual_seed(decoding.seed)
            ids = self.module.generate(
                **self._inputs(prompts, batch),
                **(drawn if decoding.temperature > 0 else {"do_sample": False}),
                **more,
                max_new_tokens=decoding.tokens,
                pad_token_id=self.tokenizer.pad_token_id,
                **self._stopping(batch.ids.shape[1]),
            )
        new = ids[:, batch.ids.shape[1] :]
        texts: list[str] = self.tokenizer.batch_decode(new, skip_special_tokens=True)
        return [self._answer_in(text) for text in texts]

    @torch.no_grad()
    def likelihoods(self, record: Record) -> Sequence[float]:
        """Of each option's tokens and of what ends it."""
        seen = self._seen(record)
        found = []
        for option in record.options:
            last = self._write(record.answered(option), seen, answered=True)
            prompt = _only_last(last)
            targets, logits = self._predict([prompt])
            assert logits is not None
            chosen = logits.float().log_softmax(-1).gather(1, targets[:, None])
            found.append(float(chosen.mean()))
        return found

    # The model.

    def to(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move the model."""
        self.module.to(device, dtype)
        self._tower_print = ""

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
            self._reader.save_pretrained(target)


def _only_last(prompt: Prompt) -> Prompt:
    """The same with the last answer alone supervised."""
    supervised = list(prompt.supervised)
    end = max(place for place, counts in enumerate(supervised) if counts)
    start = end
    while start > 0 and supervised[start - 1]:
        start -= 1
    only = [start <= place <= end for place in range(len(supervised))]
    return replace(prompt, supervised=only)


def _devices(tensor: Tensor) -> list[torch.device]:
    return [tensor.device] if tensor.device.type == "cuda" else []
