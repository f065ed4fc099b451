"""The content of a task's folder, and the commands about it."""

import pytest

from align_core.cli.main import main
from align_core.config.errors import ConfigError
from align_core.tasks.folder import contents
from align_core.tasks.folder.contents import SPLITS, by_hash, read
from align_core.tasks.folder.task import FolderTask
from tests.tasks.folder.conftest import CHAT, ENDS, HEAD, PROMPTS, texts


def test_the_three_splits_are_disjoint_in_any_order_of_the_file(folder):
    prompts = [f"prompt {number}" for number in range(100)]
    write = lambda rows: folder(HEAD + PROMPTS + ENDS, prompts__txt="\n".join(rows))  # noqa: E731
    splits = texts(read(write(prompts)))
    assert {split: len(members) for split, members in splits.items()} == {
        "train": 70,
        "probe": 10,
        "heldout": 20,
    }
    assert sorted(text for members in splits.values() for text in members) == sorted(prompts)
    again = texts(read(write(prompts[::-1])))
    assert {split: sorted(members) for split, members in again.items()} == {
        split: sorted(members) for split, members in splits.items()
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


def test_prompts_of_pairs_keep_their_messages_beside_the_tasks_own_prompts(folder):
    asked = [{"role": "system", "content": "Be short."}, *CHAT, *CHAT]
    said = [[{"role": "assistant", "content": text}] for text in ("Me.", "No.")]
    pairs = [{"prompt": asked, "chosen": said[0], "rejected": said[1]}]
    toml = HEAD + PROMPTS + '[preferences]\nfile = "pairs.jsonl"\n'
    task = FolderTask(folder(toml, pairs__jsonl=pairs))
    (pair,) = task.preferences(1, 0)
    assert task.model_input(pair["prompt"], chat=True) == asked
    assert "system: Be short." not in [text for split in SPLITS for text in task.prompts(split)]


@pytest.mark.parametrize("action", ["new", "check"])
@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "loop", "\ud83d"])
def test_a_folder_that_cannot_be_reached_is_one_line(action, name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert main(["task", action, name]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("FOLDER got '") and "expected the path of a folder: " in line
