"""Valley (Luo et al. 2023, arXiv:2306.07207) as a backbone."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from graftwork.backbones.videollm.answering import AnsweringBackbone
from graftwork.backbones.videollm.loading import folder_of, loading
from graftwork.backbones.videollm.prompt import Prompt, Rows
from graftwork.backbones.videollm.seen import Seen
from graftwork.backbones.videollm.settings import TinyValleySettings, ValleySettings
from graftwork.backbones.videollm.stopping import StopAt
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.pixels import to_pixel_values
from graftwork.backbones.videollm.valley.prompts import ValleyPrompts
from graftwork.nn import load_graft
from graftwork.video.clip import Clip
from graftwork.video.record import Record

_TOWER = "model.vision_tower"


class ValleyBackbone(AnsweringBackbone):
    """A Valley from a folder, frozen.

    Raises:
        GraftworkError: the folder holds no Valley, or a tokenizer of another model.
    """

    module: ValleyForConditionalGeneration
    settings: TinyValleySettings

    def __init__(self, settings: TinyValleySettings) -> None:
        super().__init__(settings)
        self.prompts = ValleyPrompts(self.tokenizer, self.module.config)
        context = getattr(self.module.config.text_config, "max_position_embeddings", None)
        self._context: int | None = context

    def _folder(self) -> Path:
        assert isinstance(self.settings, ValleySettings)
        return folder_of(self.settings.path, "valley")

    def _load(self) -> tuple[ValleyForConditionalGeneration, PreTrainedTokenizerBase]:
        folder = self._folder()
        with loading(folder):
            model = ValleyForConditionalGeneration.from_pretrained(folder, dtype="auto")
            tokenizer = AutoTokenizer.from_pretrained(folder)
        for adapter in self.settings.merged:
            load_graft(model, _adapter_in(Path(adapter))).merge()
        return model, tokenizer

    def default_sites(self) -> tuple[str, ...]:
        """The linear layers of the decoder, and none of the tower's."""
        decoder = self.module.model.get_decoder()
        prefix = next(n for n, part in self.module.named_modules() if part is decoder)
        return (f"{prefix}.layers.*",)

    @property
    def _towers(self) -> tuple[str, ...]:
        return (_TOWER,)

    def _looking(self) -> str:
        config = self.module.config
        return f"{config.vision_feature_layer} {config.truncate_vision_tower} {self._legacy}"

    @property
    def _legacy(self) -> bool:
        return getattr(self.settings, "legacy", False)

    def _pixels(self, clip: Clip) -> Mapping[str, Tensor]:
        vision: Any = self.module.config.vision_config
        size = vision.image_size
        return {"frames": to_pixel_values(clip.frames, size=size, legacy=self._legacy)}

    def _see(self, pixels: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        return {"tower": self.module.tower_features(pixels["frames"])}

    def _write(self, record: Record, seen: Sequence[Seen], *, answered: bool) -> Prompt:
        turns: list[tuple[str, str | None]] = [(t.question, t.answer) for t in record.turns]
        if not answered:
            turns[-1] = (turns[-1][0], None)
        frames = [len(each["tower"]) for each in seen]
        made = self.prompts.encode(
            turns, frames, name=record.name, max_length=self._context, may_be_empty=True
        )
        return Prompt(ids=made.ids, supervised=made.supervised, seen=seen)

    def _inputs(self, prompts: Sequence[Prompt], batch: Rows) -> dict[str, Any]:
        inputs: dict[str, Any] = {"input_ids": batch.ids, "attention_mask": batch.mask}
        weight = self.module.model.projector.weight
        clips = [each["tower"].to(weight.device, weight.dtype) for p in prompts for each in p.seen]
        if clips:
            inputs["mm_encoder_outputs"] = {"video": self.module.features_from_tower(clips)}
        return inputs

    def _stopping(self, start: int) -> dict[str, Any]:
        return {"stopping_criteria": [StopAt(self.tokenizer, self._stop, start=start)]}

    @property
    def _stop(self) -> str:
        return self.prompts.template.stop

    def _answer_in(self, text: str) -> str:
        return self.prompts.template.answer_in(text)


def _adapter_in(path: Path) -> Path:
    """The adapter's own folder, of a run too."""
    return path / "adapter" if (path / "adapter").is_dir() else path
