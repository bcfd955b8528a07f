"""The video LLMs of transformers as one backbone."""

from graftwork.backbones.videollm.backbone import AnsweringBackbone
from graftwork.backbones.videollm.families.llm import FamilyLLM
from graftwork.backbones.videollm.families.loading import load_model, load_processor
from graftwork.backbones.videollm.loading import folder_of
from graftwork.backbones.videollm.settings import ChatSettings
from graftwork.core.errors import GraftworkError


class TransformersVideo(AnsweringBackbone):
    """A video LLM of transformers from a folder, frozen; its class follows from `model_type`.

    A clip is read by the model's own processor, all frames as they were sampled here, and kept as
    the rows that tower and projector make of it.

    Raises:
        GraftworkError: the folder holds another kind of model, or lacks a part of one.
    """

    settings: ChatSettings

    def _load(self) -> FamilyLLM:
        folder = folder_of(self.settings.path, "video LLM")
        model = load_model(folder)
        processor = load_processor(folder, model)
        try:
            return FamilyLLM(model, processor)
        except GraftworkError as error:
            raise GraftworkError(f"{folder}: {error}") from error
