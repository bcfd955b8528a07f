"""What tiny-valley learns from: films, and words to repeat.

A language model knows words that it was never shown a picture of. So that this one does too, it is
asked, without a film, to say each word of its vocabulary. Otherwise all words that no film asks for
would end as one, and an adapter could not teach it to call a new thing by its name.
"""

from graftwork.data.video.moving_shapes import MovingShapes
from graftwork.video.instructions import VideoInstructions
from graftwork.video.record import Record, Turn

EVERY = 8
"""One word to repeat for so many films."""


class Lessons(VideoInstructions):
    """Films with their questions, and words to repeat among them."""

    def __init__(self, films: MovingShapes, words: list[str]) -> None:
        self.films, self.words = films, words

    def __len__(self) -> int:
        return len(self.films) + len(self.films) // EVERY

    def check(self) -> None:
        """Look at the films."""
        self.films.check()

    def hash(self) -> str:
        """Of films and words."""
        return f"{self.films.hash()} {' '.join(self.words)}"

    def record(self, index: int) -> Record:
        """A film, or, after all of them, a word."""
        if index < len(self.films):
            return self.films.record(index)
        word = self.words[index % len(self.words)]
        return Record(name=f"word {word}", clips=(), turns=(Turn(f"say {word}", word),))
