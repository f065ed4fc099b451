"""A stranger's folder: its content, and all of its errors at once."""

import json
import os

import pytest

from align_core.cli.main import main
from align_core.config.errors import ConfigError
from align_core.tasks.folder import contents, files
from align_core.tasks.folder.contents import by_hash, read

HEAD = 'title = "A title"\nexplanation = "What it is."\nmax_new_tokens = 8\n'
ENDS = '[[reward]]\nkind = "ends"\n'
PROMPTS = '[prompts]\nfile = "prompts.txt"\n'
CHAT = [{"role": "user", "content": "Who?"}]


@pytest.fixture
def folder(tmp_path):
    """A function that writes files into a folder with prompts."""
    folder = tmp_path / "task"
    folder.mkdir()

    def write(toml: str, **files: object):
        files = {
            "prompts.txt": "a\nb\nc\nd\ne\n",
            **{n.replace("__", "."): f for n, f in files.items()},
        }
        for name, content in {"task.toml": toml, **files}.items():
            if isinstance(content, list):
                content = "\n".join(json.dumps(row) for row in content)
            path = folder / name
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return folder

    return write


def wrong(folder) -> list[str]:
    """The lines of the errors, without the path of the folder."""
    with pytest.raises(ConfigError) as refused:
        read(folder)
    lines = [line.text for line in refused.value.lines]
    assert all(line.startswith(f"{folder}{os.sep}") and "\n" not in line for line in lines)
    return [line.removeprefix(f"{folder}{os.sep}") for line in lines]


def texts(contents) -> dict[str, list[str]]:
    return {split: [*prompts] for split, prompts in contents.splits.items()}


def test_the_three_splits_are_disjoint_in_any_order_of_the_file(folder):
    prompts = [f"prompt {number}" for number in range(100)]
    write = lambda rows: folder(HEAD + PROMPTS + ENDS, prompts__txt="\n".join(rows))  # noqa: E731
    splits = texts(read(write(prompts)))
    assert {split: len(of) for split, of in splits.items()} == {
        "train": 70,
        "probe": 10,
        "heldout": 20,
    }
    assert sorted(text for of in splits.values() for text in of) == sorted(prompts)
    again = texts(read(write(prompts[::-1])))
    assert {split: sorted(of) for split, of in again.items()} == {
        split: sorted(of) for split, of in splits.items()
    }
    # SHA-256 of "a" begins with ca, of "b" with 3e, of "c" with 2e: c is first.
    assert by_hash(["a", "b", "c"]) == {"train": {"a"}, "probe": {"c"}, "heldout": {"b"}}
    large = by_hash([f"prompt {number}" for number in range(2000)])
    assert (len(large["probe"]), len(large["heldout"])) == (64, 128)


def test_splits_by_name_in_four_formats(folder):
    import pyarrow
    import pyarrow.parquet

    toml = '[prompts]\ntrain = "a.csv"\nprobe = "b.jsonl"\nheldout = "c.parquet"\n'
    there = folder(
        HEAD + toml + ENDS,
        a__csv="prompt,answer\nWhat?,1\nWhy?,2\n",
        b__jsonl=[{"prompt": CHAT}, {"prompt": [*CHAT, *CHAT]}],
    )
    table = pyarrow.Table.from_pylist([{"prompt": "Where?", "answer": 3}])
    pyarrow.parquet.write_table(table, there / "c.parquet")
    contents = read(there)
    assert texts(contents) == {
        "train": ["What?", "Why?"],
        "probe": ["Who?", "user: Who?\nuser: Who?"],
        "heldout": ["Where?"],
    }
    what, where = contents.splits["train"]["What?"], contents.splits["heldout"]["Where?"]
    assert (what.row, what.place.text) == ({"prompt": "What?", "answer": "1"}, "a.csv, line 2")
    assert (where.row["answer"], where.place.text) == (3, "c.parquet, row 1")
    assert what.messages == [{"role": "user", "content": "What?"}]
    assert contents.splits["probe"]["user: Who?\nuser: Who?"].messages == [*CHAT, *CHAT]


