"""Tasks of code on the page: their code is not imported, and controls without data are hidden."""

import json
import re
import shutil
import sys
import time

import numpy as np
import pytest
from safetensors.numpy import save_file

from align_core.config import model_index, task_card
from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content import optimum, tasks
from playground.content.new_events import Cursor
from playground.content.page_names import page_name
from playground.content.summaries import Summaries
from playground.handlers import form, links
from playground.handlers.train import TrainHandlers
from playground.text.error_messages import translate

WORDS = text.load()
POEMS = """
print("a word before the cards")


class Poems:
    name, title = "poems", "Short <b>words"
    explanation = "The model goes on with a line, a<b & <img src=x onerror=hacked()>"
    max_new_tokens = 12
    reference = {reference!r}

    def prompts(self, split):
        return [f"The {{word}} of {{split}}" for word in ("sea", "sky")]

    def reward(self, prompts, completions, **columns):
        return [4.0 - sum(map(len, text.split())) for text in completions]
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(task_card, "_registered", {})


@pytest.fixture(scope="module")
def poems(tmp_path_factory):
    """The cards of a task with a reference, as another process answered with them."""
    file = tmp_path_factory.mktemp("poems") / "poems.py"
    file.write_text(POEMS.format(reference="sft-reviews"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(task_card, "_registered", cards := {})
        tasks.register_tasks([str(file)])
    return cards


@pytest.fixture
def named(poems, monkeypatch):
    """The full name of that task, registered as at the start of the page."""
    monkeypatch.setattr(task_card, "_registered", dict(poems))
    (name,) = poems
    return name


def test_another_process_imports_the_code(named):
    card = task_card.card(named)
    assert (card.name, card.reference, card.prompt) == ("poems", "sft-reviews", "The sea of probe")
    assert card == task_card.from_row(json.loads(json.dumps(task_card.as_row(card))))
    assert "task_poems" not in sys.modules
    assert tasks.available()[page_name(named)] == {"reference": "sft-reviews"}


AWKWARD = {
    "title": 'Awkward.title = "[{ and }]"',
    "exit": 'import atexit\natexit.register(print, "[{}]")',
    "stderr": 'import sys\nsys.stderr.buffer.write(b"\\xff")\nsys.stdout.buffer.write(b"\\xff")',
    "child": 'import subprocess\nsubprocess.Popen(["sleep", "300"])',
    "thread": "import threading, time\nthreading.Thread(target=time.sleep, args=[300]).start()",
    "folder": "import os\nos.chdir('/')",
}
DEADLY = {
    "loaded": "import os\nos._exit(3)",
    "asked": "import os\nAwkward.explanation = property(lambda self: os._exit(3))",
    "killed": "import os\nos.kill(os.getpid(), 9)",
    "endless": "import time\ntime.sleep(300)",
}


def awkward(folder, scripts):
    """Files of tasks, with this code after the class."""
    for name, code in scripts.items():
        task = POEMS.format(reference="sft-reviews").replace("Poems", "Awkward")
        (folder / f"{name}.py").write_text(f"{task}\n\n{code}\n")
    return [str(folder / f"{name}.py") for name in scripts]


def test_a_task_is_registered_even_if_its_code_fails(tmp_path):
    names = awkward(tmp_path, AWKWARD)
    began = time.monotonic()
    tasks.register_tasks(names)
    assert time.monotonic() - began < 100, "registering waits for no thread and no process"
    assert [f"{name}:Awkward" in task_card.registered() for name in names] == [True] * len(names)
    assert task_card.card(f"{names[0]}:Awkward").title == "[{ and }]"


def test_code_that_ends_its_process_is_reported_in_one_line(tmp_path, monkeypatch):
    for name in awkward(tmp_path, DEADLY):
        monkeypatch.setattr(tasks, "TIMEOUT", 0.5 if name.endswith("endless.py") else 120.0)
        with pytest.raises(ConfigError) as raised:
            tasks.register_tasks([name])
        (line,) = raised.value.lines
        assert str(line).startswith("--task got '/")
        assert re.search(
            r"; its code (ended the process \(.*\)|was not loaded within 0.5 s.*)$", str(line)
        )


def test_a_task_that_cannot_be_loaded_is_reported_in_one_line(tmp_path):
    with pytest.raises(ConfigError, match=r"^--task got '.*no.py', expected a Python file"):
        tasks.register_tasks([str(tmp_path / "no.py")])


def test_the_page_opens_on_the_named_task(named, client):
    handlers = TrainHandlers(client, tasks.with_task_words(text.load()))
    opened = handlers.restore()
    assert (opened["task"], opened["method"]["value"]) == (named, "ppo")
    shown = handlers.live.delta(Cursor())
    assert shown["run"] is None, "the recorded run is of another task"
    assert links.read({"method": "dpo"})["task"] == named
    assert links.read({"task": page_name(named)})["task"] == named


def test_the_page_shows_a_tasks_own_texts(named):
    words = tasks.with_task_words(text.load("zh"))
    assert words["tasks"][page_name(named)]["name"] == "Short <b>words"
    controls = form.controls(form.default_config("ppo", named), words)
    shown = "The model goes on with a line, a&lt;b &amp; &lt;img src=x onerror=hacked()&gt;"
    assert controls["task_explanation"] == shown
    assert controls["coverage"]["choices"] == [] and not controls["coverage"]["visible"]
    labels = words["controls"]
    assert controls["reward_model"]["choices"] == [(labels["reward_gold"], "gold")]
    assert controls["reward_model"]["value"] == "gold"


@pytest.mark.parametrize("method", ["ppo", "dpo", "reward"])
def test_a_run_can_have_the_initial_values_of_the_controls(named, method, fake_assets):
    words = tasks.with_task_words(text.load())
    controls = form.controls(form.default_config(method, named), words)
    values = {name: controls[name].get("value") for name in form.SETTINGS}
    config = resolve(**form.options({"task": named, "method": method, **values}))
    assert config == resolve(method, named)


def test_a_task_without_a_reference_is_refused_at_the_start(tmp_path):
    file = tmp_path / "bare.py"
    file.write_text(POEMS.format(reference=None))
    with pytest.raises(ConfigError, match=r"expected a task with a `reference`.*sft-reviews"):
        tasks.register_tasks([str(file)])
    assert not task_card.registered()


def test_a_task_without_an_optimum(named):
    assert optimum.frontier({"task": named}) is None
    assert optimum.target({"task": named, "beta": 1.0}) is None
    assert optimum.full_gain({"task": named, "model": "sft-reviews"}) is None


def test_methods_without_data_of_the_task_are_not_offered(named, client):
    handlers = TrainHandlers(client, tasks.with_task_words(text.load()))
    for task, offered in ((named, False), ("reviews", True)):
        controls = handlers.choose({"task": task, "method": "sft"})
        names = controls["method"]["offered"]
        assert ("sft" in names, "dpo" in names) == (offered, True)
        assert controls["method"].get("value") == (None if offered else "ppo")
        assert controls["picture"]["method"] == ("sft" if offered else "ppo")
    linked = links.read({"task": named, "method": "sft", "steps": "3"})
    assert (linked["task"], linked["method"], linked["steps"]) == (named, "ppo", 3)
    values = dict.fromkeys(form.SETTINGS) | {"task": named, "method": "sft", "pace": 0.0}
    assert handlers.start(values)["errors"]


def test_a_run_of_an_unnamed_task_is_shown_from_its_events(tmp_path, client):
    mark, file = tmp_path / "mark", tmp_path / "evil.py"
    file.write_text(f"open({str(mark)!r}, 'w').close()\n" + POEMS.format(reference=None))
    run, name = "2026-01-02-030405-ppo-poems", f"{file}:Poems"
    config = resolve("ppo", "reviews").model_dump()
    directory = RunDirectory.create(client.root / run, resolve("ppo", "reviews"))
    (directory.path / "config.json").write_text(json.dumps(config | {"task": name}))
    directory.append(
        {"kind": "status", "step": 0, "seconds": 0.0, "status": "running", "message": ""}
    )
    metrics = {"eval/gold_reward": 1.0, "eval/gold_reward_reference": 0.5, "eval/kl": 0.2}
    directory.append({"kind": "metrics", "step": 9, "seconds": 1.0, "metrics": metrics})
    directory.append(
        {"kind": "status", "step": 9, "seconds": 1.0, "status": "finished", "message": ""}
    )
    directory.close()
    handlers = TrainHandlers(client, text.load())
    assert handlers.restore()["task"] == "reviews"
    delta = handlers.live.delta(Cursor())
    assert delta["run"] == run and delta["config"]["task"] == "evil.py:Poems"
    assert delta["points"]["eval/kl"] == [[9, 0.2]]
    (tone, line), *_ = delta["summary"]["sentences"]
    assert (tone, line) == (
        "warning",
        WORDS["errors"]["says"]["unnamed_task"].format(task="evil.py:Poems"),
    )
    assert links.read({"task": name})["task"] == form.FIRST_TASK
    assert Summaries(client, text.load()).of(run)["sentences"][0][1] == line
    assert not mark.exists()
    shutil.rmtree(directory.path)


def test_a_task_without_its_fetched_model_names_the_command_for_it(tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    with pytest.raises(ConfigError) as raised:
        tasks.register_tasks(["manners"])
    assert [str(line) for line in raised.value.lines] == [
        "--task got 'manners', expected a task whose reference can be loaded; 'smollm2': it is not "
        "on this machine yet: align-core fetch smollm2"
    ]
    assert not task_card.registered()


def test_a_task_whose_model_was_not_fetched_is_offered_and_run_says_how_to_get_it(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    assert [*tasks.available()] == ["reviews", "capitals", "manners", "own"]
    with pytest.raises(ConfigError) as raised:
        resolve("dpo", "manners")
    (line,) = raised.value.lines
    assert translate(line, WORDS) == WORDS["errors"]["says"]["not_fetched"]
    assert "align-core fetch smollm2" in translate(line, text.load("zh"))
    assert form.first_task() == form.FIRST_TASK


def test_the_page_opens_on_a_task_whose_model_was_fetched(tmp_path, monkeypatch, client):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    fetched = model_index.fetched_folder("smollm2")
    fetched.mkdir(parents=True)
    save_file({"weight": np.zeros(1)}, fetched / "model.safetensors")
    tasks.register_tasks(["manners"])
    assert [*tasks.available()] == ["reviews", "capitals", "manners", "own"]
    words = tasks.with_task_words(text.load("zh"))
    assert words["tasks"]["manners"]["name"] == "礼貌问答"
    opened = TrainHandlers(client, words).restore()
    assert (opened["task"], opened["method"]["value"]) == ("manners", "ppo")
    controls = form.controls(form.default_config("dpo", "manners"), words)
    values = {name: controls[name].get("value") for name in form.SETTINGS}
    config = resolve(**form.options({"task": "manners", "method": "dpo", **values}))
    assert config == resolve("dpo", "manners") and config.lora_r == 16
    hacking = form.controls(
        form.default_config("ppo", "manners") | {"reward_model": "words"}, words
    )
    assert hacking["reward_model"]["value"] == "words"
    assert [name for _, name in hacking["reward_model"]["choices"]] == ["gold", "words"]
    assert form.model_of("reward_model", "words", "manners") == "words"
    assert form.model_of("reward_model", "words", "reviews") is None
    assert (
        optimum.frontier({"task": "manners"}) is None
        and optimum.target({"task": "manners"}) is None
    )
