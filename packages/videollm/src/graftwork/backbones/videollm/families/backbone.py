"""The video LLMs of transformers as one backbone."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase, ProcessorMixin

from graftwork.backbones.videollm.answering import AnsweringBackbone
from graftwork.backbones.videollm.families.features import (
    PLACES,
    encoder_outputs,
    features,
    places,
)
from graftwork.backbones.videollm.families.frames import processed
from graftwork.backbones.videollm.families.loading import (
    load_model,
    load_processor,
    modality,
    placeholder,
)
from graftwork.backbones.videollm.families.prompts import FamilyPrompts
from graftwork.backbones.videollm.families.template import ChatTemplate
from graftwork.backbones.videollm.loading import folder_of
from graftwork.backbones.videollm.prompt import Prompt, Rows
from graftwork.backbones.videollm.seen import Seen
from graftwork.backbones.videollm.settings import ChatSettings
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint
from graftwork.video.clip import Clip
from graftwork.video.record import Record


class TransformersVideo(AnsweringBackbone):
    """A video LLM of transformers from a folder, frozen; its class follows from `model_type`.

    A clip is read by the model's own processor, all frames as they were sampled here, and kept as
    the rows that tower and projector make of it.

    Raises:
        GraftworkError: the folder holds another kind of model, or lacks a part of one.
    """

    settings: ChatSettings
    processor: ProcessorMixin

    def __init__(self, settings: ChatSettings) -> None:
        super().__init__(settings)
        self._decoder = self._name(self.module.get_decoder())
        self._seeing = self._all_but_the_decoder()
        self._looks = self._processing()

    def _load(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        folder = folder_of(self.settings.path, "video LLM")
        model = load_model(folder)
        self.processor = load_processor(folder, model)
        tokenizer: PreTrainedTokenizerBase = self.processor.tokenizer
        try:
            self._token, _ = placeholder(self.processor, model)
            self.template = ChatTemplate(self.processor, _stops(model, tokenizer))
        except GraftworkError as error:
            raise GraftworkError(f"{folder}: {error}") from error
        context = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        self.prompts = FamilyPrompts(self.processor, self.template, context=context)
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = self.template.end  # padding is masked, whatever it is
        return model, tokenizer

    def default_sites(self) -> tuple[str, ...]:
        """The linear layers of the decoder, wherever the family keeps it, and no others."""
        return (f"{self._decoder}.layers.*",)

    @property
    def _towers(self) -> tuple[str, ...]:
        return self._seeing

    def _name(self, part: nn.Module) -> str:
        return next(name for name, each in self.module.named_modules() if each is part)

    def _all_but_the_decoder(self) -> tuple[str, ...]:
        """Towers, and what brings their output to the decoder's width; the tower first."""
        model = self.module.base_model
        tower, decoder = model.get_encoder(modality="video"), self.module.get_decoder()
        parts = [part for part in model.children() if part is not decoder]
        with_weights = [part for part in parts if any(True for _ in part.parameters())]
        with_weights.sort(key=lambda part: part is not tower)
        return tuple(map(self._name, with_weights))

    def _processing(self) -> str:
        """What besides the towers decides what they are given, and what becomes of it."""
        own = dict(self.module.base_model.named_parameters(recurse=False))
        config = self.module.config.to_dict()
        config.pop("_name_or_path", None)  # a folder may be copied
        settings = {
            "processor": json.loads(self.processor.to_json_string()),
            "model": config,
            "own": fingerprint(nn.ParameterDict(own)),
            "transformers": transformers.__version__,
        }
        return json.dumps(settings, sort_keys=True, default=str)

    def _looking(self) -> str:
        return self._looks

    @property
    def _reader(self) -> ProcessorMixin:
        return self.processor

    def _pixels(self, clip: Clip) -> Mapping[str, Tensor]:
        made = processed(self.processor, clip)
        text = torch.tensor(list(made["text"].encode()), dtype=torch.uint8)
        pixels = {n: t for n, t in made.items() if n.startswith("pixel_") or n in PLACES}
        return {**pixels, "text": text}

    def _see(self, pixels: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        seen = features(self.module, pixels)
        written, made = _text(pixels).count(self._token), seen["rows"].shape[-2]
        if written != made:
            raise GraftworkError(
                f"{self.settings.path}: the processor writes {self._token} {written} times for a "
                f"clip of which the model makes {made} rows; the sizes in processor_config.json "
                "are another model's"
            )
        return {**seen, **{name: pixels[name] for name in (*PLACES, "text") if name in pixels}}

    def _write(self, record: Record, seen: Sequence[Seen], *, answered: bool) -> Prompt:
        ids, supervised = self.prompts.encode(
            [(turn.question, turn.answer.strip()) for turn in record.turns],
            [_text(clip) for clip in seen],
            name=record.name,
            answered=answered,
        )
        return Prompt(ids=ids, supervised=supervised, seen=seen)

    def _inputs(self, prompts: Sequence[Prompt], batch: Rows) -> dict[str, Any]:
        inputs: dict[str, Any] = {"input_ids": batch.ids, "attention_mask": batch.mask}
        clips = [clip for prompt in prompts for clip in prompt.seen]
        if not clips:
            return inputs
        found = places(clips, device=batch.ids.device)
        if found:
            kinds = self.processor.create_mm_token_type_ids(batch.ids.tolist())
            inputs["mm_token_type_ids"] = torch.tensor(kinds, device=batch.ids.device)
        weight = self.module.get_input_embeddings().weight
        rows = encoder_outputs(clips, like=weight)
        return {**inputs, **found, "mm_encoder_outputs": {modality(self.module): rows}}

    def _stopping(self, start: int) -> dict[str, Any]:
        tokenizer = self.tokenizer
        visual = (self._token, self.processor.video_token)
        never = {tokenizer.convert_tokens_to_ids(token) for token in visual}
        return {
            "eos_token_id": tokenizer.convert_tokens_to_ids(sorted(self.template.stops)),
            # A placeholder that is said could not be read again.
            "suppress_tokens": sorted(never - {None, tokenizer.unk_token_id}),
            # The likeliest token is asked for, whatever the folder's generation_config prefers.
            "repetition_penalty": 1.0,
        }


def _text(seen: Mapping[str, Tensor]) -> str:
    """What a clip reads as in a prompt."""
    return bytes(seen["text"].tolist()).decode()


def _stops(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> list[str]:
    """Tokens at which the model's own generation ends."""
    ids = getattr(model.generation_config, "eos_token_id", None)
    found = ids if isinstance(ids, list) else [ids]
    tokens = tokenizer.convert_ids_to_tokens([each for each in found if each is not None])
    return [token for token in tokens if token is not None]