def test_preferences_and_demonstrations_become_texts(folder):
    answer = [{"role": "assistant", "content": "Me."}]
    contents = read(
        folder(
            HEAD
            + '[prompts]\ntrain = "t.jsonl"\nprobe = "p.txt"\nheldout = "h.txt"\n'
            + '[preferences]\nfile = "pairs.jsonl"\n[demonstrations]\nfile = "shown.jsonl"\n',
            t__jsonl=[{"prompt": CHAT}],
            p__txt="probe",
            h__txt="held out",
            pairs__jsonl=[
                {"prompt": CHAT, "chosen": answer, "rejected": [{**answer[0], "content": "No."}]},
                {"chosen": "It is so.", "rejected": "It is not."},
                {"prompt": "probe", "chosen": "a", "rejected": "b"},
                {"prompt": "x", "completion": " 1", "label": True},
                {"prompt": "x", "completion": " 2", "label": False},
                {"prompt": "x", "completion": " 3", "label": True},
            ],
            shown__jsonl=[
                {"messages": CHAT + answer},
                {"text": "A whole text."},
                {"prompt": "held out", "completion": " no"},
            ],
        )
    )
    assert contents.preferences == [
        {"prompt": "Who?", "chosen": " Me.", "rejected": " No."},
        {"prompt": "It is", "chosen": " so.", "rejected": " not."},
        {"prompt": "x", "chosen": " 1", "rejected": " 2"},
    ]
    assert contents.demonstrations == [
        {"prompt": "Who?", "completion": " Me."},
        {"prompt": "", "completion": "A whole text."},
    ]


def test_a_task_of_preferences_alone_has_their_prompts(folder):
    rows = [{"prompt": f"p{n}", "chosen": " a", "rejected": " b"} for n in range(10) for _ in "ab"]
    contents = read(folder(HEAD + '[preferences]\nfile = "p.jsonl"', p__jsonl=rows))
    assert [len(of) for of in contents.splits.values()] == [7, 1, 2]
    assert len(contents.preferences) == 14
    assert {row["prompt"] for row in contents.preferences} == {*contents.splits["train"]}


def test_all_errors_are_reported_with_their_lines(folder):
    toml = """title = ""
explanation = 3
max_new_tokens = true
colour = 1
[prompts]
file = "prompts.csv"
shuffle = true
[preferences]
file = "pairs.jsonl"
[[reward]]
kind = "length"
aim = 30
most = 10
[[reward]]
kind = "lenght"
[[reward]]
kind = "words"
wanted = ["a", "..."]
weight = 0
[[reward]]
kind = "pattern"
pattern = '(?=a)'
[[reward]]
weight = nan
kind = "ends"
name = "my ends"
[[reward]]
kind = "json"
name = "j"
[[reward]]
kind = "repetition"
name = "j"
n = 0.5
[[reward]]
kind = "answer"
name = "j"
"""
    there = folder(
        toml,
        prompts__csv=b'prompt,answer\na,1\nb,\n,2\n"a",3\n' + b"caf\xe9,1\n",
        pairs__jsonl=b'{"prompt": "a"}\n' + b"[" * 200_000 + b'\n{"chosen": "\\ud83d"}\n[]\n{',
    )
    kinds = "length, words, pattern, ends, repetition, answer, json, reward_model"
    has = "title, explanation, system_prompt, max_new_tokens, reward_std, prompts, preferences, "
    assert wrong(there) == [
        "task.toml, line 1: title: expected a text of one line, of 1 to 100 characters, got ''",
        "task.toml, line 2: explanation: expected a sentence to an audience, of 1 to 500 "
        "characters, got 3",
        "task.toml, line 3: max_new_tokens: expected a whole number of tokens, 1 to 2048, got True",
        f"task.toml, line 4: colour: there is no such key; task.toml has {has}demonstrations, "
        "reward",
        "task.toml, line 7: shuffle: there is no such key; [prompts] has file, train, probe, "
        "heldout",
        "task.toml, line 10: expected an aim of at most 10, got 30",
        f"task.toml, line 15: kind: expected one of {kinds}, got 'lenght'",
        "task.toml, line 18: wanted: expected words, got '...'",
        "task.toml, line 19: weight: expected a number, -1e6 to 1e6, not 0, got 0",
        "task.toml, line 22: pattern: expected a regular expression in RE2's syntax: invalid perl "
        "operator: (?=",
        "task.toml, line 24: weight: expected a number, -1e6 to 1e6, not 0, got nan",
        "task.toml, line 26: name: expected a name of a-z, 0-9 and _, got 'my ends'",
        "task.toml, line 33: n: expected a whole number of words from 1 to 20, got 0.5",
        "task.toml, line 34: expected a name of its own, got a second part 'j'",
        "pairs.jsonl, line 1: expected the columns prompt, chosen and rejected, got prompt",
        "pairs.jsonl, line 2: expected a JSON object, got brackets nested too deeply",
        "pairs.jsonl, line 3: expected characters, got half of a surrogate pair",
        "pairs.jsonl, line 4: expected a JSON object",
        "pairs.jsonl, line 5: this is not a complete JSON object",
        "prompts.csv, line 3: answer: expected a text, a number or a list of them",
        "prompts.csv, line 4: expected a column prompt, messages, or chosen and rejected, "
        "got answer",
        "prompts.csv, line 5: expected a new prompt, got that of prompts.csv, line 2",
        "prompts.csv, line 6: expected UTF-8, got the byte 0xe9",
    ]


