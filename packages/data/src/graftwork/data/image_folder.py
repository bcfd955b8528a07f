"""A folder of captioned images."""

from pathlib import Path

from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.data.captions import read_captions
from graftwork.data.examples import Example, ExampleSet
from graftwork.data.folder import list_folder, no_images
from graftwork.nn.trigger import has_trigger, without_trigger


@config
class ImageFolderConfig:
    """Settings of the image folder."""

    path: str
    """Folder with the images, and their captions in metadata.jsonl or one .txt for each image."""

    trigger: str | None = None
    """Word that every caption must contain and that the adapter is to learn; absent for none."""

    def __post_init__(self) -> None:
        if self.trigger is not None and not self.trigger.strip():
            raise ValueError("trigger: is empty; write a word, or remove the line")


class ImageFolder(ExampleSet):
    """Images with their own captions."""

    def __init__(self, settings: ImageFolderConfig) -> None:
        folder = Path(settings.path).expanduser()
        listing = list_folder(folder)
        captions = read_captions(folder, listing.images)
        if not captions:
            raise no_images(folder, listing)
        examples = [_example(path, text, settings.trigger) for path, text in captions.items()]
        super().__init__(settings, examples, trigger=settings.trigger, skipped=listing.skipped)


def _example(path: Path, caption: str, trigger: str | None) -> Example:
    if trigger is None:
        return Example(path=path, caption=caption)
    if not has_trigger(caption, trigger):
        # Silently, CAT would then hold back the very thing that is to be learned.
        raise GraftworkError(
            f"{path}: its caption {_short(caption)} lacks the trigger {trigger!r}; add it there"
        )
    return Example(path=path, caption=caption, caption_free=without_trigger(caption, trigger))


def _short(caption: str) -> str:
    return repr(caption if len(caption) <= 60 else caption[:57] + "...")
