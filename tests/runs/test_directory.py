"""The files of a run: its configuration, its log and its model."""

from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import time

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.run_config import resolve
from align_core.runs import directory
from align_core.runs.directory import RunDirectory
from align_core.runs.json_lines import to_line
from tests.own_thread import only_here

METRICS = {"kind": "metrics", "step": 4, "seconds": 3.2, "metrics": {"eval/kl": 0.41}}
RUNNING = {"kind": "status", "step": 0, "seconds": 0.1, "status": "running", "message": ""}


@pytest.fixture
def config(fake_assets):
    return resolve("ppo", "reviews")


@pytest.fixture
def run(tmp_path, config):
    return RunDirectory.create(tmp_path / "runs" / "one", config)


def test_create_writes_the_configuration_and_the_versions(run, config):
    content = json.loads((run.path / "config.json").read_text())
    assert content["beta"] == config.beta
    assert "torch" in content["versions"]
    assert RunDirectory.open(run.path).config == config
    assert [path.name for path in run.path.iterdir()] == ["config.json"]


def test_the_scale_of_the_reward_is_kept_beside_the_configuration(run, config):
    assert run.reward_scale is None
    run.store_reward_scale(1.5)
    assert run.reward_scale == 1.5 and run.config == config
    file = run.path / "config.json"
    content = json.loads(file.read_text())
    assert "versions" in content
    for scale in ("x", None, 0, -1, math.inf, True):
        file.write_text(json.dumps(content | {"reward_scale": scale}))
        assert run.reward_scale is None
    file.write_text(json.dumps(content | {"reward_scale": 0.25}))
    assert run.reward_scale == 0.25


def test_create_takes_an_empty_folder(tmp_path, config):
    (tmp_path / "empty").mkdir()
    RunDirectory.create(tmp_path / "empty", config)
    assert RunDirectory.open(tmp_path / "empty").config == config


def test_create_refuses_a_folder_in_use_and_leaves_it_alone(tmp_path, config):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="--run-dir got .*full.*not empty"):
        RunDirectory.create(tmp_path / "full", config)
    assert [path.name for path in (tmp_path / "full").iterdir()] == ["thesis.tex"]


def test_create_refuses_a_file_and_a_path_below_one(tmp_path, config):
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "run", file / "a" / "run", tmp_path / ("x" * 300)):
        with pytest.raises(ConfigError, match="--run-dir got"):
            RunDirectory.create(path, config)


def test_what_is_no_path_is_refused():
    for path in ("", None, 3):
        (line,) = RunDirectory.errors(path, "--out")
        expected = "a new or empty folder that can be written; this is not a path"
        got = "nothing" if path is None else repr(path)
        assert line.text == f"--out got {got}, expected {expected}"
        assert line.values["problem"] == "this is not a path"
    with pytest.raises(ConfigError, match="--out got 'a.x00b', expected a run directory: "):
        RunDirectory.open("a\0b", option="--out")


def test_a_discarded_run_takes_its_folders_with_it_and_nothing_that_a_link_leads_to(
    tmp_path, config
):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").touch()
    run = RunDirectory.create(tmp_path / "runs" / "new", config)
    run.model_path.mkdir()
    (run.model_path / "weights").touch()
    (run.path / "link").symlink_to(tmp_path / "mine")
    run.discard()
    assert not (tmp_path / "runs").exists()
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_create_refuses_an_unwritable_folder(tmp_path, config, monkeypatch):
    with pytest.raises(ConfigError, match="--run-dir got '/proc/run'"):
        RunDirectory.create("/proc/run", config)
    asked = []
    refuses = only_here(lambda _, mode: asked.append(mode), os.access)
    monkeypatch.setattr(os, "access", refuses)
    with pytest.raises(ConfigError, match="--run-dir got"):
        RunDirectory.create(tmp_path / "locked" / "run", config)
    assert not (tmp_path / "locked").exists()
    assert asked == [os.W_OK | os.X_OK], "to list a folder is not enough"