@pytest.mark.parametrize(
    ("toml", "line"),
    [
        (HEAD + PROMPTS, "1: expected a [[reward]] or [preferences]: nothing says what is better"),
        (HEAD + ENDS, "1: expected [prompts], [preferences] or [demonstrations] with prompts"),
        (
            HEAD + "[prompts]\n" + ENDS,
            "4: prompts: expected file, or all of train, probe and heldout",
        ),
        (
            HEAD + PROMPTS + 'probe = "prompts.txt"\n' + ENDS,
            "4: prompts: expected file, or train, probe and heldout, got both",
        ),
        (
            HEAD + '[prompts]\nfile = "x.txt"\n' + ENDS,
            "5: file = 'x.txt': there is no such file",
        ),
        (
            HEAD + '[prompts]\nfile = "x.xml"\n' + ENDS,
            "5: file = 'x.xml': expected a name that ends in .jsonl, .parquet, .csv, .txt",
        ),
        (
            HEAD + '[preferences]\nfile = "p.txt"\n[[reward]]\nkind = "answer"',
            "6: expected [prompts] with a column answer, got no [prompts]",
        ),
        (
            HEAD + PROMPTS + '[[reward]]\nkind = "reward_model"\nmodel = "sft-reviews"',
            "8: model = 'sft-reviews': expected a reward model: this is a language model, which "
            "scores no texts",
        ),
        (
            "reward = 3\n" + HEAD + PROMPTS,
            "1: reward: expected tables [[reward]], at most 32, got 3",
        ),
        (
            HEAD + "x = " + "[" * 200_000,
            "4: expected TOML, got this: brackets are nested too deeply",
        ),
        (HEAD + "x = \n", "4: expected TOML, got this: invalid value"),
        (HEAD.encode() + b"# caf\xe9", "4: expected UTF-8, got the byte 0xe9"),
    ],
)
def test_a_broken_or_contradictory_task_toml(folder, toml, line):
    assert f"task.toml, line {line}" in wrong(folder(toml))


def test_too_few_prompts_and_no_rows(folder):
    assert wrong(folder(HEAD + PROMPTS + ENDS, prompts__txt="a\nb\n")) == [
        "prompts.txt: expected three prompts or more, one a split, got 2"
    ]
    assert wrong(folder(HEAD + PROMPTS + ENDS, prompts__txt="\n\n")) == [
        "prompts.txt: expected rows, got none"
    ]


@pytest.mark.parametrize(
    "name", ["../outside.txt", "/etc/hostname.txt", "~/x.txt", "a/../../o.txt"]
)
def test_no_path_leads_outside(folder, tmp_path, name):
    (tmp_path / "outside.txt").write_text("secret\n" * 3)
    (line,) = wrong(folder(HEAD + f'[prompts]\nfile = "{name}"\n' + ENDS))
    assert line == f"task.toml, line 5: file = {name!r}: it leads outside of the folder"
    reward = f'[[reward]]\nkind = "reward_model"\nmodel = "{name}"\n'
    (line,) = wrong(folder(HEAD + PROMPTS + reward))
    assert line.endswith("expected a reward model: it leads outside of the folder")


