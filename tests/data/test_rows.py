"""Rows of files in four formats, with the line of each row and error."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest

from align_core.data.rows import MAX_LINE_BYTES, Unreadable, rows, unit


def read(path, content: bytes) -> list:
    path.write_bytes(content)
    return [(n, str(row) if isinstance(row, Unreadable) else row) for n, row in rows(path)]


def test_jsonl_has_a_value_in_each_line(tmp_path):
    content = b'\xef\xbb\xbf{"prompt": "a"}\n\n{"prompt": "\\ud83d\\ude00"}\r\n3\n'
    expected = [(1, {"prompt": "a"}), (3, {"prompt": "😀"}), (4, 3)]
    assert read(tmp_path / "a.jsonl", content) == expected


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b'{"prompt": "nice \\ud83d"}', "expected characters, got half of a surrogate pair"),
        (b'{"prompt": "nice \\uDE00"}', "expected characters, got half of a surrogate pair"),
        (b"[" * 200_000, "expected a JSON object, got brackets nested too deeply"),
        (b'{"prompt": "caf\xe9"}', "expected UTF-8, got the byte 0xe9"),
        (b'{"prompt": "a\\u0000b"}', "expected text, got a NUL byte"),
        (b'{"prompt"', "expected a complete JSON object"),
        (
            b"1" * MAX_LINE_BYTES,  # too long with its newline
            f"expected at most {MAX_LINE_BYTES} bytes in a line, got {MAX_LINE_BYTES + 1}",
        ),
    ],
)
def test_an_unreadable_line_is_a_problem_at_its_place(tmp_path, line, problem):
    assert read(tmp_path / "a.jsonl", b"1\n" + line + b"\n2") == [(1, 1), (2, problem), (3, 2)]


def test_csv_rows_have_texts_by_column_and_their_first_line(tmp_path):
    content = 'prompt,answer\n"two\nlines",1\n"a, b",\n\nc,d,e\nf,g\n'.encode("utf-8-sig")
    assert read(tmp_path / "a.csv", content) == [
        (2, {"prompt": "two\nlines", "answer": "1"}),
        (4, {"prompt": "a, b"}),
        (6, "expected 2 cells, as in line 1, got 3"),
        (7, {"prompt": "f", "answer": "g"}),
    ]


def test_csv_is_read_up_to_the_first_byte_of_another_encoding(tmp_path):
    content = "prompt\na\ncafé\nb\n".encode("latin-1")
    expected = [(2, {"prompt": "a"}), (3, "expected UTF-8, got the byte 0xe9")]
    assert read(tmp_path / "a.csv", content) == expected
    (problem,) = read(tmp_path / "b.csv", "prompt\na\n".encode("utf-16"))
    assert problem == (1, "expected UTF-8, got UTF-16: save it as UTF-8")
    for name in ("c.csv", "c.txt"):
        read_until = read(tmp_path / name, b"prompt\na\nb\0\nc\n")
        assert read_until[-2:] == [(2, {"prompt": "a"}), (3, "expected text, got a NUL byte")]


def test_a_backslash_before_u0000_is_no_nul(tmp_path):
    (row,) = read(tmp_path / "a.jsonl", rb'{"prompt": "\\u0000"}')
    assert row == (1, {"prompt": r"\u0000"})


def test_the_columns_of_csv_have_distinct_names_without_spaces(tmp_path):
    assert read(tmp_path / "a.csv", b"prompt, chosen\na, b\n") == [
        (2, {"prompt": "a", "chosen": " b"})
    ]
    twice = "expected columns of different names, got prompt twice"
    assert read(tmp_path / "b.csv", b"prompt,prompt\na,b\n")[0] == (1, twice)


def test_csv_with_an_open_quote(tmp_path):
    (row, problem) = read(tmp_path / "a.csv", b'prompt\na\n"b\n')
    assert row == (2, {"prompt": "a"}) and problem[0] == 3 and "expected CSV" in problem[1]


def test_texts_with_a_prompt_per_line(tmp_path):
    expected = [(1, {"prompt": "a"}), (3, {"prompt": "b"})]
    assert read(tmp_path / "a.txt", "a\n \nb\n".encode("utf-8-sig")) == expected


def test_parquet_has_rows_and_is_read_in_batches(tmp_path):
    path = tmp_path / "a.parquet"
    table = [{"prompt": f"p{number}", "n": number} for number in range(200)]
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
    assert list(rows(path)) == list(enumerate(table, start=1))
    assert (unit(path), unit(tmp_path / "a.csv")) == ("row", "line")
    assert read(path, json.dumps(table).encode()) == [
        (1, "expected a Parquet file, got a damaged one")
    ]


def test_a_missing_file(tmp_path):
    for name in ("a.jsonl", "a.parquet", "a.csv", "a.txt"):
        with pytest.raises(FileNotFoundError):
            list(rows(tmp_path / name))


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("named", [True, False])
def test_excel_divides_cells_by_commas_semicolons_or_tabs(tmp_path, delimiter, named):
    lines = ["prompt:answer", '"a, b; c":1', '"two\r\nlines":2']
    content = "\r\n".join(line.replace(":", delimiter) for line in lines)
    first = f"sep={delimiter}\r\n" if named else ""
    assert read(tmp_path / "a.CSV", (first + content).encode("utf-8-sig")) == [
        (2 + named, {"prompt": "a, b; c", "answer": "1"}),
        (3 + named, {"prompt": "two\r\nlines", "answer": "2"}),
    ]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.csv", "a.txt"])
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (gzip.compress(b"prompt\na\n", mtime=0), "expected a file of text, got gzip"),
        (b"PK\x03\x04\n\n\n", "expected a file of text, got a zip archive or a spreadsheet"),
        (b"PAR1\n\n\n", "expected a file of text, got Parquet"),
        ("prompt\na\n".encode("utf-16-le"), "expected UTF-8, got UTF-16: save it as UTF-8"),
        ("prompt\na\n".encode("utf-16-be"), "expected UTF-8, got UTF-16: save it as UTF-8"),
    ],
)
def test_a_file_of_another_kind_is_one_problem(tmp_path, name, content, problem):
    assert read(tmp_path / name, content) == [(1, problem)]


def test_a_json_array_is_one_problem(tmp_path):
    for indent in (None, 1):
        content = "\ufeff\n" + json.dumps([{"prompt": "a"}] * 9, indent=indent)
        problem = "expected JSONL, an object in each line, got a JSON array"
        assert read(tmp_path / "a.json", content.encode()) == [(1, problem)]


def test_only_line_ends_divide_the_lines_of_a_text(tmp_path):
    content = "a\u2028b\rc\x85\x0cd\r\ne".encode()
    assert read(tmp_path / "a.txt", content) == [
        (1, {"prompt": "a\u2028b"}),
        (2, {"prompt": "c\x85\x0cd"}),
        (3, {"prompt": "e"}),
    ]


def test_dates_of_parquet_are_left_out_also_those_that_python_has_not(tmp_path):
    table = pyarrow.table(
        {
            "prompt": ["a"],
            "far": pyarrow.array([10**17], pyarrow.timestamp("ms")),
            "nowhere": pyarrow.array([0], pyarrow.timestamp("us", "Mars/Olympus")),
        }
    )
    pyarrow.parquet.write_table(table, tmp_path / "a.PARQUET")
    assert list(rows(tmp_path / "a.PARQUET")) == [(1, {"prompt": "a"})]
    assert unit(tmp_path / "a.PARQUET") == "row"
