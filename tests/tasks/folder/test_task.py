"""Tasks in folders: their prompts as inputs of models, their rewards, and how they are loaded."""

import json
import math

import pytest

from align_core.config import task_card
from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.tasks import Task, get_task, load_task, loader
from align_core.tasks.folder.task import FolderTask

TOML = """title = "Who is it?"
explanation = "The model answers."
max_new_tokens = 8
system_prompt = "Be short."
[prompts]
train = "train.jsonl"
probe = "probe.jsonl"
heldout = "heldout.txt"
[[reward]]
kind = "length"
weight = 3
aim = 4
[[reward]]
kind = "answer"
name = "right"
weight = 0.5
"""
USER = {"role": "user", "content": "Who?"}
SYSTEM = {"role": "system", "content": "Be short."}
TURNS = [USER, {"role": "assistant", "content": "You?"}, {"role": "user", "content": "No."}]
PAIRS = [{"prompt": f"p{n}", "chosen": f" {n} good", "rejected": f" {n} bad"} for n in range(40)]


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(task_card, "_registered", {})
    monkeypatch.setattr(loader, "_loaded", {})


def rows(*contents) -> str:
    return "\n".join(map(json.dumps, contents))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "Who is it-2"
    folder.mkdir()
    (folder / "task.toml").write_text(TOML)
    own = {"role": "system", "content": "Be long."}
    (folder / "train.jsonl").write_text(
        rows({"prompt": [USER], "answer": "Me"}, {"prompt": [own, USER], "answer": ["He", "She"]})
    )
    (folder / "probe.jsonl").write_text(rows({"prompt": TURNS, "answer": 3}))
    (folder / "heldout.txt").write_text("x\n")
    return folder


@pytest.fixture
def pairs_alone(tmp_path):
    folder = tmp_path / "pairs"
    folder.mkdir()
    head = 'title = "Pairs"\nexplanation = "Pairs."\nmax_new_tokens = 8\n'
    (folder / "task.toml").write_text(head + '[preferences]\nfile = "p.jsonl"\n')
    (folder / "p.jsonl").write_text(rows(*PAIRS))
    return folder


def test_held_out_prompts_need_answers_too(folder):
    expected = (
        "line 8: expected a file with a column answer for a part of the reward, got heldout.txt"
    )
    with pytest.raises(ConfigError, match=expected):
        FolderTask(folder)


@pytest.fixture
def task(folder) -> FolderTask:
    (folder / "heldout.txt").unlink()
    (folder / "heldout.csv").write_text("prompt,answer\nx,y\n")
    (folder / "task.toml").write_text(TOML.replace("heldout.txt", "heldout.csv"))
    return FolderTask(folder)


def test_the_members_of_a_task(task, folder):
    assert isinstance(task, Task)
    assert (task.name, task.full_name, task.code) == ("who_is_it_2", str(folder), None)
    assert (task.title, task.max_new_tokens, task.reward_std) == ("Who is it?", 8, 2.0)
    assert task.prompts("train") == ["Who?", "system: Be long.\nuser: Who?"]
    assert task.origin("Who?") == f"{folder}/train.jsonl, line 1"
    assert (task.demonstrations, task.preferences, task.has_gold) == (None, None, True)


def test_the_input_of_a_model_is_a_list_of_messages_or_a_text(task):
    first, second = task.prompts("train")
    assert task.model_input(first, chat=True) == [SYSTEM, USER]
    assert task.model_input(first, chat=False) == "Be short.\n\nWho?"
    assert task.model_input(second, chat=True)[0]["content"] == "Be long."
    assert task.model_input(second, chat=False) == "Be long.\n\nWho?"
    assert task.model_input("another", chat=True) == [
        SYSTEM,
        {"role": "user", "content": "another"},
    ]
    (turns,) = task.prompts("probe")
    assert task.model_input(turns, chat=True) == [SYSTEM, *TURNS]
    with pytest.raises(ConfigError, match="expected a model with a chat template"):
        task.model_input(turns, chat=False)


def test_the_reward_is_the_weighted_sum_of_its_parts(task):
    prompts, texts = ["Who?", "Who?"], ["Me!", "He is far away."]
    # Length: 1 word of 4 gives -3/4, 4 words give 0. The first answer is right, the second wrong.
    assert task.scores(prompts, texts) == {"length": [-0.75, 0], "right": [1, 0]}
    assert task.parts(prompts, texts) == {"length": [-2.25, 0], "right": [0.5, 0]}
    assert task.reward(prompts, texts) == [-1.75, 0]
    scaled = task.scaled(2.0)
    assert scaled.parts(prompts, texts) == {"length": [-4.5, 0], "right": [1.0, 0]}
    assert scaled.reward(prompts, texts) == [-3.5, 0]
    assert task.reward(prompts, texts) == [-1.75, 0]


