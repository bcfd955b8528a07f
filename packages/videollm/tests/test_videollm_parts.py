"""What video LLMs share: kept features, kept prompts, their rows, and pieces of answers."""

from pathlib import Path

import pytest
import torch
from tokenizers import Tokenizer, models
from transformers import PreTrainedTokenizerFast

from graftwork.backbones.videollm.dialogue.ending import EndsAtText
from graftwork.backbones.videollm.examples import Examples
from graftwork.backbones.videollm.pieces import answer_pieces
from graftwork.backbones.videollm.prompt import Prompt, rows
from graftwork.backbones.videollm.seen import Seen, Store
from graftwork.testing.toy_records import ToyRecords
from graftwork.video.record import Record

CPU = torch.device("cpu")
TOKENIZER = PreTrainedTokenizerFast(tokenizer_object=Tokenizer(models.WordLevel()))


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
        Prompt.of([5, 6, 7], [False, True, True]),
        Prompt.of([8, 9, 1, 2, 3], [False, False, True, False, True]),
    ]
    batch = rows(prompts, padding=0, left=left, device=CPU)
    assert batch.ids[0].tolist() == ([0, 0, 5, 6, 7] if left else [5, 6, 7, 0, 0])
    assert batch.mask.sum(1).tolist() == [3, 5]
    assert batch.targets().tolist() == [6, 7, 1, 3]
    before = batch.ids[batch.predicting()]  # the token before each of them
    assert before.tolist() == [5, 6, 9, 2]


def test_the_last_answer_alone() -> None:
    prompt = Prompt.of([5, 6, 7, 8, 9, 1], [False, True, True, False, True, True])
    assert prompt.only_last().supervised.tolist() == [False] * 4 + [True] * 2
    assert prompt.supervised.sum() == 4


def test_examples_are_written_once_and_kept_small() -> None:
    """Lists of numbers would take 44 bytes a token."""
    written: list[str] = []
    examples = Examples(ToyRecords(), [0, 2], [1000, 1000])

    def write(record: Record) -> Prompt:
        written.append(record.name)
        return Prompt.of(list(range(1000, 2000)), [True] * 1000, [features(1.0)])

    for index in (1, 0, 1):
        record, prompt = examples.get(index, write)
        assert record == ToyRecords().record((0, 2)[index])
        assert prompt.ids.tolist() == list(range(1000, 2000))
        kept = (prompt.ids, prompt.supervised)
        assert sum(tensor.untyped_storage().nbytes() for tensor in kept) <= 5 * 1000
        assert not prompt.seen  # the store's business
    assert written == ["toy record 3", "toy record 1"]


@pytest.mark.parametrize(
    ("pieces", "said"),
    [
        ([" to", " the left", "\n", "###", " Human"], "to the left"),
        ([" to the left\n#", "#", "# Human: and"], "to the left"),
        ([" a # b ## c", " "], "a # b ## c"),
        (["###"], ""),
        ([], ""),
        (["  ", " one", "  two  ", ""], "one  two"),
        (["Assistant", ":", " ", "red"], "red"),
        ([" Assistant: red\n### Human: more"], "red"),
        (["\nAssist", "ants: both"], "Assistants: both"),
        (["Assistant:", " "], ""),
        (["Assist", "###"], "Assist"),
    ],
)
def test_an_answer_ends_at_its_stop(pieces: list[str], said: str) -> None:
    assert "".join(answer_pieces(pieces, stop="###", role="Assistant:")) == said
    ending = EndsAtText(TOKENIZER, "###", role="Assistant:")
    assert ending.answer_in("".join(pieces)) == said


def test_without_a_stop_all_is_said() -> None:
    assert "".join(answer_pieces([" a", "### b "])) == "a### b"
