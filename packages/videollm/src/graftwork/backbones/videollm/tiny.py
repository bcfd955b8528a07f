"""`tiny-valley`: a Valley small enough to ship and to adapt on a CPU."""

from importlib import resources
from pathlib import Path

from graftwork.backbones.videollm.valley_backbone import ValleyBackbone
from graftwork.core.errors import GraftworkError


def folder() -> Path:
    """Where the shipped model is."""
    return Path(str(resources.files("graftwork.backbones.videollm").joinpath("tiny_valley")))


class TinyValley(ValleyBackbone):
    """The shipped Valley, in float32: films of simple shapes, questions about them in few words."""

    def _folder(self) -> Path:
        if not (folder() / "model.safetensors").is_file():
            raise GraftworkError(
                "tiny-valley: its weights are not in this installation; install graftwork-videollm "
                "from its wheel"
            )
        return folder()