def test_the_reward_finds_the_prompt_of_a_model_input(task):
    for prompt, right in (("Who?", "Me"), ("system: Be long.\nuser: Who?", "she")):
        inputs = [task.model_input(prompt, chat) for chat in (True, True)]
        answered = [[{"role": "assistant", "content": text}] for text in (right, "wrong")]
        assert task.scores(inputs, answered)["right"] == [1, 0]
    assert task.scores([task.model_input("Who?", chat=False)], ["Me"])["right"] == [1]
    (unknown,) = task.reward(["Whose?"], ["Me"])
    assert math.isnan(unknown)


def test_columns_of_a_folder_tell_whether_a_text_ended(tmp_path):
    folder = tmp_path / "ends"
    folder.mkdir()
    head = 'title = "E"\nexplanation = "E."\nmax_new_tokens = 8\n'
    (folder / "task.toml").write_text(
        head + '[prompts]\nfile = "p.txt"\n[[reward]]\nkind = "ends"\n'
    )
    (folder / "p.txt").write_text("a\nb\nc\n")
    task = FolderTask(folder)
    assert task.reward(["a", "b"], ["x.", "y."]) == [1, 1]
    assert task.reward(["a", "b"], ["x.", "y."], ended=[True, False]) == [1, 0]
    ids = {"completion_ids": [[5, 2], [2, 5]], "eos_token_id": 2, "trainer_state": None}
    assert task.reward(["a", "b"], ["x.", "y."], **ids) == [1, 0]


def test_preferences_alone_leave_the_gold_reward_unknown(pairs_alone):
    task = load_task(str(pairs_alone))
    assert not task.has_gold and task.reward_std is None
    assert [math.isnan(value) for value in task.reward(["a"], ["b"])] == [True]
    assert task.parts(["a"], ["b"]) == {}
    drawn = task.preferences(5, seed=0)
    assert len(drawn) == 5 and drawn == task.preferences(5, seed=0) != task.preferences(5, seed=1)
    assert all(row in PAIRS for row in drawn)
    kept_back = {*task.prompts("probe"), *task.prompts("heldout")}
    every = task.preferences(1000, seed=0)
    assert len(every) == 28 and not kept_back & {row["prompt"] for row in every}
    named = task.full_name
    assert resolve("dpo", named, model="sft-reviews").preference_pairs == 28
    for options, option in (
        ({"reward_model": "gold"}, "--reward-model"),
        ({}, "--reward-model"),
    ):
        with pytest.raises(ConfigError) as refused:
            resolve("ppo", named, model="sft-reviews", **options)
        (line,) = refused.value.lines
        assert line.text.startswith(f"{option} got 'gold'") and "no reward of its own" in line.text
    with pytest.raises(ConfigError, match="--pair-source got 'pretrained'"):
        resolve("dpo", named, model="sft-reviews", pair_source="pretrained")
    with pytest.raises(ConfigError, match="METHOD got 'sft'"):
        resolve("sft", named, model="sft-reviews")


def test_a_relative_path_loads_the_same_task(pairs_alone, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = load_task("pairs")
    assert task.full_name == str(pairs_alone)
    assert get_task(str(pairs_alone)) is task
    card = task_card.card(task.full_name)
    assert (card.name, card.folder, card.has_gold, card.code) == (
        "pairs",
        task.full_name,
        False,
        None,
    )
    assert task_card.from_row(json.loads(json.dumps(task_card.as_row(card)))) == card


def test_a_configuration_may_name_a_folder_because_it_has_no_code(pairs_alone):
    named = str(pairs_alone)
    with pytest.raises(ConfigError, match="--task got"):
        # As for a visitor of the page, without reading it.
        resolve("dpo", named, model="sft-reviews")
    assert task_card.card(named) is None
    loader.load_allowed(named, ())
    assert task_card.card(named) is not None
    lines = []
    assert loader.read_if_folder(str(pairs_alone / "none"), lines) == task_card.BUILT_IN[0]
    assert lines


def test_a_path_to_code_is_read_as_a_folder_and_never_run(tmp_path):
    file = tmp_path / "evil.py"
    file.write_text(f"open({str(tmp_path / 'mark')!r}, 'w')\n")
    for lead in (get_task, lambda name: loader.load_allowed(name, ())):
        with pytest.raises(ConfigError, match=r"evil.py/task.toml: Not a directory"):
            lead(str(file))
    lines = []
    assert loader.read_if_folder(str(file), lines) == "reviews" and len(lines) == 1
    assert not (tmp_path / "mark").exists()


def test_a_folder_with_errors_is_refused_with_all_of_them(pairs_alone):
    (pairs_alone / "task.toml").write_text('title = ""\n')
    with pytest.raises(ConfigError) as refused:
        load_task(str(pairs_alone))
    assert all(
        line.text.startswith(f"--task got {pairs_alone}/task.toml, line 1: ")
        for line in refused.value.lines
    )
    assert len(refused.value.lines) == 5  # three keys, a reward and prompts
