"""The progress of a run in a terminal."""

from __future__ import annotations

from align_core.cli.terminal import Progress


def test_evaluations_and_rollouts_are_drawn_separately(capsys):
    bar = Progress(10)
    bar.event({"kind": "metrics", "step": 2, "metrics": {"eval/gold_reward": 1.0, "eval/kl": 0.5}})
    rollout = {"objective/scores": 2.0, "objective/kl": 0.75, "eval/gain": None, "loss": -0.25}
    bar.event({"kind": "metrics", "step": 3, "metrics": rollout})
    bar.close()
    last = capsys.readouterr().err.split("\r")[-1]
    assert "3/10" in last
    assert "eval gold 1.00, eval KL 0.50, rollout score 2.00, rollout KL 0.75, loss -0.25]" in last


def test_the_time_before_the_first_number_is_explained(capsys):
    def last():
        return capsys.readouterr().err.split("\r")[-1]

    bar = Progress(10)
    assert last().startswith("loading the models: ")
    bar.event({"kind": "status", "step": 0, "status": "running", "message": ""})
    assert last().startswith("measuring the reference: ")
    bar.event({"kind": "metrics", "step": 0, "metrics": {"eval/kl": 0.0}})
    assert last().lstrip().startswith("0%|")
    bar.close()


def test_a_stopped_run_is_reported(capsys):
    bar = Progress(10)
    bar.stopping()
    assert capsys.readouterr().err.split("\r")[-1].startswith("stopping: ")
    bar.event({"kind": "status", "step": 3, "status": "stopped", "message": "SIGINT"})
    bar.close()
    assert capsys.readouterr().err.split("\r")[-1].startswith("stopped: ")
