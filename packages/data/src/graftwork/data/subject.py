"""A few images of one subject."""

from itertools import cycle
from pathlib import Path

from graftwork.core.config import config
from graftwork.data.examples import Example, ExampleSet
from graftwork.data.folder import list_folder, no_images
from graftwork.data.masks import find_masks
from graftwork.nn.trigger import has_trigger

_SLOT = "{subject}"


@config
class SubjectConfig:
    """Settings of the subject set."""

    path: str
    """Folder with the images; subfolders are not looked into."""

    trigger: str
    """Rare word that comes to stand for the subject, as "sks"."""

    class_word: str
    """What the subject is an instance of, as "cat"."""

    template: str | tuple[str, ...] = "a photo of {subject}"
    """Caption with {subject} where the subject goes; several are dealt to the images in turn."""

    masks: str | None = None
    """Folder with a grey image for each image, of its name and size, that says how much each place
    counts in the loss: black not at all, middle grey (127) once, white five times."""

    @property
    def templates(self) -> tuple[str, ...]:
        """The templates, be it one or several."""
        return (self.template,) if isinstance(self.template, str) else self.template

    def __post_init__(self) -> None:
        if not self.trigger.strip():
            raise ValueError("trigger: is empty; write a rare word, such as 'sks'")
        if not self.class_word.strip():
            raise ValueError("class_word: is empty; write what the subject is, such as 'cat'")
        if not self.templates:
            raise ValueError("template: is empty; write one, such as 'a photo of {subject}'")
        for template in self.templates:
            self._check(template)

    def _check(self, template: str) -> None:
        if _SLOT not in template:
            raise ValueError(f"template: {template!r} has no place for the subject; add {_SLOT}")
        if set("{}") & set(template.replace(_SLOT, "")):
            raise ValueError(f"template: {template!r} has a brace too many; keep {_SLOT} alone")
        if has_trigger(template.replace(_SLOT, self.class_word), self.trigger):
            raise ValueError(
                f"trigger: {self.trigger!r} is in the class word or the template already; "
                "choose a rare word"
            )


class Subject(ExampleSet):
    """Images of one subject, captioned "a photo of sks cat" and, without the trigger,
    "a photo of cat" (Ruiz et al. 2023, DreamBooth, arXiv:2208.12242).
    """

    def __init__(self, settings: SubjectConfig) -> None:
        folder = Path(settings.path).expanduser()
        listing = list_folder(folder)
        if not listing.images:
            raise no_images(folder, listing)
        masks = (
            find_masks(Path(settings.masks).expanduser(), listing.images) if settings.masks else {}
        )
        free = settings.class_word.strip()
        named = f"{settings.trigger.strip()} {free}"
        examples = [
            Example(
                path=path,
                caption=template.replace(_SLOT, named),
                caption_free=template.replace(_SLOT, free),
                mask=masks.get(path),
            )
            for path, template in zip(listing.images, cycle(settings.templates), strict=False)
        ]
        super().__init__(settings, examples, trigger=settings.trigger, skipped=listing.skipped)
