"""How the video LLMs of transformers see and read."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, final

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedModel, ProcessorMixin

from graftwork.backbones.videollm.dialogue.dialogues import Dialogues
from graftwork.backbones.videollm.dialogue.ending import generation_stops
from graftwork.backbones.videollm.families.features import (
    PLACES,
    encoder_outputs,
    features,
    places,
)
from graftwork.backbones.videollm.families.frames import processed
from graftwork.backbones.videollm.families.loading import modality, placeholder
from graftwork.backbones.videollm.families.template import template_of
from graftwork.backbones.videollm.prompt import Prompt, Rows
from graftwork.backbones.videollm.seen import Seen
from graftwork.backbones.videollm.video_llm import VideoLLM
from graftwork.core.errors import GraftworkError
from graftwork.nn import fingerprint
from graftwork.video.clip import Clip


@final
class FamilyLLM(VideoLLM):
    """A model of transformers and its processor; what is kept of a clip is the projector's output.

    Raises:
        GraftworkError: the processor belongs to another model, or cannot write dialogues.
    """

    def __init__(self, module: PreTrainedModel, processor: ProcessorMixin) -> None:
        self.processor = processor
        tokenizer = processor.tokenizer
        self.token, token_id = placeholder(processor, module)
        template = template_of(processor, generation_stops(module, tokenizer))
        if tokenizer.pad_token_id is None:
            tokenizer.pad_token = template.end  # padding is masked, whatever it is
        image = getattr(processor, "image_token", None)
        context = getattr(module.config.get_text_config(), "max_position_embeddings", None)
        unsaid = {token_id, tokenizer.convert_tokens_to_ids(processor.video_token)}
        super().__init__(
            module,
            Dialogues(tokenizer, template, reserved=[image] if image else [], context=context),
            towers=_all_but_the_decoder(module),
            unsaid=unsaid - {None, tokenizer.unk_token_id},
            processor=processor,
        )

    def looks(self) -> str:
        """The processor's settings, the model's, and its weights that lie in no part."""
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

    def pixels(self, clip: Clip) -> Mapping[str, Tensor]:
        """What the processor makes of all its frames, and the text that it becomes."""
        made = processed(self.processor, clip)
        text = torch.tensor(list(made["text"].encode()), dtype=torch.uint8)
        pixels = {n: t for n, t in made.items() if n.startswith("pixel_") or n in PLACES}
        return {**pixels, "text": text}

    def see(self, pixels: Mapping[str, Tensor]) -> Seen:
        """Rows in the decoder's width, and where they are in time and space.

        Raises:
            GraftworkError: the processor has as many placeholders as there are not rows.
        """
        seen = features(self.module, pixels)
        written, made = self.clip_text(pixels).count(self.token), seen["rows"].shape[-2]
        if written != made:
            raise GraftworkError(
                f"{self.module.name_or_path}: the processor writes {self.token} {written} times "
                f"for a clip of which the model makes {made} rows; the sizes in "
                "processor_config.json are another model's"
            )
        return {**seen, **{name: pixels[name] for name in (*PLACES, "text") if name in pixels}}

    def clip_text(self, seen: Seen) -> str:
        """What the processor has written for it."""
        return bytes(seen["text"].tolist()).decode()

    def inputs(self, prompts: Sequence[Prompt], batch: Rows) -> dict[str, Any]:
        """Rows go in where the model would put those that it makes itself."""
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


def _all_but_the_decoder(module: PreTrainedModel) -> list[str]:
    """Towers, and what brings their output to the decoder's width; the tower first."""
    model = module.base_model
    tower, decoder = model.get_encoder(modality="video"), module.get_decoder()
    names = {part: name for name, part in module.named_modules()}
    parts = [part for part in model.children() if part is not decoder]
    with_weights = [part for part in parts if any(True for _ in part.parameters())]
    with_weights.sort(key=lambda part: part is not tower)
    return [names[part] for part in with_weights]
