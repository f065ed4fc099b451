"""The models that come with recorded runs are those of the runs."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from align_core.config.model_index import RECORDED, recorded, run_of
from align_core.evaluation.provenance import beta_of, reference_of
from align_core.inference import in_process, mixtures
from align_core.inference.client import InferenceClient
from align_core.runs.directory import RunDirectory
from align_core.runs.events import of_kind
from benchmarks.presets import MODELS


def test_they_are_those_of_the_presets():
    assert [*recorded()] == sorted(f"{RECORDED}{name}" for name in MODELS)


@pytest.mark.parametrize("model", recorded())
def test_a_model_gives_the_recorded_texts_their_recorded_probabilities(model):
    """Rounded weights, and sums in another order, change log-probabilities by far less than
    training did."""
    run = RunDirectory.open(run_of(model))
    samples = of_kind(run.events()[0], "samples")[-1]["samples"]
    differences, trained = [], []
    for sample in samples:
        text = sample["policy"]
        (scored,) = in_process.score(model, sample["prompt"], text["text"], [])
        for before, now in zip(text["tokens"], scored["tokens"], strict=False):
            assert (before["text"], before["ref_logp"]) == (
                now["text"],
                pytest.approx(now["ref_logp"], abs=1e-4),
            )
            differences.append(abs(before["logp"] - now["logp"]))
            trained.append(abs(before["logp"] - before["ref_logp"]))
    assert max(differences) < 0.1, "nats"
    assert sum(differences) < 0.02 * sum(trained)


@pytest.mark.slow
def test_a_recorded_model_is_mixed_with_its_reference(monkeypatch):
    """At λ = 1 it is the recorded policy, measured again; at λ = 0 the reference."""
    client = InferenceClient(SimpleNamespace())
    monkeypatch.setattr(client, "_query", lambda query, given: getattr(mixtures, query)(**given))
    ends = of_kind(RunDirectory.open(run_of("recorded/healthy-dpo")).events()[0], "metrics")
    recorded_end = [event["metrics"] for event in ends if "eval/kl" in event["metrics"]][-1]
    end = client.mixture(model="recorded/healthy-dpo", share=1.0)
    assert end["kl"] == pytest.approx(recorded_end["eval/kl"], abs=0.02)
    assert end["gain"] == pytest.approx(recorded_end["eval/gain"], abs=0.02)
    start = client.mixture(model="recorded/healthy-dpo", share=0.0)
    assert (start["kl"], start["gain"]) == (pytest.approx(0, abs=1e-6), pytest.approx(0, abs=1e-6))


def test_a_recorded_model_has_the_reference_and_the_beta_of_its_run():
    assert reference_of("recorded/reward-hacking", "capitals") == "sft-capitals"
    assert beta_of("recorded/reward-hacking") == 0.1
