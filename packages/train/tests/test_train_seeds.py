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


def test_batches_are_of_like_length() -> None:
    generator = torch.Generator().manual_seed(0)
    lengths = tuple(torch.randint(20, 2000, (400,), generator=generator).tolist())
    batches = [batch_indices(0, step, size=400, batch=8, lengths=lengths) for step in range(50)]
    assert sorted(index for batch in batches for index in batch) == list(range(400))
    padded = sum(8 * max(lengths[index] for index in batch) for batch in batches)
    plain = sum(
        8 * max(lengths[index] for index in batch_indices(0, step, size=400, batch=8))
        for step in range(50)
    )
    assert padded < 1.15 * sum(lengths)
    assert plain > 1.5 * sum(lengths)
    firsts = [lengths[batch[0]] for batch in batches]
    assert firsts != sorted(firsts), "short batches come before long ones"


def test_processes_share_batches_of_like_length() -> None:
    lengths = (10, 1000) * 8
    for step in range(2):
        parts = [
            batch_indices(0, step, size=16, batch=4, process=process, processes=2, lengths=lengths)
            for process in (0, 1)
        ]
        assert len({lengths[index] for index in parts[0] + parts[1]}) == 1


def test_what_is_alike_stays_shuffled() -> None:
    plain = [batch_indices(3, step, size=12, batch=4) for step in range(3)]
    same = [batch_indices(3, step, size=12, batch=4, lengths=(30,) * 12) for step in range(3)]
    assert sorted(map(sorted, plain)) == sorted(map(sorted, same))


def test_a_step_repeats_and_differs_from_the_next() -> None:
    def draws(step: int, process: int = 0) -> tuple[list[float], list[float]]:
        generator = step_generator(7, step, process)
        return torch.rand(3, generator=generator).tolist(), torch.rand(3).tolist()

    assert draws(4) == draws(4)
    assert draws(4) != draws(5)
    assert draws(4) != draws(4, process=1)
    assert derive(0, "a", 1) != derive(1, "a", 1)
