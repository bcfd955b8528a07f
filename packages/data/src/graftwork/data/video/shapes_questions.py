"""What can be asked about a film of shapes, in several wordings, and the answers."""

from dataclasses import dataclass

from numpy.random import Generator

from graftwork.data.video.shapes_scene import BACKWARDS, Scene

_WORDINGS = {
    "colour": ("what color is the shape?", "which color does the shape have?"),
    "shape": ("what shape is it?", "which shape is shown?"),
    "direction": ("which way does it move?", "in which direction does the shape go?"),
    "first": ("which color comes first?", "what color is the first shape?"),
    "last": ("which color comes last?", "what color is the last shape?"),
}
GROUPS = {"first": "order", "last": "order"}
"""Questions whose scores are given together; the others are groups of their own."""
ABOUT_ORDER = ("direction", "first", "last")
"""Questions whose answer turns round when the film does."""


@dataclass(frozen=True)
class Question:
    """A question about one film."""

    about: str
    text: str
    answer: str
    backwards: str
    """The answer to the same about the film played backwards."""

    @property
    def group(self) -> str:
        """What its score is counted under."""
        return GROUPS.get(self.about, self.about)


def subjects(scene: Scene) -> tuple[str, ...]:
    """What can be asked about a film."""
    if scene.kind == "flash":
        return ("first", "last")
    return ("colour", "shape", "direction")


def question(scene: Scene, about: str, generator: Generator) -> Question:
    """A question in a wording drawn at random."""
    answer = {
        "colour": lambda: scene.colours[0],
        "shape": lambda: scene.shapes[0],
        "direction": lambda: scene.motion,
        "first": lambda: scene.colours[0],
        "last": lambda: scene.colours[1],
    }[about]()
    turned = {
        "direction": lambda: BACKWARDS.get(scene.motion, scene.motion),
        "first": lambda: scene.colours[1],
        "last": lambda: scene.colours[0],
    }.get(about, lambda: answer)()
    return Question(about, str(generator.choice(_WORDINGS[about])), answer, turned)


def vocabulary() -> tuple[str, ...]:
    """Every wording, for a tokenizer to learn."""
    return tuple(text for wordings in _WORDINGS.values() for text in wordings)