def test_no_symlink_leads_outside(folder, tmp_path, monkeypatch):
    (tmp_path / "outside.txt").write_text("secret\n" * 3)
    there = folder(HEAD + '[prompts]\nfile = "link.txt"\n' + ENDS)
    (there / "link.txt").symlink_to(tmp_path / "outside.txt")
    (line,) = wrong(there)
    assert line == "task.toml, line 5: file = 'link.txt': it leads outside of the folder"
    (there / "link.txt").unlink()
    (there / "link.txt").symlink_to("link.txt")
    assert "line 5: file = 'link.txt': " in wrong(there)[0]
    (there / "link.txt").unlink()
    (there / "link.txt").symlink_to("prompts.txt")
    assert texts(read(there))["train"]
    (there / "task.toml").rename(tmp_path / "elsewhere.toml")
    (there / "task.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert wrong(there) == ["task.toml: it leads outside of the folder"]
    (there / "task.toml").unlink()
    assert wrong(there) == ["task.toml: there is no such file"]


def test_a_model_in_the_working_directory_is_outside_of_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    toml = HEAD + PROMPTS + '[[reward]]\nkind = "reward_model"\nmodel = "mine"\n'
    (line,) = wrong(folder(toml))
    assert line.endswith("it leads outside of the folder")


def test_too_large_files_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(files, "MOST_BYTES", 8)
    there = folder(HEAD + PROMPTS + ENDS)
    assert wrong(there) == [
        "task.toml, line 5: file = 'prompts.txt': expected a file of at most 8 bytes, got 10"
    ]
    monkeypatch.setattr(files, "MOST_BYTES", 10)
    monkeypatch.setattr(files, "MOST_ROWS", 4)
    assert wrong(there) == ["prompts.txt, line 5: expected at most 4 rows, got more"]
    monkeypatch.setattr(files, "MOST_TOML_BYTES", 8)
    assert wrong(there)[0].startswith("task.toml: expected a file of at most 8 bytes, got ")


def test_only_the_first_of_many_errors_in_a_file_are_reported(folder):
    lines = wrong(folder(HEAD + '[prompts]\nfile = "p.jsonl"\n' + ENDS, p__jsonl="{\n" * 50))
    assert len(lines) == files.MOST_ERRORS + 1
    assert lines[-1] == "p.jsonl: 30 more errors"


def test_the_commands(folder, tmp_path, capsys):
    new = tmp_path / "new"
    assert main(["task", "new", str(new)]) == 0
    assert main(["task", "check", str(new)]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[-1] == (
        "Short, warm reviews: 42 train, 6 probe, 12 heldout prompts; "
        "reward: warmth, length, ends, repetition"
    )
    before = (new / "task.toml").read_bytes()
    assert main(["task", "new", str(new)]) == 2
    assert "a new or empty folder" in capsys.readouterr().err
    assert (new / "task.toml").read_bytes() == before
    there = folder(HEAD + PROMPTS + ENDS + "aim = 3\n", prompts__txt="a\na\n")
    assert main(["task", "check", str(there)]) == 2
    output = capsys.readouterr()
    assert not output.out and [line.split(": ")[0] for line in output.err.splitlines()] == [
        f"{there}/task.toml, line 8",
        f"{there}/prompts.txt, line 2",
    ]
    assert main(["task", "check", str(tmp_path / "none")]) == 2
    assert main(["task", "check"]) == main(["task"]) == main(["task", "new", "/proc/new"]) == 2


def test_the_errors_of_a_named_task_name_the_option(folder):
    with pytest.raises(ConfigError) as refused:
        contents.read(folder(HEAD + PROMPTS), "--task")
    (line,) = refused.value.lines
    assert line.text.startswith(f"--task got {folder(HEAD + PROMPTS)}/task.toml, line 1: expected")
