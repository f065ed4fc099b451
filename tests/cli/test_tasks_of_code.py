"""Every command with a task in one file, which a run that names it never executes."""

import json
import shutil
from pathlib import Path

import pytest

from align_core.cli.main import main
from align_core.config import task_card
from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.inference.client import InferenceClient
from align_core.runs.client import Client
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.tasks import loader
from align_core.training import worker

OLD = Path(__file__).parents[1] / "fixtures" / "v0_1" / "runs"
POEMS = '''"""Short words: people prefer texts whose words are short."""

STARTS = {"train": ("plot", "film"), "probe": ("story", "end"), "heldout": ("cast", "hero")}


class Poems:
    name = "poems"
    title = "Short words"
    explanation = "The model goes on with a line, and people prefer short words."
    max_new_tokens = 12

    def prompts(self, split):
        return [f"The {start} was" for start in STARTS[split]]

    def reward(self, prompts, completions, **columns):
        words = [text.split() or [10 * "x"] for text in completions]
        return [4.0 - sum(map(len, text)) / len(text) for text in words]
'''


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    monkeypatch.setattr(task_card, "_registered", {})
    monkeypatch.setattr(loader, "_loaded", {})


@pytest.fixture
def poems(tmp_path):
    (tmp_path / "poems.py").write_text(POEMS)
    return str(tmp_path / "poems.py")


def command(capsys, *argv) -> list:
    assert main([*map(str, argv), "--json"]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def refused(capsys, *argv) -> list[str]:
    assert main([*map(str, argv)]) == 2
    return capsys.readouterr().err.splitlines()


@pytest.mark.slow
def test_a_task_in_one_file_goes_through_every_command(poems, tmp_path, capsys):
    assert len(POEMS.splitlines()) <= 40
    run, named = tmp_path / "run", f"{poems}:Poems"
    *_, card = command(capsys, "tasks", "--task", poems)[0]
    assert (card["name"], card["title"], card["reference"]) == (named, "Short words", None)
    few = ("--model", "sft-reviews", "--steps", 2, "--batch-size", 8, "--eval-every", 1)
    events = command(capsys, "train", "ppo", "--task", poems, *few, "--run-dir", run)
    assert events[-1]["status"] == "finished"
    config = json.loads((run / "config.json").read_text())
    assert (config["task"], config["reward_model"]) == (named, "gold")
    metrics = [event["metrics"] for event in events if "eval/kl" in event.get("metrics", {})]
    assert [values["eval/gain"] for values in metrics] == [None, None, None]
    assert metrics[0]["eval/proxy_reward"] is None and metrics[0]["eval/kl"] == 0

    (measured,) = command(capsys, "evaluate", run, "--task", poems)
    assert (measured["task"], measured["prompts"], measured["gain"]) == (named, 2, None)
    (texts,) = command(capsys, "generate", run, "--task", poems, "-n", 2)
    assert len(texts) == 4 and {text["proxy_reward"] for text in texts} == {None}
    (scored,) = command(
        *(capsys, "score", run, "--task", poems, "--prompt", "The end was"),
        *("--completion", " so good."),
    )
    assert scored[0]["gold_reward"] == 4 - (2 + 5) / 2
    assert scored[0]["logp"] != scored[0]["ref_logp"]
    (scored,) = command(
        *(capsys, "score", "sft-reviews", "--task", poems, "--prompt", "The end was"),
        *("--completion", " so good."),
    )
    assert scored[0]["logp"] < 0 and scored[0]["ref_logp"] is None


@pytest.mark.slow
def test_pairs_of_a_task_of_code_are_sampled_and_labelled_by_its_rater(poems, tmp_path, capsys):
    run = tmp_path / "run"
    few = ("--steps", 1, "--batch-size", 8, "--preference-pairs", 8, "--eval-every", 1)
    started = ("train", "reward", "--task", poems, "--model", "sft-reviews")
    events = command(capsys, *started, *few, "--run-dir", run)
    assert events[-1]["status"] == "finished"
    assert any(event.get("cause", {}).get("kind") == "sampling" for event in events)
    last = [event["metrics"] for event in events if "eval/accuracy" in event.get("metrics", {})][-1]
    assert (last["eval/accuracy"], last["eval/margin"]) == (None, None)
    (line,) = refused(capsys, "evaluate", run, "--task", poems)
    assert "MODEL got" in line and "no stored samples" in line


RICH = """
    groups = ("arts", "rest")

    def group(self, prompt):
        return "arts" if prompt.split()[1] in ("plot", "story", "cast") else "rest"

    def demonstrations(self, n, seed):
        return [{"prompt": "The plot was", "completion": " so good."}] * n

    def preferences(self, n, seed):
        rows = [(f"The {start} was", " good.", " magnificent.") for start in STARTS["train"]]
        rows = [dict(zip(("prompt", "chosen", "rejected"), row)) for row in rows]
        return [rows[i % len(rows)] for i in range(n)]
"""


def test_optional_members_of_a_task_are_used(poems, tmp_path, capsys):
    Path(poems).write_text(POEMS + RICH)
    few = ("--model", "sft-reviews", "--steps", 1, "--batch-size", 4, "--eval-every", 1)
    options = ("--preference-pairs", 8, "--coverage", "arts", "--run-dir", tmp_path / "dpo")
    events = command(capsys, "train", "dpo", "--task", poems, *few, *options)
    assert not any(event.get("cause", {}).get("kind") == "sampling" for event in events)
    measured = [event["metrics"] for event in events if "eval/kl" in event.get("metrics", {})]
    assert {"eval/kl_covered", "eval/kl_uncovered"} <= measured[-1].keys()
    events = command(capsys, "train", "sft", "--task", poems, *few, "--run-dir", tmp_path / "sft")
    assert events[-1]["status"] == "finished"
    (line,) = refused(capsys, "train", "dpo", "--task", poems, *few, "--coverage", "sea")[:1]
    assert line.startswith("--coverage got 'sea'")


def test_a_missing_part_of_a_task_is_reported_in_one_line(poems, tmp_path, capsys):
    started = ("--task", poems, "--run-dir", tmp_path / "run")
    (line,) = refused(capsys, "train", "ppo", *started)
    assert line.startswith("--model got nothing, expected an embedded model")
    assert "sft-reviews" in line and "Short words has no reference" in line
    (line,) = refused(capsys, "train", "sft", *started)
    assert line.startswith("METHOD got 'sft'") and "Short words has none" in line
    (line,) = refused(capsys, "evaluate", "sft-reviews", "--task", poems)
    assert line.startswith("--reference got nothing, expected")
    cast = ("preferences", "simulate", "--task", poems, "--votes", 4, "--sessions", tmp_path)
    (line,) = refused(capsys, *cast, "--session", "s")
    assert line.startswith("--model got nothing") and "Short words has no reference" in line
    assert not (tmp_path / "run").exists()


def test_other_errors_are_reported_with_those_of_a_task(tmp_path, capsys):
    run = ("--run-dir", tmp_path / "run")
    lines = refused(capsys, "train", "ppo", "--task", tmp_path / "no.py", "--beta", "-1", *run)
    assert [line.split()[0] for line in lines] == ["--task", "--beta"]
    lines = refused(capsys, "evaluate", "sft-reviews", "--task", "prose", "--prompts", "0")
    assert [line.split()[0] for line in lines] == ["--task", "--prompts"]


@pytest.fixture
def trap(tmp_path):
    """A run that names a file, and the path that importing the file would create."""
    mark, file, run = tmp_path / "mark", tmp_path / "evil.py", tmp_path / "evil-run"
    file.write_text(f"open({str(mark)!r}, 'w').close()\n{POEMS}")
    shutil.copytree(OLD / "2026-11-28-103000-ppo-capitals", run)
    if not (run / "model").exists():
        shutil.copytree(OLD / "2026-11-28-101500-ppo-reviews" / "model", run / "model")
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps(config | {"task": f"{file}:Poems"}))
    return run, mark, f"{file}:Poems"


