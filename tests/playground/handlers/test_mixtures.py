"""Requests of the slider that mixes a run with its reference, without a helper process."""

from __future__ import annotations

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content import recordings
from playground.handlers.mixtures import MixtureHandlers
from playground.people.access import VisibleRuns
from playground.people.visitors import Visitors
from tests.playground.recordings import record
from tests.playground.scripted import samples

WORDS = text.load("en")
RUN = "2026-01-02-030405-ppo-reviews"  # at β = 0.7


class Helper:
    """A helper whose mixtures have the share as KL and gain."""

    def mixture(self, model, share):
        if share == 7:
            raise ConfigError(plain("--share got 7; it takes less"))
        return {"kl": share, "gain": share, "samples": samples(0.5)}


@pytest.fixture
def client(tmp_path, fake_assets):
    record(fake_assets, "bold", {"method": "ppo", "task": "reviews", "beta": 0.35})
    return Client(tmp_path / "runs")


@pytest.fixture
def mixture(client):
    visible = VisibleRuns(client, Visitors(client), None)
    handlers = MixtureHandlers(visible, Helper(), WORDS, recordings.recorded())
    return lambda share, run=RUN: handlers.mixture({"run": run, "share": share})


def ended(client, name, gain, status="finished", changed=False, **options):
    run = RunDirectory.create(client.root / name, resolve(*name.split("-")[4:6], **options))
    if changed:
        run.append({"kind": "change", "step": 1, "seconds": 1, "settings": {"beta": 9.0}})
    numbers = {"eval/kl": 1.5, "eval/gain": gain}
    run.append({"kind": "metrics", "step": 2, "seconds": 1, "metrics": numbers})
    run.append({"kind": "status", "step": 2, "seconds": 1, "status": status, "message": ""})
    run.close()


def test_a_mixture_has_the_end_of_a_run_that_was_trained_at_its_beta(mixture, client):
    ended(client, RUN, 0.3)
    assert mixture(0.5)["answers"]["trained"] is None
    others = (
        {"name": "2026-01-02-030406-ppo-reviews", "beta": 1.4, "status": "failed"},
        {"name": "2026-01-02-030407-ppo-reviews", "beta": 1.4, "changed": True},
        {"name": "2026-01-02-030408-ppo-reviews", "beta": 1.5},
        {"name": "2026-01-02-030409-dpo-reviews", "beta": 1.4},
        {"name": "2026-01-02-030410-ppo-capitals", "beta": 1.4},
        {"name": "2026-01-02-030411-ppo-reviews", "beta": 1.4, "model": "pretrained"},
    )
    for other in others:
        ended(client, gain=0.9, **other)
    assert mixture(0.5)["answers"]["trained"] is None
    ended(client, "2026-01-02-030412-ppo-reviews", 0.2, beta=1.4)
    answer = mixture(0.5)["answers"]
    assert (answer["beta"], answer["trained"]) == (1.4, {"kl": 1.5, "gain": 0.2})
    assert (answer["kl"], answer["gain"]) == (0.5, 0.5)
    assert [row["prompt"] for row in answer["rows"]] == [row["prompt"] for row in samples(0.5)]
    recorded = {"kl": 1.0, "gain": 0.8}  # as tests.playground.recordings writes it
    assert mixture(2.0)["answers"]["trained"] == recorded


def test_a_recorded_run_is_mixed_as_an_own_one(mixture, client):
    """It was trained at β = 0.35; λ = ½ is about β = 0.7, at which RUN was trained."""
    ended(client, RUN, 0.3)
    found = mixture(0.5, "recorded/bold")["answers"]
    assert (found["beta"], found["trained"]) == (0.7, {"kl": 1.5, "gain": 0.3})


def test_a_run_of_another_loss_is_not_trained_alike(mixture, client):
    run = "2026-01-02-030405-dpo-reviews"
    ended(client, run, 0.3, beta=0.5)
    ended(client, "2026-01-02-030406-dpo-reviews", 0.9, beta=1.0, loss="ipo")
    assert mixture(0.5, run)["answers"]["trained"] is None
    ended(client, "2026-01-02-030407-dpo-reviews", 0.2, beta=1.0)
    assert mixture(0.5, run)["answers"]["trained"] == {"kl": 1.5, "gain": 0.2}


def test_an_error_is_in_the_words_of_the_page(mixture):
    assert mixture(7) == {"answers": [], "errors": ["Mix, λ got 7; it takes less"]}