def test_create_says_why_a_folder_cannot_be_made(tmp_path, config, monkeypatch):
    def fails(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system", "/x")

    monkeypatch.setattr(directory.Path, "mkdir", fails)
    with pytest.raises(ConfigError) as error:
        RunDirectory.create(tmp_path / "new", config)
    assert error.value.lines[0].values["problem"] == "Read-only file system"


def test_open_refuses_a_folder_without_a_run(tmp_path):
    for content in (None, "{", "[]"):
        if content is not None:
            (tmp_path / "config.json").write_text(content)
        with pytest.raises(ConfigError, match="--resume got .*, expected "):
            RunDirectory.open(tmp_path, option="--resume")


def test_events_are_read_from_an_offset_on(run):
    assert run.events() == ([], 0)
    run.append(RUNNING)
    first, offset = run.events()
    run.append(METRICS)
    assert first == [RUNNING]
    assert run.events(offset)[0] == [METRICS]
    assert run.events()[0] == [RUNNING, METRICS]


def test_nan_and_infinity_become_null(run):
    run.append({**METRICS, "metrics": {"a": math.nan, "b": [math.inf, (-math.inf, 1.0)]}})
    text = run.events_path.read_text()
    assert json.loads(text, parse_constant=pytest.fail)["metrics"] == {
        "a": None,
        "b": [None, [None, 1.0]],
    }


@pytest.mark.parametrize("text", ["line\nbreak", "\u2028 \u0085 \x1c", "北京"])
def test_any_text_stays_on_one_line(run, text):
    run.append({**RUNNING, "message": text})
    run.append(RUNNING)
    assert run.events()[0] == [{**RUNNING, "message": text}, RUNNING]


def test_an_unpaired_surrogate_becomes_a_question_mark(run):
    run.append({**RUNNING, "message": "no file \udcff, \ud83d"})
    assert run.events()[0] == [{**RUNNING, "message": "no file ?, ?"}]


def test_a_torn_last_line_is_left_for_the_next_call(run):
    run.append(RUNNING)
    line = to_line(METRICS) + "\n"
    with run.events_path.open("a") as file:
        file.write(line[:20])
        file.flush()
        events, offset = run.events()
        assert events == [RUNNING]
        file.write(line[20:])
    assert run.events(offset)[0] == [METRICS]


def test_a_writer_replaces_a_torn_last_line(run):
    run.append(RUNNING)
    run.close()
    with run.events_path.open("a") as file:
        file.write('{"kind": "met')
    RunDirectory(run.path).append(METRICS)
    assert [json.loads(line) for line in run.events_path.read_text().splitlines()] == [
        RUNNING,
        METRICS,
    ]


def test_readers_skip_unknown_events(run):
    run.append({"kind": "weather", "step": 1})
    run.append({**RUNNING, "mood": "sunny"})
    with run.events_path.open("a") as file:
        file.write('not json\n[1]\n"metrics"\n')
    assert run.events()[0] == [RUNNING]


def test_a_log_that_is_too_large_is_refused(run, monkeypatch):
    run.append(RUNNING)
    monkeypatch.setattr(directory, "MAX_LOG_BYTES", run.size())
    assert RunDirectory.open(run.path).events()[0] == [RUNNING]
    monkeypatch.setattr(directory, "MAX_LOG_BYTES", run.size() - 1)
    with pytest.raises(ConfigError, match="events.jsonl cannot be read: it has over [0-9]+ bytes"):
        RunDirectory.open(run.path)


def test_changes_and_resumes_are_found_among_other_events(run):
    change = {"kind": "change", "step": 4, "seconds": 4.0, "settings": {"beta": 0.3}}
    resume = {"kind": "resume", "step": 4, "seconds": 5.0}
    named = {**RUNNING, "message": '"change" and "resume"'}
    for event in (change, RUNNING, named, METRICS, resume):
        run.append(event)
    assert run.changes() == [change, resume]


def test_the_status_is_found_at_the_end_of_a_long_log(run, monkeypatch):
    stopped = {**RUNNING, "step": 5, "status": "stopped"}
    for event in (RUNNING, METRICS, stopped, METRICS, METRICS):
        run.append(event)
    size = run.size()
    for step, tail in enumerate((1, 200, size - 1, size, size + 99), 5):
        monkeypatch.setattr(directory, "_TAIL", tail)  # the status is in it, or is not
        again = RunDirectory(run.path)
        assert again.status() == stopped and again.end("failed")["step"] == step - 1
        run.append(METRICS | {"step": step})
        assert again.status() == stopped and again.end("failed")["step"] == step


def test_the_first_status_reads_the_end_of_a_log_only(run, monkeypatch):
    for step in range(300):
        run.append(METRICS | {"step": step})
    run.append({**RUNNING, "step": 300, "status": "finished"})
    monkeypatch.setattr(directory, "_TAIL", 500)
    monkeypatch.setattr(RunDirectory, "events", lambda *_: pytest.fail("the whole log was read"))
    assert RunDirectory(run.path).status()["status"] == "finished"


def test_the_events_after_the_last_status_are_in_their_order(run):
    run.append(RUNNING)
    later = [METRICS | {"step": step} for step in (5, 6, 7)]
    for event in later:
        run.append(event)
    assert [event["step"] for event in RunDirectory(run.path)._tail()] == [RUNNING["step"], 5, 6, 7]


def test_open_refuses_an_unreadable_run(run):
    run.events_path.mkdir()
    with pytest.raises(ConfigError, match="--run-dir got .*events.jsonl cannot be read: Is a dir"):
        RunDirectory.open(run.path)
    (run.path / "config.json").write_text("[" * 100_000)
    with pytest.raises(ConfigError, match="--run-dir got .*, expected the config.json of a run"):
        RunDirectory.open(run.path)


def test_the_last_status_counts_and_a_resumed_run_is_running(run):
    assert run.status() is None
    run.append(RUNNING)
    run.append(METRICS)
    run.append({**RUNNING, "step": 5, "status": "stopped"})
    assert run.status()["status"] == "stopped"
    run.append({"kind": "resume", "step": 4, "seconds": 4.0})
    assert run.status()["status"] == "running"
    assert RunDirectory(run.path).status()["status"] == "running"


def test_a_failure_has_the_last_step(run):
    run.append(RUNNING)
    run.append(METRICS)
    assert RunDirectory(run.path).end("failed", plain("broke")) == {
        "kind": "status",
        "step": 4,
        "seconds": 3.2,
        "status": "failed",
        "message": "broke",
    }


def test_one_writer_at_a_time(run, monkeypatch):
    assert not run.is_being_written()
    run.append(RUNNING)
    assert run.events_path.stat().st_mode & 0o444 == 0o444, "another user may read it"
    assert not run.events_path.stat().st_mode & 0o133, "and not write it"
    waits = []
    monkeypatch.setattr(time, "sleep", only_here(waits.append, time.sleep))
    other = RunDirectory(run.path)
    assert other.is_being_written()
    with pytest.raises(BlockingIOError, match="Another process is writing this run"):
        other.append(METRICS)
    assert waits == [0.01] * 10, "a reader and a writer look five times"
    run.close()
    assert not other.is_being_written()
    other.append(METRICS)


def test_a_disk_that_fills_up_leaves_whole_lines(run, monkeypatch):
    """A limit on the file's size makes the system truncate a real write."""
    run.append(RUNNING)
    run.close()
    script = (
        "import resource, sys\n"
        "from align_core.runs.directory import RunDirectory\n"
        "run = RunDirectory(sys.argv[1])\n"
        "size = run.events_path.stat().st_size\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (size + 40, size + 40))\n"
        "try:\n"
        "    run.append({'kind': 'metrics', 'step': 1, 'metrics': {'loss': 0.125} } | "
        "{'x' * 99: 1})\n"
        "except OSError:\n"
        "    sys.exit(7)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, run.path], cwd=os.getcwd())
    assert done.returncode == 7
    assert run.events_path.read_text() == to_line(RUNNING) + "\n"


def test_a_line_that_is_written_in_parts_is_whole_or_absent(run, monkeypatch):
    run.append(RUNNING)
    write = os.write
    monkeypatch.setattr(os, "write", only_here(lambda log, line: write(log, line[:7]), write))
    run.append(METRICS)
    assert run.events()[0] == [RUNNING, METRICS]
    parts = iter([3, 0])

    def fails(log, line):
        if not (size := next(parts)):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(log, line[:size])

    size = run.size()
    monkeypatch.setattr(os, "write", only_here(fails, write))
    with pytest.raises(OSError, match="No space"):
        run.append(METRICS)
    assert run.size() == size


def test_versions_have_only_installed_packages(monkeypatch):
    monkeypatch.setattr(directory, "_PACKAGES", ("pydantic", "no-such-package"))
    assert list(directory._versions()) == ["pydantic"]


def test_a_name_that_is_not_utf8_is_refused(tmp_path):
    (line,) = RunDirectory.errors(tmp_path / "r\udcff")
    assert "--run-dir got" in line.text and "surrogates not allowed" in line.text
    assert [*tmp_path.iterdir()] == []
