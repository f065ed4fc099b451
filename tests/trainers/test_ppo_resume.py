"""A run that is killed with SIGKILL and resumed ends like an uninterrupted one."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from align_core.models.loading import load_policy
from align_core.runs.directory import RunDirectory

ROOT = Path(__file__).parents[2]
TRAIN = [sys.executable, "-m", "align_core", "train"]
SIZE = ["--steps", "5", "--batch-size", "8", "--eval-every", "2", "--seed", "3"]


def command(method: str, folder: Path) -> list[str]:
    return [*TRAIN, method, "--task", "reviews", "--run-dir", str(folder), *SIZE]


def reached(folder: Path, step: int) -> bool:
    if not (folder / "config.json").exists():
        return False
    return any(event["step"] >= step for event in RunDirectory(folder).events()[0])


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_a_killed_run_ends_like_an_uninterrupted_one(tmp_path, method):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    subprocess.run(command(method, whole), cwd=ROOT, check=True, capture_output=True, timeout=120)
    running = subprocess.Popen(
        command(method, broken), cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    until = time.monotonic() + 120
    while not reached(broken, 3):
        assert time.monotonic() < until and running.poll() is None
        time.sleep(0.02)
    running.send_signal(signal.SIGKILL)
    assert running.wait() == -signal.SIGKILL
    assert not (broken / "model").exists()
    # An incomplete checkpoint, from a kill while it was written, is ignored.
    newest = max((broken / "checkpoints").glob("checkpoint-*"))
    torn = newest.with_name("checkpoint-999")
    shutil.copytree(newest, torn)
    state = torn / "trainer_state.json"
    state.write_text(state.read_text()[:-40])
    subprocess.run(
        [*TRAIN, "--resume", str(broken)], cwd=ROOT, check=True, capture_output=True, timeout=120
    )
    kinds = [event["kind"] for event in RunDirectory(broken).events()[0]]
    assert kinds.count("resume") == 1
    ours, theirs = (load_policy(str(path)).state_dict() for path in (whole, broken))
    for name, weights in ours.items():
        torch.testing.assert_close(theirs[name], weights, atol=1e-6, rtol=0, msg=name)
