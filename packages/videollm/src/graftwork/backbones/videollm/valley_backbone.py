"""Valley (Luo et al. 2023, arXiv:2306.07207) as a backbone."""

from pathlib import Path

from transformers import AutoTokenizer

from graftwork.backbones.videollm.backbone import AnsweringBackbone
from graftwork.backbones.videollm.loading import folder_of, loading
from graftwork.backbones.videollm.settings import TinyValleySettings, ValleySettings
from graftwork.backbones.videollm.valley.generation import ValleyForConditionalGeneration
from graftwork.backbones.videollm.valley.llm import ValleyLLM
from graftwork.nn import load_graft


class ValleyBackbone(AnsweringBackbone):
    """A Valley from a folder, frozen.

    Raises:
        GraftworkError: the folder holds no Valley, or a tokenizer of another model.
    """

    module: ValleyForConditionalGeneration
    settings: TinyValleySettings

    def _folder(self) -> Path:
        assert isinstance(self.settings, ValleySettings)
        return folder_of(self.settings.path, "valley")

    def _load(self) -> ValleyLLM:
        folder = self._folder()
        with loading(folder):
            model = ValleyForConditionalGeneration.from_pretrained(folder, dtype="auto")
            tokenizer = AutoTokenizer.from_pretrained(folder)
        for adapter in self.settings.merged:
            load_graft(model, _adapter_in(Path(adapter))).merge()
        with loading(folder):
            return ValleyLLM(model, tokenizer, legacy=getattr(self.settings, "legacy", False))


def _adapter_in(path: Path) -> Path:
    """The adapter's own folder, of a run too."""
    return path / "adapter" if (path / "adapter").is_dir() else path
