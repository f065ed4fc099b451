"""A run that is killed with SIGKILL and resumed ends like an uninterrupted one."""

from __future__ import annotations

import shutil
import signal

import pytest
import torch

from align_core.models.loading import load_policy
from align_core.runs.directory import RunDirectory
from tests import forked

SIZE = ["--steps", "7", "--batch-size", "8", "--eval-every", "2", "--seed", "3"]
PAIRS = {"ppo": [], "dpo": ["--preference-pairs", "16"]}


@pytest.mark.slow
@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_a_killed_run_ends_like_an_uninterrupted_one(tmp_path, method):
    """On a task in a folder, whose few prompts are evaluated quickly."""
    task, whole, broken = tmp_path / "task", tmp_path / "whole", tmp_path / "broken"
    forked.run("task", "new", task)
    train = ("train", method, "--task", task, "--model", "sft-reviews", *SIZE, *PAIRS[method])
    forked.run(*train, "--run-dir", whole)
    assert forked.exit_code(*train, "--run-dir", broken, killed_at=3) == -signal.SIGKILL
    assert not (broken / "model").exists()
    # An incomplete checkpoint, from a kill while it was written, is ignored.
    newest = max((broken / "checkpoints").glob("checkpoint-*"))
    torn = newest.with_name("checkpoint-999")
    shutil.copytree(newest, torn)
    state = torn / "trainer_state.json"
    state.write_text(state.read_text()[:-40])
    forked.run("train", "--resume", broken)
    kinds = [event["kind"] for event in RunDirectory(broken).events()[0]]
    assert kinds.count("resume") == 1
    ours, theirs = (load_policy(str(path)).state_dict() for path in (whole, broken))
    for name, weights in ours.items():
        torch.testing.assert_close(theirs[name], weights, atol=1e-6, rtol=0, msg=name)