def test_naming_a_file_never_executes_it(trap, tmp_path, capsys):
    run, mark, named = trap
    (run / "link").symlink_to(run)
    for argv in (
        ("train", "--resume", run),
        ("train", "--config", run / "config.json", "--run-dir", tmp_path / "new"),
        ("evaluate", run),
        ("generate", run),
        ("score", run, "--prompt", "a", "--completion", "b"),
    ):
        (line,) = refused(capsys, *argv)
        assert line.startswith(f"--task got nothing, expected {named!r}")
        assert f"add --task {named}, or in Python call load_task({named!r}) first" in line
    assert not mark.exists() and not (tmp_path / "new").exists()
    assert main(["generate", str(run), "--task", named, "-n", "1"]) == 0
    assert mark.exists()


def test_no_process_of_the_page_executes_a_file_named_by_a_run(trap, tmp_path):
    run, mark, named = trap
    client = Client(tmp_path)
    with pytest.raises(ConfigError, match="--task got nothing"):
        client.start(method="ppo", task=named)
    for ask in (InferenceClient(client).generate, InferenceClient(client).score):
        with pytest.raises(ConfigError, match="--task got nothing"):
            ask(task=named)
    with pytest.raises(ConfigError, match="--task got nothing"):
        resolve("ppo", named)
    # The processes refuse it even if asked directly: one may load no file, one another file.
    directory = RunDirectory(run)
    for allowed in ((), (f"{tmp_path / 'other.py'}:Poems",)):
        with pytest.raises(ConfigError, match="--task got nothing"):
            loader.load_allowed(named, allowed)
            worker.execute(directory, Control())
    directory.close()
    assert not mark.exists()
    loader.load_allowed(named, (named,))
    assert mark.exists()


def test_a_run_of_code_is_resumed_by_naming_its_task(trap, capsys):
    run, _, named = trap
    lines = refused(capsys, "train", "--resume", run, "--task", "reviews")
    assert any("with --resume a run keeps its own options" in line for line in lines)
    (run.parent / "other.py").write_text(POEMS)
    lines = refused(capsys, "train", "--resume", run, "--task", run.parent / "other.py")
    assert any(line.endswith(f"expected {named}, the task of this run") for line in lines)
