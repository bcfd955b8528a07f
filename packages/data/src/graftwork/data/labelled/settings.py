"""What every set of labelled images can be told."""

from typing import Annotated

from graftwork.core.config import Ge, Gt, Lt, config


@config
class LabelledConfig:
    """Which images of a set are used, and what becomes of their labels."""

    classes: tuple[str, ...] = ()
    """The classes to keep, in the order of their labels; absent for all."""

    per_class: Annotated[int, Ge(1)] | None = None
    """At most so many training images of each class; absent for all."""

    test_share: Annotated[float, Gt(0), Lt(1)] = 0.2
    """The share of each class that is held out, where the set has no test images of its own."""

    noise: Annotated[float, Ge(0), Lt(1)] = 0.0
    """The share of training labels that are replaced, each by one of the other classes."""

    noise_matrix: str | None = None
    """A CSV file with a row for each class: the chances that its images are labelled as each of
    the classes. In place of `noise`."""

    noise_file: str | None = None
    """A CSV file with columns `image` and `label`: the labels to train with in place of the
    true ones. In place of `noise`."""

    seed: int = 0
    """Of what is drawn: the split, and which labels change."""

    skip_bad: bool = False
    """Whether images that cannot be read and rows with a bad label are passed over and counted,
    rather than end the run."""

    def __post_init__(self) -> None:
        given = [self.noise > 0, self.noise_matrix is not None, self.noise_file is not None]
        if sum(given) > 1:
            raise ValueError("noise: is given in two ways; keep one of noise, _matrix and _file")
        if len(set(self.classes)) < len(self.classes):
            raise ValueError("classes: one is there twice; keep one")
        if len(self.classes) == 1:
            raise ValueError("classes: one is nothing to tell apart; name two or more")
