"""Runs from scripts and notebooks: `train`, `load_run` and the methods of a run."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import fake_training
import numpy as np
import pytest

from align_core import ConfigError, inference, load_run, load_task, train, training
from align_core.cli import main as cli
from align_core.runs.directory import RunDirectory
from tests.stub_weights import NO_TENSORS


@pytest.fixture(autouse=True)
def no_model(fake_assets, monkeypatch):
    """Replaces training, and queries by functions that return their arguments."""
    monkeypatch.setitem(sys.modules, "align_core.training.run", fake_training)
    monkeypatch.setattr(training, "run", fake_training, raising=False)
    answers = SimpleNamespace(
        evaluate=lambda model, **arguments: {"arguments": {"model": model, **arguments}},
        generate=lambda model, **arguments: [{"arguments": {"model": model, **arguments}}],
        score=lambda *arguments: [{"arguments": arguments}],
    )
    monkeypatch.setitem(sys.modules, "align_core.inference.queries", answers)
    monkeypatch.setattr(inference, "queries", answers, raising=False)


@pytest.fixture
def written(tmp_path):
    """written(*events) returns a run with these events in its log."""

    def written(*events):
        run = train("dpo", task="reviews", steps=1, run_dir=tmp_path / "run")
        (run.path / "events.jsonl").write_text("".join(f"{json.dumps(e)}\n" for e in events))
        return load_run(run.path)

    return written


def metrics(step, **values):
    return {"kind": "metrics", "step": step, "seconds": 0.0, "metrics": values}


def test_a_run_equals_that_of_the_command_line(tmp_path, capsys):
    run = train("dpo", task="reviews", beta=0.2, steps=3, run_dir=tmp_path / "one")
    assert "3/3" in capsys.readouterr().err, "the progress bar"
    options = ["--task", "reviews", "--beta", "0.2", "--steps", "3"]
    assert cli.main(["train", "dpo", *options, "--run-dir", str(tmp_path / "two")]) == 0
    assert run.config == RunDirectory(tmp_path / "two").config
    logged = [load_run(tmp_path / name)._events("metrics") for name in ("one", "two")]
    assert [e["metrics"] for e in logged[0]] == [e["metrics"] for e in logged[1]]
    assert repr(run) == f"Run({str(tmp_path / 'one')!r}: dpo on reviews, finished)"


def test_every_error_in_one_exception_and_nothing_written(tmp_path, capsys):
    wrong = {"task": "opera", "beta": "-1", "wings": 2, "run_dir": None}
    with pytest.raises(ConfigError) as error:
        train("ppp", **wrong)
    code = cli.main(["train", "ppp", "--task", "opera", "--beta", "-1"])
    lines = [str(line) for line in error.value.lines]
    assert code == 2
    assert str(error.value) == "\n".join(lines)
    lines.remove("--wings got 2; there is no such option")
    assert lines == capsys.readouterr().err.splitlines()
    with pytest.raises(ConfigError, match="--run-dir"):
        load_run(tmp_path)
    assert not any(tmp_path.glob("run*"))


def test_a_failed_run_is_reported_and_stays(tmp_path):
    with pytest.raises(RuntimeError, match="the fake broke"):
        train("dpo", task="reviews", seed=fake_training.RAISES, steps=5, run_dir=tmp_path / "run")
    assert list(load_run(tmp_path / "run").metrics.index) == [1, 2]


def test_ctrl_c_stops_and_keeps_the_model(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    options = {"steps": 100_000, "seed": fake_training.PRESSES_CTRL_C}
    run = train("dpo", task="reviews", **options, run_dir=tmp_path / "run")
    assert "stopped" in repr(run) and (run.path / "model").is_dir()
    assert signal.getsignal(signal.SIGINT) is before


def test_a_thread_may_train(tmp_path):
    options = {"task": "reviews", "steps": 2, "run_dir": tmp_path / "run"}
    thread = threading.Thread(target=train, args=("dpo",), kwargs=options)
    thread.start()
    thread.join()
    assert "finished" in repr(load_run(tmp_path / "run"))


def test_one_row_per_step_without_those_voided_by_a_resume(written):
    run = written(
        metrics(0, **{"eval/kl": 0.0}),
        metrics(1, loss=3.0),
        metrics(2, loss=2.0),
        metrics(2, **{"eval/kl": 0.5, "eval/gain": None}),
        metrics(2, **{"eval/kl": None}),
        metrics(3, loss=9.0),
        {"kind": "resume", "step": 2, "seconds": 1.0},
        metrics(3, loss=1.0),
    )
    table = run.metrics
    assert table.index.name == "step" and list(table.index) == [0, 1, 2, 3]
    assert list(table["loss"].dropna()) == [3.0, 2.0, 1.0]
    assert table.loc[2, "eval/kl"] == 0.5 and np.isnan(table.loc[1, "eval/kl"])
    assert table.dtypes.eq(float).all() and table["eval/gain"].isna().all()
    shutil.rmtree(run.path)
    assert written().metrics.empty


def test_all_changes_at_one_step_are_kept(written):
    def change(step, **settings):
        return {"kind": "change", "step": step, "seconds": 1.0, "settings": settings}

    run = written(change(2, beta=0.5, learning_rate=0.1), change(2, beta=0.3), change(4, beta=0.2))
    assert run._changes() == {2: {"beta": 0.3, "learning_rate": 0.1}, 4: {"beta": 0.2}}


def test_a_run_without_a_process_is_not_running(written):
    running = {"kind": "status", "step": 3, "seconds": 1.0, "status": "running", "message": ""}
    run = written(running)
    assert repr(run).endswith("dpo on reviews, running when its process ended)")
    writer = RunDirectory(run.path)
    writer.append({**running, "step": 4})
    assert repr(run).endswith("dpo on reviews, running)")
    writer.append({**running, "step": 4, "status": "stopped"})
    writer.close()
    assert repr(run).endswith("dpo on reviews, stopped)")


def test_samples_are_those_of_a_measured_step(written):
    texts = {"reference": {"text": "x"}, "policy": {"text": "y", "tokens": []}}
    one, two = [{"prompt": "a", **texts}], [{"prompt": "b", **texts}]
    sampled = {"kind": "samples", "seconds": 0.0}
    run = written({**sampled, "step": 0, "samples": one}, {**sampled, "step": 20, "samples": two})
    assert run.samples() == two == run.samples(step=20) and run.samples(step=0) == one
    with pytest.raises(ValueError, match=r"expected one of the steps \[0, 20\], got 7"):
        run.samples(step=7)


def test_queries_of_a_runs_model_pass_their_arguments(tmp_path):
    run = train("dpo", task="capitals", steps=1, run_dir=tmp_path / "run")
    model = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (run.path / "model" / "config.json").write_text(json.dumps(model))
    (run.path / "model" / "model.safetensors").write_bytes(NO_TENSORS)
    path = str(run.path)
    arguments = run.evaluate(prompts=8, coverage="Asia", realign=2)["arguments"]
    unused = dict.fromkeys(("reference", "best_of", "reward_model", "beta", "samples"))
    assert arguments == unused | {
        **{"model": path, "task": "capitals", "prompts": 8, "seed": 0},
        **{"coverage": "Asia", "realign": 2.0},
    }
    arguments = run.generate("Q?", n=2)[0]["arguments"]
    assert arguments == dict.fromkeys(("realign", "best_of", "reward_model")) | {
        **{"model": path, "task": "capitals", "prompts": ["Q?"]},
        **{"n": 2, "temperature": 1.0, "seed": 0},
    }
    several = run.generate(["Q?", "P?"], seed=5, realign=0.5)[0]["arguments"]
    assert several == arguments | {"prompts": ["Q?", "P?"], "n": 4, "seed": 5, "realign": 0.5}
    best = run.generate("Q?", n=2, best_of=4)[0]["arguments"]
    assert best == arguments | {"best_of": 4}
    assert len(run.generate()[0]["arguments"]["prompts"]) == 8, "of the probe prompts"
    assert run.score("Q?", "A.")[0]["arguments"] == (path, "capitals", "Q?", ["A."])
    with pytest.raises(ConfigError) as error:
        run.generate("", n=0, temprature=2)
    assert [str(line).split()[0] for line in error.value.lines] == [
        "-n",
        "--temprature",
        "--prompt",
    ]
    with pytest.raises(ConfigError, match="MODEL"):
        (run.path / "model" / "config.json").unlink()
        run.evaluate()


def test_dir_lists_names_before_their_import():
    import align_core

    assert {"train", "load_run", "PPOTrainer"} <= set(dir(align_core))
    assert Path(align_core.__file__).parent.name == "align_core"


def test_a_value_of_the_wrong_type_is_one_error(tmp_path, written):
    run = written()
    model = {"model_type": "llama", "architectures": ["LlamaForCausalLM"]}
    (run.path / "model" / "config.json").write_text(json.dumps(model))
    (run.path / "model" / "model.safetensors").write_bytes(NO_TENSORS)
    new = {"method": "dpo", "task": "reviews", "run_dir": tmp_path / "new"}
    calls = {
        "--run-dir": [
            lambda: train("dpo", task="reviews", run_dir=5),
            lambda: train("dpo", task="reviews", run_dir=""),
            *(lambda path=path: load_run(path) for path in (None, 5, "x\0", "x" * 5000)),
        ],
        "--task": [*(lambda name=name: load_task(name) for name in (None, 5, "x\0.py"))],
        "--preferences": [lambda: train(**new, preferences=5)],
        "--steps": [lambda: train(**new, steps=10**5000)],
        "--freeze-trunk": [lambda: train(**new | {"method": "reward"}, freeze_trunk=np.ones(2))],
        "--coverage": [lambda: train(**new, coverage=np.ones(2))],
        "--model": [
            *(lambda name=name: train(**new, model=name) for name in ("~nosuchuser/x", "x" * 300))
        ],
        "--reference": [lambda: run.evaluate(reference=5)],
        "--prompt": [lambda: run.generate(5), lambda: run.generate([]), lambda: run.score(5, "a")],
        "--completion": [
            *(lambda texts=texts: run.score("x", texts) for texts in ([5], [""], [], None)),
            lambda: run.score("x", "\ud800"),
        ],
    }
    for option, all_calls in calls.items():
        for call in all_calls:
            with pytest.raises(ConfigError) as error:
                call()
            (line,) = error.value.lines
            assert line.text.startswith(f"{option} got ") and len(line.text) < 400, option
    with pytest.raises(ConfigError) as error:
        run.score(None, None)
    assert [line.text.split()[0] for line in error.value.lines] == ["--prompt", "--completion"]
    for call in (lambda: run.samples([1]), lambda: run.plot("x"), lambda: run.plot(None)):
        with pytest.raises(ValueError, match="^expected .*, got "):
            call()
    assert not (tmp_path / "new").exists()
