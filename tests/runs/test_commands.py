"""The command and the Python that repeat a run make the same configuration."""

from __future__ import annotations

import ast
import shlex

import pytest

from align_core.cli import main as cli
from align_core.config.methods import methods
from align_core.config.run_config import RunConfig, resolve
from align_core.runs import presets
from align_core.runs.commands import command, last_part, python
from align_core.runs.directory import RunDirectory
from align_core.runs.readme import readme

HOSTILE = "/home/ann/x`; rm -rf ~\n$(y)\u202e' \"z.jsonl"
CONFIGS = {name: presets.load(name).config for name in presets.names()}
CONFIGS |= {f"{method} with the defaults": resolve(method, "reviews") for method in methods()}
CONFIGS["all switches"] = resolve(
    *("reward", "capitals"), freeze_trunk=True, coverage="Africa,North America", time_limit=9.5
)
CONFIGS["no whitening"] = resolve("ppo", "reviews", whiten_advantages=False, beta=0, seed=2**32 - 1)


def of_command(text: str) -> dict:
    """The options that the command line reads."""
    name, train, *words = shlex.split(text)
    assert (name, train) == ("align-core", "train")
    args, errors = cli._parsed(["train", *words])
    assert errors == [] and args.run_dir == "runs/again"
    return {name: getattr(args, name) for name in RunConfig.model_fields}


def of_python(text: str) -> dict:
    """The arguments of `train`, which must be literals."""
    imported, called, plotted = ast.parse(text).body
    assert ast.unparse(imported) == "from align_core import train"
    assert ast.unparse(plotted) == "run.plot().show()"
    call = called.value
    (method,), options = call.args, {one.arg: ast.literal_eval(one.value) for one in call.keywords}
    assert call.func.id == "train" and options.pop("run_dir") == "runs/again"
    return {"method": ast.literal_eval(method), **options}


@pytest.mark.parametrize("name", CONFIGS)
def test_both_make_the_same_configuration(name):
    config = CONFIGS[name]
    given = config.model_dump()
    assert resolve(**of_command(command(given))) == config
    assert resolve(**of_python(python(given))) == config


def test_a_hostile_value_is_one_word_in_one_line():
    given = {**CONFIGS["dpo with the defaults"].model_dump(), "preferences": HOSTILE}
    shown = last_part(HOSTILE).replace("`", "'").replace("\n", " ").replace("\u202e", "")
    assert "\n" not in command(given) and "`" not in command(given) + python(given)
    assert of_command(command(given))["preferences"] == shown
    assert of_python(python(given))["preferences"] == shown


def test_the_readme_says_what_the_run_is():
    run = RunDirectory(presets.load("healthy-ppo").recording)
    config = run.config.model_dump()
    text = readme("healthy-ppo", config, run.events()[0], has_model=False)
    assert text.startswith("# ppo on Warm film reviews\n")
    assert "finished at step 60 of 60." in text and "- no model\n" in text
    assert "| gold reward, nats | " in text
    assert command(config) in text and python(config) in text
    assert 'run = load_run("healthy-ppo")' in text and "generate" not in text
    change = {"kind": "change", "step": 8, "seconds": 1.0, "settings": {"beta": 0.2}}
    text = readme("x", {**config, "task": "<b>mine"}, [change], has_model=True)
    assert "- after step 8: beta 0.2\n" in text and "run.generate(n=4)" in text
    assert "The task is not in this folder." in text and "<b>" not in text.split("```")[0]
