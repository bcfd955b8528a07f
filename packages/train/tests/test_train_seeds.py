"""Randomness that follows from the seed and the step alone."""

import torch

from graftwork.train.seeds import batch_indices, derive, step_generator


def test_every_pass_visits_every_example_once() -> None:
    drawn = [index for step in range(5) for index in batch_indices(0, step, size=10, batch=4)]
    assert sorted(drawn[:10]) == list(range(10))
    assert sorted(drawn[10:20]) == list(range(10))
    assert drawn[:10] != drawn[10:20], "the second pass has the order of the first"


def test_processes_share_a_pass() -> None:
    parts = [
        batch_indices(1, 0, size=8, batch=4, process=process, processes=2) for process in (0, 1)
    ]
    assert sorted(parts[0] + parts[1]) == list(range(8))


def test_a_batch_may_be_larger_than_the_data() -> None:
    assert sorted(batch_indices(0, 0, size=3, batch=6)) == [0, 0, 1, 1, 2, 2]


def test_a_step_repeats_and_differs_from_the_next() -> None:
    def draws(step: int, process: int = 0) -> tuple[list[float], list[float]]:
        generator = step_generator(7, step, process)
        return torch.rand(3, generator=generator).tolist(), torch.rand(3).tolist()

    assert draws(4) == draws(4)
    assert draws(4) != draws(5)
    assert draws(4) != draws(4, process=1)
    assert derive(0, "a", 1) != derive(1, "a", 1)
