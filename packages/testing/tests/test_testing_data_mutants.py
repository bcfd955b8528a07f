"""Broken data sets, each of which the check named beside it must catch."""

import hashlib
import random
from pathlib import Path

import pytest
from PIL import Image

from graftwork.core import hookimpl, plugins
from graftwork.core.config import config
from graftwork.core.errors import GraftworkError
from graftwork.core.plugins import PluginManager
from graftwork.core.records import DatasetSpec
from graftwork.nn.text_to_image import CaptionedImages
from graftwork.testing import CaptionedImagesSuite


@config
class Settings:
    """Settings."""

    path: str
    """Folder."""


class Sound(CaptionedImages):
    """Images of a folder, by name."""

    trigger = "sks"

    def __init__(self, settings):
        self.paths = sorted(Path(settings.path).glob("*.png"))

    def __len__(self):
        return len(self.paths)

    def image(self, index):
        return Image.open(self.paths[index]).convert("RGB")

    def caption(self, index):
        return f"a sks photo, number {index}"

    def caption_free(self, index):
        return f"a photo, number {index}"

    def check(self):
        for path in self.paths:
            try:
                with Image.open(path) as image:
                    image.load()
            except OSError as error:
                raise GraftworkError(f"{path}: cannot be read; remove it") from error

    def hash(self):
        return hashlib.sha256(b"".join(path.read_bytes() for path in self.paths)).hexdigest()


class Empty(Sound):
    def __len__(self):
        return 0


class HalfCaptioned(Sound):
    def captions(self):
        return super().captions()[:1]


class Grey(Sound):
    def image(self, index):
        return super().image(index).convert("L")


class Wordless(Sound):
    def caption(self, index):
        return " "


class Shuffled(Sound):
    def __init__(self, settings):
        super().__init__(settings)
        self.order = random.random()

    def caption(self, index):
        return f"{super().caption(index)} {self.order}"


class Jittered(Sound):
    def image(self, index):
        return super().image(index).rotate(random.random() * 90)


class TriggerLost(Sound):
    def caption(self, index):
        return f"a photo, sksy, number {index}"


class TriggerStays(Sound):
    def caption_free(self, index):
        return f"a photo of Sks, number {index}"


class NoFreeCaption(Sound):
    def caption_free(self, index):
        return None


class StraySpaces(Sound):
    def caption_free(self, index):
        return f"a  photo, number {index}"


class FreeWithoutTrigger(Sound):
    trigger = None


class HashesNames(Sound):
    def hash(self):
        return hashlib.sha256(str(self.paths).encode()).hexdigest()


class HashesTime(Sound):
    def hash(self):
        return str(random.random())


class ChecksNothing(Sound):
    def check(self):
        pass


class NamesNothing(Sound):
    def check(self):
        try:
            super().check()
        except GraftworkError as error:
            raise GraftworkError("an image cannot be read") from error


class OtherTask(Sound):
    task = "video"


MUTANTS = [
    (Empty, "test_it_checks_itself"),
    (Grey, "test_examples_are_complete"),
    (Wordless, "test_examples_are_complete"),
    (Shuffled, "test_examples_repeat"),
    (Jittered, "test_examples_repeat"),
    (TriggerLost, "test_trigger_is_in_the_captions"),
    (TriggerStays, "test_trigger_is_in_the_captions"),
    (NoFreeCaption, "test_trigger_is_in_the_captions"),
    (StraySpaces, "test_trigger_is_in_the_captions"),
    (FreeWithoutTrigger, "test_trigger_is_in_the_captions"),
    (HashesNames, "test_hash_follows_the_contents"),
    (HashesTime, "test_hash_follows_the_contents"),
    (HashesTime, "test_hash_repeats"),
    (HalfCaptioned, "test_it_checks_itself"),
    (ChecksNothing, "test_bad_image_is_named"),
    (NamesNothing, "test_bad_image_is_named"),
    (OtherTask, "test_task_is_declared_once"),
]


class Suite(CaptionedImagesSuite):
    name = "pictures"

    def make(self, folder):
        for index in range(3):
            self.picture(index).save(folder / f"{index}.png")
        return {"path": str(folder)}


class Offer:
    def __init__(self, cls):
        self.record = DatasetSpec(
            name="pictures",
            target=f"{__name__}:{cls.__name__}",
            config=f"{__name__}:Settings",
            summary="it",
            task="text-to-image",
        )

    @hookimpl
    def datasets(self):
        return [self.record]


def offering(cls):
    manager = PluginManager()
    manager.register(Offer(cls), "offer")
    return plugins.use(manager)


@pytest.mark.parametrize(("mutant", "check"), MUTANTS)
def test_mutant_is_caught(mutant, check, tmp_path):
    with offering(mutant), pytest.raises((AssertionError, pytest.fail.Exception)) as caught:
        getattr(Suite(), check)(tmp_path)
    assert str(caught.value).strip()


@pytest.mark.parametrize("check", sorted({check for _, check in MUTANTS}))
def test_sound_data_passes(check, tmp_path):
    with offering(Sound):
        getattr(Suite(), check)(tmp_path)
