"""All errors of a task's folder at once, and what it may not read."""

import json

import pytest

from align_core.tasks.folder import files
from align_core.tasks.folder.contents import read
from tests.tasks.folder.conftest import ENDS, HEAD, PROMPTS, texts, wrong

NO_TENSORS = b"\2" + 7 * b"\0" + b"{}"  # in the safetensors format


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
        "task.toml, line 2: explanation: expected a sentence for an audience, of 1 to 500 "
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
        "pairs.jsonl, line 5: expected a complete JSON object",
        "prompts.csv, line 3: answer: expected a text, a number or a list of them",
        "prompts.csv, line 4: expected a column prompt, messages, or chosen and rejected, "
        "got answer",
        "prompts.csv, line 5: expected a new prompt, got the same one as in prompts.csv, line 2",
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
            "4: expected TOML: brackets are nested too deeply",
        ),
        (HEAD + "x = \n", "4: expected TOML: invalid value"),
        (
            HEAD + 'system_prompt = ""\n' + PROMPTS + ENDS,
            "4: system_prompt: expected a text of 1 to 20000 characters, got ''",
        ),
        (
            HEAD + PROMPTS + '[[reward]]\nkind = "reward_model"\nmodel = "' + 9000 * "m" + '"',
            "8: model = '" + 76 * "m" + "...: expected a reward model: File name too long",
        ),
        (HEAD.encode() + b"# caf\xe9", "4: expected UTF-8, got the byte 0xe9"),
    ],
)
def test_a_broken_or_contradictory_task_toml(folder, toml, line):
    assert f"task.toml, line {line}" in wrong(folder(toml))


def test_too_few_prompts_and_no_rows(folder):
    assert wrong(folder(HEAD + PROMPTS + ENDS, prompts__txt="a\nb\n")) == [
        "prompts.txt: expected three prompts or more, one for each split, got 2"
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
    assert line == f"task.toml, line 5: file = {name!r}: expected a path inside the folder"
    reward = f'[[reward]]\nkind = "reward_model"\nmodel = "{name}"\n'
    (line,) = wrong(folder(HEAD + PROMPTS + reward))
    assert line.endswith("expected a reward model: expected a path inside the folder")


def test_no_symlink_leads_outside(folder, tmp_path, monkeypatch):
    (tmp_path / "outside.txt").write_text("secret\n" * 3)
    there = folder(HEAD + '[prompts]\nfile = "link.txt"\n' + ENDS)
    (there / "link.txt").symlink_to(tmp_path / "outside.txt")
    (line,) = wrong(there)
    assert line == "task.toml, line 5: file = 'link.txt': expected a path inside the folder"
    (there / "link.txt").unlink()
    (there / "link.txt").symlink_to("link.txt")
    assert "line 5: file = 'link.txt': " in wrong(there)[0]
    (there / "link.txt").unlink()
    (there / "link.txt").symlink_to("prompts.txt")
    assert texts(read(there))["train"]
    (there / "task.toml").rename(tmp_path / "elsewhere.toml")
    (there / "task.toml").symlink_to(tmp_path / "elsewhere.toml")
    assert wrong(there) == ["task.toml: expected a path inside the folder"]
    (there / "task.toml").unlink()
    assert wrong(there) == ["task.toml: there is no such file"]


def test_a_model_in_the_working_directory_is_outside_of_the_folder(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    toml = HEAD + PROMPTS + '[[reward]]\nkind = "reward_model"\nmodel = "mine"\n'
    (line,) = wrong(folder(toml))
    assert line.endswith("expected a path inside the folder")


def test_too_large_files_are_not_read(folder, monkeypatch):
    monkeypatch.setattr(files, "MAX_BYTES", 8)
    there = folder(HEAD + PROMPTS + ENDS)
    assert wrong(there) == [
        "task.toml, line 5: file = 'prompts.txt': expected a file of at most 8 bytes, got 10"
    ]
    monkeypatch.setattr(files, "MAX_BYTES", 10)
    monkeypatch.setattr(files, "MAX_ROWS", 4)
    assert wrong(there) == ["prompts.txt, line 5: expected at most 4 rows, got more"]
    monkeypatch.setattr(files, "MAX_TOML_BYTES", 8)
    assert wrong(there)[0].startswith("task.toml: expected a file of at most 8 bytes, got ")


def test_rows_with_too_many_columns_are_not_read(folder):
    """Whatever their format; 200,000 names are compared in far less than a second."""
    names = [f"c{i}" for i in range(files.MAX_COLUMNS + 1)]
    toml = HEAD + '[prompts]\nfile = "p.jsonl"\n' + ENDS
    (line,) = wrong(folder(toml, p__jsonl=json.dumps(dict.fromkeys(names, "a")) + "\n"))
    assert line == "p.jsonl, line 1: expected at most 1000 columns, got 1001"
    toml = HEAD + '[prompts]\nfile = "p.csv"\n' + ENDS
    wide = ",".join(f"c{i}" for i in range(200_000))
    (line,) = wrong(folder(toml, p__csv=f"{wide}\n{wide}\n"))
    assert line == "p.csv, line 2: expected at most 1000 columns, got 200000"


def test_only_the_first_of_many_errors_in_a_file_are_reported(folder):
    lines = wrong(folder(HEAD + '[prompts]\nfile = "p.jsonl"\n' + ENDS, p__jsonl="{\n" * 50))
    assert len(lines) == files.MAX_ERRORS + 1
    assert lines[-1] == "p.jsonl: 30 more errors"


@pytest.mark.parametrize(
    ("labels", "weights", "problem"),
    [
        (["a"], {}, "it has no weights, expected model.safetensors"),
        (["a"], {"pytorch_model.bin": b"\x80"}, "got pytorch_model.bin, which is not read"),
        (["a"], {"model.safetensors": b"\xff" * 9}, "model.safetensors: expected weights in safe"),
        (["a", "b"], {"model.safetensors": NO_TENSORS}, "expected a model with one label, got 2"),
        (None, {"model.safetensors": NO_TENSORS}, "expected a model with one label, got 2"),
    ],
)
def test_a_reward_model_that_scores_nothing(folder, labels, weights, problem):
    there = folder(HEAD + PROMPTS + '[[reward]]\nkind = "reward_model"\nmodel = "mine"\n')
    (there / "mine").mkdir()
    config = {"model_type": "gpt2", "architectures": ["GPT2ForSequenceClassification"]}
    config |= {"id2label": dict(enumerate(labels))} if labels else {}
    for name, content in {"config.json": json.dumps(config).encode(), **weights}.items():
        (there / "mine" / name).write_bytes(content)
    (line,) = wrong(there)
    assert line.startswith("task.toml, line 8: model = 'mine': expected a reward model: ")
    assert problem in line


def test_unpaired_texts_need_both_labels_of_a_prompt(folder):
    rated = [{"prompt": p, "completion": "x", "label": p < "c"} for p in "abcdef"]
    toml = HEAD + '[preferences]\nfile = "p.jsonl"\n'
    (line,) = wrong(folder(toml, p__jsonl=rated))
    assert line == (
        "task.toml, line 5: expected texts of both labels, true and false, for the same prompt, "
        "got none"
    )
