"""What video LLMs share: kept features, rows of prompts, and pieces of answers."""

from pathlib import Path

import pytest
import torch

from graftwork.backbones.videollm.pieces import answer_pieces
from graftwork.backbones.videollm.prompt import Prompt, rows
from graftwork.backbones.videollm.seen import Seen, Store

CPU = torch.device("cpu")


def features(value: float, size: int = 4) -> Seen:
    return {"tower": torch.full((size,), value)}


def refuse() -> Seen:
    raise AssertionError("was made already")


def test_what_is_seen_is_made_once(tmp_path: Path) -> None:
    store = Store(tmp_path, memory=1000)
    assert store.get("ab12", lambda: features(1.0))["tower"][0] == 1.0
    assert store.get("ab12", refuse)["tower"][0] == 1.0
    assert "ab12" in store
    other_run = Store(tmp_path, memory=1000)
    assert "ab12" in other_run
    assert torch.equal(other_run.get("ab12", refuse)["tower"], features(1.0)["tower"])


def test_memory_has_a_limit_and_the_disk_does_not(tmp_path: Path) -> None:
    without, with_disk = Store(None, memory=40), Store(tmp_path, memory=40)
    for store in (without, with_disk):
        for index in range(4):
            store.put(f"k{index}", features(float(index)))
    assert [f"k{index}" in without for index in range(4)] == [False, False, True, True]
    assert with_disk.get("k0", refuse)["tower"][0] == 0.0


def test_what_was_used_last_stays_in_memory() -> None:
    store = Store(None, memory=40)
    store.put("a", features(0.0))
    store.put("b", features(1.0))
    store.get("a", refuse)
    store.put("c", features(2.0))
    assert ("a" in store, "b" in store, "c" in store) == (True, False, True)


def test_a_file_cut_short_is_made_again(tmp_path: Path) -> None:
    Store(tmp_path, memory=1000).put("ab", features(1.0))
    (file,) = tmp_path.rglob("*.safetensors")
    file.write_bytes(file.read_bytes()[:20])
    again = Store(tmp_path, memory=1000)
    assert again.get("ab", lambda: features(3.0))["tower"][0] == 3.0
    assert Store(tmp_path, memory=1000).get("ab", refuse)["tower"][0] == 3.0


@pytest.mark.parametrize("left", [True, False])
def test_rows_are_padded_and_their_answers_found(left: bool) -> None:
    prompts = [
        Prompt(ids=[5, 6, 7], supervised=[False, True, True]),
        Prompt(ids=[8, 9, 1, 2, 3], supervised=[False, False, True, False, True]),
    ]
    batch = rows(prompts, padding=0, left=left, device=CPU)
    assert batch.ids[0].tolist() == ([0, 0, 5, 6, 7] if left else [5, 6, 7, 0, 0])
    assert batch.mask.sum(1).tolist() == [3, 5]
    assert batch.targets().tolist() == [6, 7, 1, 3]
    before = batch.ids[batch.predicting()]  # the token before each of them
    assert before.tolist() == [5, 6, 9, 2]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([" to", " the left", "\n", "###", " Human"], "to the left"),
        ([" to the left\n#", "#", "# Human: and"], "to the left"),
        ([" a # b ## c", " "], "a # b ## c"),
        (["###"], ""),
        ([], ""),
        (["  ", " one", "  two  ", ""], "one  two"),
    ],
)
def test_an_answer_ends_at_its_stop(pieces: list[str], said: str) -> None:
    assert "".join(answer_pieces(pieces, "###")) == said


def test_without_a_stop_all_is_said() -> None:
    assert "".join(answer_pieces([" a", "### b "])) == "a### b"
