"""The command train: its output, its errors and what it leaves on the disk."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import fake_training
import pytest

from align_core.cli import main as cli
from align_core.cli import terminal
from align_core.runs.directory import RunDirectory
from tests.cli.conftest import ROOT


def test_train_shows_progress_and_leaves_a_run(main, tmp_path):
    code, out, err = main(
        *("train", "dpo", "--task", "reviews", "--steps", 5, "--beta", "2e-1"),
        *("--run-dir", tmp_path / "run"),
    )
    assert code == 0
    assert out == f"finished; the model is in {tmp_path / 'run' / 'model'}\n"
    assert "5/5" in err and "eval KL 0.50" in err
    assert RunDirectory(tmp_path / "run").config.beta == 0.2


def test_train_prints_the_event_lines(main, tmp_path):
    code, out, err = main(
        *(
            "train",
            "dpo",
            "--task",
            "reviews",
            "--steps",
            3,
            "--run-dir",
            tmp_path / "run",
            "--json",
        )
    )
    assert (code, err) == (0, "")
    assert out == (tmp_path / "run" / "events.jsonl").read_text()


def test_every_error_at_once_and_nothing_written(refused, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "file").touch()
    lines = refused(
        *("train", "ppp", "--task", "opera", "--beta", "-1e-3", "--steps", "nan", "--wings", "2"),
        *("--learning-rate", "-inf", "--model", "no-such", "--run-dir", tmp_path / "run"),
    )
    assert [line.split()[0] for line in lines] == [
        *("--wings", "METHOD", "--task", "--beta", "--steps", "--learning-rate"),
        *("--model", "--run-dir"),
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["assets", "run"]


def test_bad_values_write_nothing(refused, tmp_path):
    lines = refused("train", "dpo", "--task", "reviews", "--beta", 0, "--run-dir", tmp_path / "run")
    takes = "a number above 0, at most 1000 (0 itself only with ppo, rloo and grpo)"
    assert lines == [f"--beta got '0', expected {takes}"]
    assert not (tmp_path / "run").exists()


def test_missing_arguments_are_named(refused):
    lines = refused("train")
    assert [line.split(" got nothing")[0] for line in lines] == ["METHOD", "--task", "--run-dir"]


def test_preference_files_are_read_before_the_run_starts(refused, tmp_path):
    pair = {"prompt": "a", "chosen": "b", "rejected": "b"}
    (tmp_path / "pairs.jsonl").write_text(json.dumps(pair) + '\n{"torn')
    lines = refused(
        *("train", "dpo", "--task", "reviews", "--preferences", tmp_path / "pairs.jsonl"),
        *("--steps", 0, "--run-dir", tmp_path / "run"),
    )
    assert [line.split()[0] for line in lines] == ["--steps", "--preferences", "--preferences"]
    assert "line 1: chosen and rejected are the same" in lines[1]
    assert "line 2: expected a complete JSON object" in lines[2]
    assert not (tmp_path / "run").exists()


def test_bad_input_found_late_leaves_no_run(refused, tmp_path, monkeypatch):
    code = cli.main(
        ["train", "dpo", "--task", "reviews", "--json", "--seed", str(fake_training.BAD_MODEL)]
        + ["--run-dir", str(tmp_path / "run")]
    )
    assert code == 2
    assert not (tmp_path / "run").exists()


def test_only_the_files_of_a_refused_run_are_deleted(main, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refusal = ("train", "dpo", "--task", "reviews", "--seed", fake_training.BAD_MODEL, "--json")
    (tmp_path / "empty").mkdir()
    (tmp_path / "linked").mkdir()
    (tmp_path / "link").symlink_to("linked")
    (tmp_path / "here").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for run_dir in ("new", "new/a/b", "empty", "empty/a/b", "link", "."):
        if run_dir == ".":
            monkeypatch.chdir(tmp_path / "here")
        code, _, err = main(*refusal, "--run-dir", run_dir)
        assert (code, err) == (2, "--model got 'x', expected a model that loads\n"), run_dir
        assert sorted(tmp_path.rglob("*")) == before, run_dir


def test_a_begun_run_stays_after_any_failure(main, tmp_path):
    run = tmp_path / "run"
    seed = ("--seed", fake_training.BAD_INPUT)
    code, _, err = main("train", "dpo", "--task", "reviews", *seed, "--run-dir", run, "--json")
    assert code == 1 and err.startswith(f"{run}: --model got 'x'")
    assert RunDirectory(run).status()["status"] == "failed"


def test_odd_names_are_one_error_each(main, refused, tmp_path):
    run, long = ("--run-dir", tmp_path / "run"), "x" * 300
    train = ("train", "dpo", "--task", "reviews")
    (tmp_path / "deep.json").write_text("[" * 100_000)
    (tmp_path / "breaks.json").write_text('{"method": "dpo", "task": "reviews", "x\\ny": 1}')
    cases = {
        "--task": [("train", "dpo", "--task", name, *run) for name in (long, "~nosuchuser/x", "")],
        "--preferences": [
            (*train, *run, "--preferences", name) for name in (long, "~nosuchuser/x")
        ],
        "--resume": [("train", "--resume", name) for name in (long, "~nosuchuser/x")],
        "MODEL": [("evaluate", name, "--task", "reviews") for name in (long, "~nosuchuser/x")],
        "--reference": [("evaluate", "sft-reviews", "--reference", "~nosuchuser/x")],
        "--run-dir": [(*train, "--run-dir", "")],
        "--completion": [("score", "sft-reviews", "--prompt", "a", "--completion", "b", "")],
        "--preference-pairs": [
            ("train", "ppo", "--task", "reviews", *run, "--preference-pairs", "-4")
        ],
        "--x": [("train", "--config", tmp_path / "breaks.json", *run)],
        "--config": [
            (*train, "--config", tmp_path / "deep.json", *run),
            (*train, "--config", tmp_path / "deep.json", *run, "--reward-model", "x" * 2000)[:-2],
        ],
    }
    for option, commands in cases.items():
        for command in commands:
            (line,) = refused(*command)
            assert line.split()[0] == option and len(line) < 400, command
    (line,) = refused(*train, *run, "--reward-model", "x" * 2000)
    assert len(line) < 200, "a long value is cut"


def test_a_run_that_did_not_begin_leaves_nothing(main, tmp_path, monkeypatch):
    arguments = ("train", "dpo", "--task", "reviews", "--run-dir", tmp_path / "run")

    def lacks_tqdm(steps):
        raise ModuleNotFoundError("No module named 'tqdm'")

    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "align_core.training.run", None)  # makes its import fail
        code, _, err = main(*arguments, "--json")
        assert (code, err.count("\n")) == (1, 1)
        assert not (tmp_path / "run").exists()
    with monkeypatch.context() as patch:
        patch.setattr(terminal, "Progress", lacks_tqdm)
        code, _, err = main(*arguments)
        assert (code, err.count("\n")) == (1, 1) and "tqdm" in err
        assert not (tmp_path / "run").exists()
    assert main(*arguments, "--steps", 2)[0] == 0
    with monkeypatch.context() as patch:
        patch.setitem(sys.modules, "align_core.training.run", None)
        log = tmp_path / "run" / "events.jsonl"
        log.write_text("".join(log.read_text().splitlines(keepends=True)[:1]))
        assert main("train", "--resume", tmp_path / "run")[0] == 1
        assert log.is_file(), "a resumed run stays"


def test_a_configuration_is_run_again_with_changes(main, tmp_path):
    main("train", "dpo", "--task", "capitals", "--steps", 3, "--run-dir", tmp_path / "one")
    config = tmp_path / "one" / "config.json"
    main("train", "--config", config, "--run-dir", tmp_path / "two")
    assert (tmp_path / "two" / "config.json").read_text() == config.read_text()
    main("train", "--config", config, "--run-dir", tmp_path / "three", "--beta", 0.9)
    assert RunDirectory(tmp_path / "three").config.beta == 0.9
    assert RunDirectory(tmp_path / "three").config.steps == 3


@pytest.mark.parametrize("content", [None, "", "[1]", '{"method": "dpo", "wings": 2}'])
def test_a_bad_configuration_file(refused, tmp_path, content):
    file = tmp_path / "config.json"
    if content is not None:
        file.write_text(content)
    lines = refused("train", "--config", file, "--run-dir", tmp_path / "run")
    shown = f"--config got {str(file)!r}"[:70]  # a long path is cut
    assert lines[0].startswith(shown) or lines[1].startswith("--wings got 2")


def test_resume(main, tmp_path):
    run = tmp_path / "run"
    main("train", "dpo", "--task", "reviews", "--steps", 6, "--run-dir", run)
    log = run / "events.jsonl"
    log.write_text("".join(log.read_text().splitlines(keepends=True)[:6]))
    code, _, err = main("train", "--resume", run)
    assert code == 0 and "6/6" in err
    assert [event["kind"] for event in RunDirectory(run).events()[0]].count("resume") == 1


@pytest.mark.slow
def test_a_reader_may_close_the_output_early(tmp_path):
    code = (
        "import sys; sys.path += ['tests/fakes', 'tests']; import fake_training\n"
        "sys.modules['align_core.training.run'] = fake_training\n"
        "from align_core.cli.main import main; sys.exit(main(sys.argv[1:]))"
    )
    train = ["train", "dpo", "--task", "reviews", "--steps", "40", "--run-dir"]
    for name, more, stream in (("json", ["--json"], "stdout"), ("bar", [], "stderr")):
        run = tmp_path / name
        process = subprocess.Popen(
            [sys.executable, "-c", code, *train, run, *more], cwd=ROOT, **{stream: subprocess.PIPE}
        )
        getattr(process, stream).read(1)
        getattr(process, stream).close()
        assert process.wait(120) == 0
        assert RunDirectory(run).status()["status"] == "finished"
        assert (run / "model").is_dir()


def test_resume_refuses(refused, main, tmp_path):
    assert refused("train", "--resume", tmp_path)[0].startswith("--resume got ")
    run = tmp_path / "run"
    main("train", "dpo", "--task", "reviews", "--steps", 2, "--run-dir", run)
    lines = refused("train", "--resume", run, "--beta", 2)
    assert [line.split()[0] for line in lines] == ["--beta", "--resume"]
    assert "has not finished" in lines[1]
    directory = RunDirectory(run)
    directory.append(
        {"kind": "status", "step": 0, "seconds": 0.0, "status": "running", "message": ""}
    )
    assert "not already running" in refused("train", "--resume", run)[0]


@pytest.mark.parametrize(
    ("scenario", "words"),
    [
        (fake_training.DIVERGES, "step 3: the loss is NaN"),
        (fake_training.QUITS, "SystemExit: 0 (fake_training.py, line"),
        (fake_training.RAISES, "ZeroDivisionError: the fake broke (fake_training.py, line"),
    ],
)
def test_a_failed_run_is_one_line_and_exit_code_1(main, tmp_path, scenario, words):
    run = tmp_path / "run"
    arguments = ("train", "dpo", "--task", "reviews", "--seed", scenario, "--run-dir", run)
    code, _, err = main(*arguments, "--json")
    assert code == 1
    assert err.startswith(f"{run}: {words}") and err.count("\n") == 1
    assert (run / "events.jsonl").is_file()


def test_ctrl_c_stops_and_keeps_the_model(main, tmp_path):
    before = signal.getsignal(signal.SIGINT)  # SIG_IGN if the tests run in the background
    arguments = ("train", "dpo", "--task", "reviews", "--steps", 100000)
    seed = ("--seed", fake_training.PRESSES_CTRL_C)
    code, out, err = main(*arguments, *seed, "--run-dir", tmp_path / "run")
    assert code == 0
    assert out.startswith("stopped; the model is in")
    assert "stopping: " in err and "SIG" not in err
    assert (tmp_path / "run" / "model").is_dir()
    assert signal.getsignal(signal.SIGINT) is before
