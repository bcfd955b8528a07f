"""Sub-images of neighbouring pixels, against the definition pixel by pixel."""

from collections import Counter

import torch

from graftwork.raw.neighbours import draw_neighbours, sub_image


def drawn(seed: int = 0):
    planes = torch.arange(2 * 3 * 4 * 6 * 8, dtype=torch.float32).view(2, 3, 4, 6, 8)
    return planes, draw_neighbours(planes, torch.Generator().manual_seed(seed))


def test_each_pixel_is_the_corner_of_its_cell_that_was_drawn() -> None:
    planes, pairs = drawn()
    for corner in pairs:
        image = sub_image(planes, corner)
        assert image.shape == (2, 3, 4, 3, 4)
        for b in range(2):
            for t in range(3):
                for row in range(3):
                    for column in range(4):
                        down, right = divmod(int(corner[b, t, row, column]), 2)
                        expected = planes[b, t, :, 2 * row + down, 2 * column + right]
                        assert torch.equal(image[b, t, :, row, column], expected)


def test_the_two_pixels_of_a_cell_share_an_edge() -> None:
    _, (first, second) = drawn()
    for one, other in zip(first.flatten().tolist(), second.flatten().tolist(), strict=True):
        (row, column), (row2, column2) = divmod(one, 2), divmod(other, 2)
        assert abs(row - row2) + abs(column - column2) == 1


def test_all_eight_pairs_are_drawn_alike_and_frames_differ() -> None:
    planes = torch.zeros(1, 2, 4, 160, 160)
    first, second = draw_neighbours(planes, torch.Generator().manual_seed(1))
    count = Counter(zip(first.flatten().tolist(), second.flatten().tolist(), strict=True))
    assert len(count) == 8
    expected = first.numel() / 8
    assert all(abs(number - expected) < 6 * expected**0.5 for number in count.values())
    assert not torch.equal(first[0, 0], first[0, 1]), "frames share a draw"
