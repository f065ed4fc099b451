"""All commands: the reports on models, help, and errors in one line each."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace

import pytest

from align_core import build, inference
from align_core.config.methods import methods
from align_core.config.run_config import resolve
from align_core.config.task_card import BUILT_IN
from align_core.models import libraries
from align_core.runs.directory import RunDirectory
from tests.cli.conftest import ROOT


@pytest.fixture
def reports(monkeypatch):
    """Replaces the reports by functions that return their arguments."""
    calls = SimpleNamespace(
        evaluate=lambda model, **arguments: {
            "arguments": {"model": model, **arguments},
            "kl": 1.25,
            "kl_ci95": 0.1,
            "gain": None,
        },
        generate=lambda model, **arguments: [
            {
                "prompt": arguments["prompts"][0],
                "gold_reward": 1.0,
                "arguments": {"model": model, **arguments},
            }
        ],
        score=lambda *arguments: [
            {"completion": text, "gold_reward": 0.5} for text in arguments[3]
        ],
    )
    monkeypatch.setitem(sys.modules, "align_core.inference.queries", calls)
    monkeypatch.setattr(inference, "queries", calls, raising=False)


def test_tasks(main):
    code, out, _ = main("tasks")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["reviews", "capitals", "manners"]
    rows = json.loads(main("tasks", "--json")[1])
    assert [row["name"] for row in rows] == ["reviews", "capitals", "manners"]
    assert all(row["explanation"] for row in rows)


def test_libraries_are_quiet_before_a_model_is_loaded(main, reports, monkeypatch):
    quietened = []
    monkeypatch.setattr(libraries, "silence_libraries", lambda: quietened.append(True))
    assert main("evaluate", "sft-reviews")[0] == 0
    assert quietened == [True]


def test_evaluate(main, reports):
    code, out, _ = main("evaluate", "sft-reviews", "--prompts", 16, "--json")
    assert code == 0
    plain = {"model": "sft-reviews", "task": "reviews", "prompts": 16, "seed": 0} | dict.fromkeys(
        ("reference", "coverage", "realign", "best_of", "reward_model", "beta", "samples")
    )
    assert json.loads(out)["arguments"] == plain
    for options, changed in (
        (
            ("--coverage", "sound,film", "--realign", "1.5"),
            {"coverage": "film,sound", "realign": 1.5},
        ),
        (
            ("--best-of", "8", "--reward-model", "reward-reviews"),
            {"best_of": 8, "reward_model": "reward-reviews"},
        ),
    ):
        _, out, _ = main("evaluate", "sft-reviews", "--prompts", 16, *options, "--json")
        assert json.loads(out)["arguments"] == plain | changed
    _, out, _ = main("evaluate", "pretrained", "--task", "capitals", "--reference", "sft-capitals")
    assert out.splitlines()[1:] == [
        "kl                     1.250 ± 0.100",
        "gain                   –",
    ]


def test_generate(main, reports):
    _, out, _ = main("generate", "sft-reviews", "--prompt", "The film", "--prompt", "-5", "-n", 2)
    assert out == "prompt    gold_reward\nThe film  1.000\n"
    _, out, _ = main("generate", "sft-reviews", "--prompt", "A", "--temperature", "0.7", "--json")
    plain = {
        **{"model": "sft-reviews", "task": "reviews", "prompts": ["A"]},
        **{"n": 4, "temperature": 0.7, "seed": 0},
        **dict.fromkeys(("realign", "best_of", "reward_model")),
    }
    assert json.loads(out)[0]["arguments"] == plain
    for options, changed in (
        (("--realign", "0"), {"realign": 0.0}),
        (("--best-of", "2", "--reward-model", "gold"), {"best_of": 2}),  # gold is the default
    ):
        shared = ("--prompt", "A", "--temperature", "0.7", "--json")
        _, out, _ = main("generate", "sft-reviews", *options, *shared)
        assert json.loads(out)[0]["arguments"] == plain | changed


def test_generate_uses_probe_prompts_by_default(main, reports):
    rows = json.loads(main("generate", "sft-reviews", "--json")[1])
    assert len(rows[0]["arguments"]["prompts"]) == 8


def test_score(main, reports):
    arguments = ("score", "sft-reviews", "--task", "reviews", "--prompt", "The film")
    _, out, _ = main(*arguments, "--completion", " was warm.", " was cold.", "--json")
    assert [row["completion"] for row in json.loads(out)] == [" was warm.", " was cold."]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (("evaluate", "nothing", "--prompts", "0"), ["MODEL", "--prompts"]),
        (("evaluate", "nothing", "--task", "opera"), ["MODEL", "--task"]),
        (("evaluate", "pretrained"), ["--task"]),
        (("evaluate", "sft-reviews", "--reference", "reward-reviews"), ["--reference"]),
        (("evaluate", "sft-reviews", "--coverage", "Europe"), ["--coverage"]),
        (("evaluate", "reward-reviews", "--realign", "1"), ["MODEL"]),
        *(
            ((command, "sft-reviews", "--realign", value), ["--realign"])
            for command in ("evaluate", "generate")
            for value in ("-0.1", "nan", "inf", "1001", "half")
        ),
        (("evaluate", "reward-reviews", "--best-of", "2"), ["MODEL"]),
        (("evaluate", "reward-reviews", "--beta", "1"), ["MODEL"]),
        (("evaluate", "sft-reviews", "--beta", "0", "--samples", "0"), ["--beta", "--samples"]),
        (("evaluate", "sft-reviews", "--beta", "1", "--best-of", "2"), ["--beta"]),
        *(
            ((command, "sft-reviews", *wrong), [wrong[0]])
            for command in ("evaluate", "generate")
            for wrong in (
                *(("--best-of", value) for value in ("1", "257", "2.5", "two")),
                ("--best-of", "4", "--realign", "0.5"),
                ("--reward-model", "reward-reviews"),
                ("--reward-model", "sft-reviews", "--best-of", "4"),
            )
        ),
        (("generate", "sft-reviews", "-n", "-3", "--temperature", "nan"), ["-n", "--temperature"]),
        (("generate", "sft-reviews", "--prompt", "A", "--prompt", ""), ["--prompt"]),
        (("generate", "reward-reviews"), ["MODEL"]),
        (("score", "sft-reviews", "--prompt", "", "--completion", "A"), ["--prompt"]),
        (("score", "sft-reviews", "--seed", "3"), ["--seed", "--prompt", "--completion"]),
    ],
)
def test_bad_input_to_the_other_commands(refused, arguments, options):
    assert [line.split()[0].rstrip(":") for line in refused(*arguments)] == options


def test_other_failures_are_one_line(main, reports, monkeypatch):
    for error, says in (
        (RuntimeError("the weights\nare odd"), "RuntimeError: the weights are odd"),
        (SystemExit(0), "SystemExit: 0"),  # a task's reward may call sys.exit()
    ):

        def broken(*_, error=error, **__):
            raise error

        monkeypatch.setattr(inference.queries, "evaluate", broken)
        code, _, err = main("evaluate", "sft-reviews")
        assert code == 1
        assert err.startswith(f"{says} (test_main.py, line") and err.count("\n") == 1


def test_an_unparsable_value_hides_no_other_error(refused):
    (line,) = refused("dance")
    assert "invalid choice: 'dance'" in line
    cases = {
        ("train", "ppp", "--beta"): [
            "argument --beta:",
            "METHOD got",
            "--task got",
            "--run-dir got",
        ],
        ("evaluate",): ["MODEL got"],
        ("generate", "--json=3", "-n"): ["argument --json:", "argument -n:", "MODEL got"],
        ("score", "nothing", "--prompt"): [
            "argument --prompt:",
            "MODEL got",
            "--prompt got",
            "--completion got",
        ],
    }
    for command, starts in cases.items():
        lines = refused(*command)
        assert [line[: len(start)] for line, start in zip(lines, starts, strict=True)] == starts


def test_without_a_command_all_are_listed(refused):
    first, *others = refused()
    assert first == "COMMAND got nothing, expected one of these:"
    assert [line.split()[0] for line in others] == [
        *("tasks", "train", "evaluate", "generate", "score", "prepare", "cache", "runs"),
        *("preferences", "experiment", "task", "fetch", "track", "export", "embed"),
        "build-assets",
    ]


def test_help_shows_defaults_and_the_methods_of_each_option(main, capsys):
    with pytest.raises(SystemExit):
        main("train", "--help")
    shown = " ".join(capsys.readouterr().out.split())
    assert "train the scalar head alone; only reward" in shown
    ppo, dpo = ([resolve(method, task).steps for task in BUILT_IN] for method in ("ppo", "dpo"))
    assert f" {ppo[0]} / {ppo[1]} {dpo[0]} / {dpo[1]} " in shown
    assert "--reward-model – – reward-TASK –" in shown
    assert f"--lora-r {' '.join('0' for _ in methods())}" in shown
    assert "--run-dir DIR a new folder for the run; required" in shown


def test_an_interrupted_run_is_resumed_by_a_command(refused, tmp_path):
    run = RunDirectory.create(tmp_path / "run", resolve("dpo", "reviews"))
    for command in ("evaluate", "generate"):
        (line,) = refused(command, run.path)
        assert line.endswith(f"resume it: python -m align_core train --resume {run.path}")


def test_build_assets(main, monkeypatch):
    built = []
    fake = SimpleNamespace(build=lambda: built.append(True))
    monkeypatch.setitem(sys.modules, "align_core.build.assets", fake)
    monkeypatch.setattr(build, "assets", fake, raising=False)
    assert main("build-assets")[0] == 0
    assert built == [True]


def test_a_wrong_python_version_is_reported_with_the_right_ones(tmp_path):
    done = subprocess.run(
        [sys.executable, "-S", "-m", "align_core", "train", "ppo", "--run-dir", tmp_path / "run"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1 and ".venv/bin/python" in done.stderr
    assert not (tmp_path / "run").exists()


def test_as_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "align_core", "train", "--beta", "-1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "--beta got '-1'" in done.stderr
    assert "Traceback" not in done.stderr
