"""Runs of a plain Trainer, which a method of another package may build."""

from __future__ import annotations

import pytest
import torch
from transformers import Trainer, TrainingArguments

from tests.training.films import Run, configured, finished


class Plain(Trainer):
    """Likelihood of the chosen texts, without any class of this project; logs twice the loss."""

    def compute_loss(self, model, inputs, **_):
        loss = model(**inputs).loss
        self.log({"plain/twice": 2 * loss.item()})
        return loss


def collate(pairs):
    ids = torch.tensor([(pair["prompt_ids"] + pair["chosen_ids"])[:3] for pair in pairs])
    return {"input_ids": ids, "labels": ids}


@pytest.fixture
def build(monkeypatch):
    """A function that makes Plain the trainer of DPO, with changed arguments."""

    def build(**changes):
        def plain_trainer(setup):
            args = TrainingArguments(**setup.arguments | changes)
            return Plain(setup.model, args, collate, setup.data)

        monkeypatch.setattr("align_core.trainers.dpo.build", plain_trainer)

    return build


def test_every_step_is_logged_and_the_last_one_is_evaluated(tmp_path, build, capsys):
    build()
    run = finished(tmp_path / "run", "dpo")  # 4 steps, evaluated every 2
    assert list(run.metric("loss")) == [1, 2, 3, 4]
    assert list(run.metric("eval/kl")) == [0, 2, 4]
    assert capsys.readouterr().out == ""


def test_a_separately_logged_metric_belongs_to_the_step(tmp_path, build):
    build()
    run = finished(tmp_path / "run", "dpo")
    losses, twice = run.metric("loss"), run.metric("plain/twice")
    assert twice == pytest.approx({step: 2 * loss for step, loss in losses.items()}, rel=1e-6)


def test_a_run_without_metrics_of_its_last_step_has_failed(tmp_path, build):
    build(logging_steps=500)  # Trainer's default
    run = Run(tmp_path / "run", configured("dpo")).execute()
    assert run.status == "failed"
    assert run.events[-1]["message"] == (
        "Expected Plain to log the loss of every step, got none for step 4, so the final model was "
        "not measured. Construct it with **setup.arguments"
    )
