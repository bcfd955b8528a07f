"""Files of records that are read piece by piece."""

import json
from pathlib import Path

import pytest

from graftwork.core.errors import GraftworkError
from graftwork.data.video.json_records import JsonRecords

RECORDS = [
    {"id": 'a "quoted" ]} brace', "value": [{"deep": [1, {"x": "\\"}]}]},
    {"id": "ä\n{[", "value": {}},
    {"id": "plain"},
]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("escaped", [True, False])
def test_a_list_is_cut_where_json_cuts_it(
    tmp_path: Path, indent: int | None, escaped: bool
) -> None:
    path = tmp_path / "records.json"
    path.write_text(json.dumps(RECORDS, indent=indent, ensure_ascii=escaped), encoding="utf-8")
    records = JsonRecords(path)
    assert list(records) == RECORDS
    assert records[1:] == RECORDS[1:]
    assert records[-1] == RECORDS[-1]


def test_lines_are_records_and_blank_ones_are_none(tmp_path: Path) -> None:
    path = tmp_path / "records.jsonl"
    path.write_text("\n\n".join(json.dumps(record) for record in RECORDS) + "\n", encoding="utf-8")
    assert list(JsonRecords(path)) == RECORDS


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.json", "", "holds no record"),
        ("a.json", "[]", "holds no record"),
        ("a.jsonl", "\n", "holds no record"),
        ("a.json", '{"id": 1}', "is no list of records"),
        ("a.json", '[{"id": 1}, {"id": ', "ends in the middle"),
        ("a.json", '[{"id": 1}, {"id": "cut of', "ends in the middle"),
    ],
)
def test_what_is_no_list(tmp_path: Path, name: str, text: str, told: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(GraftworkError, match=f"{name}: .*{told}"):
        JsonRecords(tmp_path / name)


def test_a_broken_record_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1}\n{"id": }\n[1]\n')
    records = JsonRecords(path)
    with pytest.raises(GraftworkError, match="record 2: no JSON"):
        records[1]
    with pytest.raises(GraftworkError, match="record 3: is no object"):
        records[2]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(GraftworkError, match=r"data\.path"):
        JsonRecords(tmp_path / "none.json")
