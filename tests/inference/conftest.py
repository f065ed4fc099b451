"""A client with runs of toy models, and questions about them to the helper process."""

from __future__ import annotations

import pytest

from align_core.config.run_config import resolve
from align_core.inference.client import InferenceClient
from align_core.models import loading
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from tests import toy

RUN, SCORER = "2026-01-02-030405-ppo-reviews", "2026-01-02-030406-reward-reviews"
EMPTY = "2026-01-02-030407-dpo-reviews"
ASKED = {"task": "reviews", "models": [RUN], "prompt": "the film was", "n": 3} | {
    "temperature": 1.0,
    "seed": 0,
}
SCORED = {"task": "reviews", "model": RUN, "reference": None, "prompt": "the film was"} | {
    "completions": ["good.", "bad."]
}


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    """A client with three runs: PPO and a reward model on toy models, and a run without a model."""
    folder = tmp_path_factory.mktemp("client")
    reward, reference = folder / "reward", folder / "reference"
    loading.save_model(toy.reward_model(), toy.tokenizer(), reward)
    loading.save_model(toy.policy(5), toy.tokenizer(), reference)
    client = Client(folder / "runs")
    options = {"model": str(reference)}
    for name, method, more, model in (
        (RUN, "ppo", {"reward_model": str(reward)}, toy.policy(0)),
        (SCORER, "reward", {}, toy.reward_model()),
        (EMPTY, "dpo", {}, None),
    ):
        config = resolve(method, "reviews", **options, **more)
        run = RunDirectory.create(client.root / name, config)
        if model is not None:
            loading.save_model(model, toy.tokenizer(), run.model_path)
    return client


@pytest.fixture
def helper(client):
    """A helper for one test, which may end it."""
    helper = InferenceClient(client)
    yield helper
    helper.close()
