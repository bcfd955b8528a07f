"""Sets of questions in files: the forms that people have, and what may be wrong with them."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from graftwork.core.config import parse
from graftwork.core.errors import GraftworkError
from graftwork.data.video.instruct import VideoInstruct, VideoInstructConfig
from graftwork.data.video.questions import VideoQuestions, VideoQuestionsConfig


def turn(question: str = "<image>\nwhat?", answer: str = "a cat") -> dict[str, Any]:
    said = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
    return {"image": "a.png", "conversations": said}


def instruct(folder: Path, records: list[Any], **settings: Any) -> VideoInstruct:
    """The set of those records, with a.png beside them."""
    Image.new("RGB", (8, 8)).save(folder / "a.png")
    (folder / "records.json").write_text(json.dumps(records))
    given = {"path": str(folder / "records.json"), **settings}
    return VideoInstruct(parse(VideoInstructConfig, given, "data"))


def test_records_are_read_and_named(tmp_path: Path) -> None:
    data = instruct(tmp_path, [turn(), turn() | {"id": "x7"}])
    data.check()
    assert len(data) == 2
    assert data.record(1).name == f"{tmp_path / 'records.json'}: record 2 (x7)"
    assert data.held_out() is None
    assert data.free_of(data.record(0)) is None


def test_defects_are_told_together(tmp_path: Path) -> None:
    records = [turn(), turn(answer=""), turn(), turn("what?"), turn(answer="")]
    with pytest.raises(GraftworkError, match=r"record 2: an answer is empty.*also records 4, 5$"):
        instruct(tmp_path, records).check()


def test_a_missing_clip_ends_the_run_or_is_passed_over(tmp_path: Path) -> None:
    records = [turn(), turn() | {"image": "b.png"}, turn() | {"image": "c.png"}]
    with pytest.raises(GraftworkError, match=r"record 2: .*b\.png: no such clip \(2 records lack"):
        instruct(tmp_path, records).check()
    data = instruct(tmp_path, records, skip_unreadable=True)
    data.check()
    assert len(data) == 1
    assert [path.name for path in data.skipped] == ["b.png", "c.png"]
    with pytest.raises(GraftworkError, match="no record has its clips"):
        instruct(tmp_path, records[1:], skip_unreadable=True).check()


def test_a_trigger_that_no_question_has(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match=r"data\.trigger: no question .* has the word 'sks'"):
        instruct(tmp_path, [turn()], trigger="sks").check()


def test_the_hash_follows_the_records_and_the_clips(tmp_path: Path) -> None:
    first = instruct(tmp_path, [turn()]).hash()
    assert instruct(tmp_path, [turn()]).hash() == first
    assert instruct(tmp_path, [turn(answer="a dog")]).hash() != first
    data = instruct(tmp_path, [turn()])
    Image.new("RGB", (90, 80), "red").save(tmp_path / "a.png")
    assert data.hash() != first


ROWS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "msvd-qa": (
        {"id": 1, "video": "vid1", "question": "what runs?", "answer": "dog"},
        "vid1.mp4",
        "<video>\nwhat runs?",
        "dog",
    ),
    "msrvtt-qa": (
        {"id": 1, "video_id": 7010, "question": "who sings?", "answer": "man", "category_id": 3},
        "video7010.mp4",
        "<video>\nwho sings?",
        "man",
    ),
    "video-mme": (
        {
            "videoID": "abc",
            "question": "How many?",
            "options": ["A. One.", "B. Two.", "C. Three.", "D. Four."],
            "answer": "C",
            "duration": "short",
        },
        "abc.mp4",
        "<video>\nHow many?\n(A) One.\n(B) Two.\n(C) Three.\n(D) Four.",
        "Three.",
    ),
    "mvbench": (
        {"video": "x.webm", "question": "Which?", "candidates": ["Up", "Down"], "answer": "Down"},
        "x.webm",
        "<video>\nWhich?\n(A) Up\n(B) Down",
        "Down",
    ),
    "next-qa": (
        {"video": "42", "question": "why did he go", "answer": 1, "type": "CW"}
        | {f"a{place}": f"reason {place}" for place in range(5)},
        "42.mp4",
        "<video>\nwhy did he go" + "".join(f"\n({'ABCDE'[i]}) reason {i}" for i in range(5)),
        "reason 1",
    ),
}


def questions(folder: Path, form: str, row: dict[str, Any], suffix: str) -> VideoQuestions:
    path = folder / f"rows{suffix}"
    if suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, row)
            writer.writeheader()
            writer.writerow(row)
    else:
        path.write_text(json.dumps([row] if suffix == ".json" else row))
    settings = {"path": str(path), "format": form, "media": str(folder)}
    return VideoQuestions(parse(VideoQuestionsConfig, settings, "data"))


@pytest.mark.parametrize("form", ROWS)
def test_benchmarks_are_read_as_they_come(tmp_path: Path, form: str) -> None:
    row, clip, question, answer = ROWS[form]
    (tmp_path / clip).touch()
    data = questions(tmp_path, form, row, ".json")
    data.check()
    record = data.record(0)
    assert [source.path.name for source in record.clips] == [clip]
    assert record.turns[0].question == question
    assert record.answer == answer
    assert (answer in record.options) == (form in ("video-mme", "mvbench", "next-qa"))


def test_next_qa_comes_as_csv(tmp_path: Path) -> None:
    row, clip, _, answer = ROWS["next-qa"]
    (tmp_path / clip).touch()
    record = questions(tmp_path, "next-qa", row, ".csv").record(0)
    assert (record.answer, record.group) == (answer, "CW")


@pytest.mark.parametrize(
    ("form", "changes", "told"),
    [
        ("video-mme", {"answer": "F"}, "the answer is none of the 4 options"),
        ("mvbench", {"answer": "Left"}, "the answer is none of the 2 options"),
        ("next-qa", {"answer": 7}, "the answer is none of the 5 options"),
        ("msrvtt-qa", {"video_id": None}, "no such clip"),
    ],
)
def test_rows_that_make_no_sense(
    tmp_path: Path, form: str, changes: dict[str, Any], told: str
) -> None:
    with pytest.raises(GraftworkError, match=f"record 1: .*{told}"):
        questions(tmp_path, form, ROWS[form][0] | changes, ".jsonl").check()


def test_another_benchmark_than_is_said(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match=r"has no 'options', which rows of video-mme have"):
        questions(tmp_path, "video-mme", ROWS["msvd-qa"][0], ".json").check()
