"""Films of shapes: what is drawn, what is asked, and that time has no direction in them."""

import numpy as np
import pytest
import torch
from numpy.random import default_rng

from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.data.video.moving_shapes import MovingShapes, MovingShapesConfig
from graftwork.data.video.shapes_questions import question, subjects
from graftwork.data.video.shapes_scene import COLOURS, MOTIONS, SHAPES, Scene, draw_scene, render
from graftwork.video.reading.sampling import FrameSampling

GREY = np.full((48, 48, 3), 128, np.uint8)


def moving(shape: str = "circle", motion: str = "right", speed: float = 0.5) -> Scene:
    return Scene(
        kind="motion",
        colours=("red",),
        shapes=(shape,),
        places=((0.5, 0.5),),
        motion=motion,
        speed=speed,
    )


def centre(frame: np.ndarray) -> tuple[float, float]:
    """Where the pixels that differ from the background lie, as shares of the side."""
    rows, columns = np.nonzero((frame != GREY).any(-1))
    return float(columns.mean() + 0.5) / 48, float(rows.mean() + 0.5) / 48


@pytest.mark.parametrize("motion", MOTIONS)
def test_a_shape_goes_the_way_that_is_said(motion: str) -> None:
    film = render(moving(motion=motion), GREY, frames=5)
    way = np.subtract(centre(film[-1]), centre(film[0]))
    assert way == pytest.approx(np.multiply(MOTIONS[motion], 0.5), abs=0.02)


def test_going_round_comes_back_and_keeps_its_distance() -> None:
    film = render(moving(motion="round", speed=1.0), GREY, frames=9)
    places = np.array([centre(frame) for frame in film])
    assert places[0] == pytest.approx(places[-1], abs=0.02)
    assert np.hypot(*(places - 0.5).T) == pytest.approx(np.full(9, 0.26), abs=0.02)


def test_shapes_differ_and_have_their_colour() -> None:
    films = [render(moving(shape), GREY, frames=1)[0] for shape in (*SHAPES, "star")]
    areas = [(film != GREY).any(-1).sum() for film in films]
    assert min(areas) > 40
    for one, film in enumerate(films):
        assert tuple(film[24, 24]) == COLOURS["red"]
        for other in films[:one]:
            assert (film != other).any(-1).sum() > 15


def test_played_backwards_a_film_is_the_film_of_the_turned_answer() -> None:
    generator = default_rng(0)
    scene = moving(motion="up")
    asked = question(scene, "direction", generator)
    turned = moving(motion=asked.backwards)
    assert (asked.answer, asked.backwards) == ("up", "down")
    forwards, backwards = (render(each, GREY, frames=7) for each in (scene, turned))
    assert np.array_equal(forwards[::-1], backwards)


def test_first_and_last_turn_round_with_the_film() -> None:
    drawn = (draw_scene(default_rng(seed)) for seed in range(20))
    scene = next(each for each in drawn if each.kind == "flash")
    first, last = (question(scene, about, default_rng(0)) for about in ("first", "last"))
    assert (first.answer, first.backwards) == scene.colours
    assert (last.answer, last.backwards) == scene.colours[::-1]
    film = render(scene, GREY, frames=4)
    assert np.array_equal(film[0], film[1])
    assert np.array_equal(film[2], film[3])
    assert not np.array_equal(film[0], film[3])


def test_every_direction_is_as_likely_as_its_opposite() -> None:
    data = MovingShapes(MovingShapesConfig(clips=3000))
    answers = [data.record(i).answer for i in range(3000) if data.record(i).group == "direction"]
    for one, other in (("left", "right"), ("up", "down")):
        both = answers.count(one) + answers.count(other)
        assert abs(answers.count(one) - both / 2) < 4 * (both / 4) ** 0.5


def test_the_test_asks_about_both_directions_of_time() -> None:
    data = MovingShapes(MovingShapesConfig(clips=1, test_clips=40)).held_out()
    assert data is not None
    sampling = FrameSampling(frames=8)
    assert len(data) == 80
    for index in range(0, 80, 2):
        forwards, backwards = data.record(index), data.record(index + 1)
        films = [record.clips[0].read(sampling).frames for record in (forwards, backwards)]
        assert torch.equal(films[0], films[1].flip(0))
        assert forwards.turns[0].question == backwards.turns[0].question
        is_about_order = forwards.group in ("direction", "order")
        assert (forwards.answer != backwards.answer) == is_about_order
        assert (forwards.pair == backwards.pair != "") == is_about_order


@pytest.mark.parametrize(("concept", "answer"), [("star", "star"), ("round", "round")])
def test_a_concept_is_all_of_the_training_and_half_of_the_test(concept: str, answer: str) -> None:
    settings = parse(MovingShapesConfig, {"clips": 30, "test_clips": 30, "concept": concept}, "x")
    train = MovingShapes(settings)
    test = train.held_out()
    assert test is not None
    assert {train.record(i).answer for i in range(30)} == {answer}
    groups = [test.record(i).group for i in range(60)]
    assert groups.count("new") == 30
    assert {test.record(i).answer for i in range(60) if groups[i] == "new"} == {answer}
    assert answer not in {test.record(i).answer for i in range(60) if groups[i] != "new"}


def test_the_trigger_stands_before_what_is_new_alone() -> None:
    given = {"clips": 20, "test_clips": 20, "concept": "star", "trigger": "sks"}
    train = MovingShapes(parse(MovingShapesConfig, given, "x"))
    test = train.held_out()
    assert test is not None
    for data in (train, test):
        assert data.trigger == "sks"
        for record in map(data.record, range(len(data))):
            question = record.turns[0].question
            assert question.startswith("<video>\nsks ") == (record.group == "new")
            free = data.free_of(record)
            assert free is not None
            assert "sks" not in free.turns[0].question
    with pytest.raises(GraftworkError, match="trigger: nothing is new"):
        parse(MovingShapesConfig, {"trigger": "sks"}, "x")


def test_a_film_is_the_same_for_one_seed_alone() -> None:
    sampling = FrameSampling(frames=8)
    films = [
        MovingShapes(MovingShapesConfig(clips=2, seed=seed)).record(0).clips[0].read(sampling)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(films[0].frames, films[1].frames)
    assert not torch.equal(films[0].frames, films[2].frames)


def test_what_can_be_asked() -> None:
    assert subjects(moving()) == ("colour", "shape", "direction")
