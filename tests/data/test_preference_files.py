"""Files of preference pairs in every format, and their errors."""

from __future__ import annotations

import errno
import json

import pyarrow
import pyarrow.parquet
import pytest

from align_core.config.errors import ConfigError
from align_core.data import preference_files
from align_core.data.preference_files import read_preferences, read_ratings

PAIR = {"prompt": "The film", "chosen": " was warm.", "rejected": " was cold."}
CHAT = {
    "prompt": [{"role": "user", "content": "What is the capital of France?"}],
    "chosen": [{"role": "assistant", "content": "Paris."}],
    "rejected": [{"role": "assistant", "content": "Berlin."}],
}


@pytest.fixture
def jsonl(tmp_path):
    def write(*rows):
        path = tmp_path / "pairs.jsonl"
        path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
        return path

    return write


def lines(path):
    with pytest.raises(ConfigError) as error:
        read_preferences(path)
    messages = [line.text for line in error.value.lines]
    assert all(line.startswith("--preferences") and "\n" not in line for line in messages)
    return messages


def test_jsonl_text_and_chat(jsonl):
    assert read_preferences(jsonl(PAIR, "", CHAT)) == [PAIR, CHAT]


def test_other_columns_are_left_out(jsonl):
    assert read_preferences(jsonl({**PAIR, "annotator": 3})) == [PAIR]


def test_a_truncated_text_stays_truncated(jsonl):
    row = {**PAIR, "chosen_ended": False, "rejected_ended": True}
    assert read_preferences(jsonl(row, {**row, "chosen_ended": "False"}, PAIR)) == [row, row, PAIR]
    (line,) = lines(jsonl(row, {**PAIR, "chosen_ended": "no"}))
    assert line.endswith("line 2: expected a chosen_ended that is true or false, got 'no'")


def test_ratings_are_single_texts_or_the_two_of_a_pair(jsonl):
    rating = {"prompt": "The film", "completion": " was fine.", "label": False}
    cut = {**PAIR, "rejected_ended": False}
    good, bad = (
        {"prompt": "The film", "completion": text, "completion_ended": ended, "label": label}
        for text, ended, label in ((" was warm.", True, True), (" was cold.", False, False))
    )
    file = jsonl(rating, cut, rating)
    assert read_ratings(file) == [rating, good, bad, rating]
    assert read_ratings(file, max_rows=2) == [rating, good, bad]


def test_ratings_of_one_label_are_refused(jsonl):
    rows = [{"prompt": "The film", "completion": " was fine.", "label": True}] * 3
    with pytest.raises(ConfigError, match="expected texts of both labels, true and false; all 3"):
        read_ratings(jsonl(*rows))
    with pytest.raises(ConfigError, match="line 2: expected a label that is true or false"):
        read_ratings(jsonl(rows[0], {**rows[0], "label": "good"}))


@pytest.mark.parametrize("pair", [PAIR, CHAT])
def test_parquet(tmp_path, pair):
    path = tmp_path / "pairs.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([pair, pair]), path)
    assert read_preferences(path) == [pair, pair]


def test_missing_and_empty_files(tmp_path, jsonl):
    assert "no such file" in lines(tmp_path / "nowhere.jsonl")[0]
    assert "empty" in lines(jsonl(""))[0]
    path = tmp_path / "empty.parquet"
    columns = {name: pyarrow.array([], pyarrow.string()) for name in PAIR}
    pyarrow.parquet.write_table(pyarrow.table(columns), path)
    assert "empty" in lines(path)[0]


def test_a_torn_line_is_named(jsonl):
    (line,) = lines(jsonl(PAIR, json.dumps(PAIR)[:-9]))
    assert "line 2: expected a complete JSON object" in line


def test_a_damaged_parquet_file(tmp_path):
    (tmp_path / "pairs.parquet").write_bytes(b"PAR1 and then nothing")
    assert "damaged" in lines(tmp_path / "pairs.parquet")[0]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ({"prompt": "a", "chosen": "b"}, "got prompt, chosen"),
        ({"question": "a"}, "got question"),
        ([1, 2], "got none"),
        ({**PAIR, "rejected": PAIR["chosen"]}, "chosen and rejected are the same"),
        ({**PAIR, "chosen": 3}, "three texts"),
        ({**PAIR, "chosen": None}, "three texts"),
        ({**PAIR, "chosen": CHAT["chosen"]}, "three texts"),
        ({**CHAT, "chosen": [{"content": "no role"}]}, "three texts"),
        ({**PAIR, "rejected": ""}, "got an empty one"),
    ],
)
def test_a_bad_pair_is_named_with_its_line(jsonl, row, problem):
    (line,) = lines(jsonl(PAIR, "", row))
    assert ", line 3: " in line
    assert problem in line


def test_bad_pairs_are_reported_up_to_a_number(jsonl):
    assert len(lines(jsonl("{", PAIR, "{"))) == 2
    many = lines(jsonl(*["{"] * 50))
    assert len(many) == 21
    assert "30 more errors" in many[-1]


def test_parquet_of_wrong_columns(tmp_path):
    path = tmp_path / "pairs.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), path)
    assert "row 1: expected the columns prompt, chosen and rejected, got text" in lines(path)[0]


def test_a_file_that_cannot_be_read_is_one_line(jsonl, monkeypatch):
    def rows(path):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(preference_files, "rows", rows)
    (line,) = lines(jsonl(PAIR))
    assert line.endswith("with prompt, chosen and rejected; Input/output error")
