"""The provenance of models, read from directories of runs that were never executed."""

from __future__ import annotations

import json
import shutil
from contextlib import closing
from pathlib import Path

import pytest

from align_core.config.model_index import locate
from align_core.config.run_config import resolve
from align_core.evaluation.provenance import beta_of, coverage_of, reference_of, reward_model_of
from align_core.runs.directory import RunDirectory


@pytest.fixture
def run(tmp_path):
    """`run(method, **options)` returns the directory of a run on capitals."""

    def create(method, **options):
        path = tmp_path / f"{method}-{len(list(tmp_path.iterdir()))}"
        directory = RunDirectory.create(path, resolve(method, "capitals", **options))
        kind = "reward" if method == "reward" else "sft"
        shutil.copytree(locate(f"{kind}-capitals"), directory.model_path)
        directory.close()
        return str(path)

    return create


def test_a_policy_is_compared_with_the_model_its_run_started_from(run):
    assert reference_of(run("dpo", model="pretrained"), "capitals") == "pretrained"
    assert reference_of(run("reward", model="pretrained"), "capitals") == "sft-capitals"
    assert reference_of("pretrained", "capitals") == "sft-capitals"


def test_ppo_covers_the_same_prompts_as_its_reward_model(run):
    reward = run("reward", coverage="Africa")
    assert coverage_of(reward) == coverage_of(run("ppo", reward_model=reward)) == "Africa"
    assert coverage_of(run("ppo")) == coverage_of("sft-capitals") == "all"


def test_a_run_names_its_reward_model(run):
    assert reward_model_of(run("ppo", reward_model="gold"), "capitals") == "gold"
    assert (
        reward_model_of(run("ppo", reward_model="reward-capitals"), "reviews") == "reward-capitals"
    )
    assert reward_model_of(run("dpo"), "capitals") is None
    assert reward_model_of("reward-capitals", "capitals") == "reward-capitals"
    assert reward_model_of("sft-capitals", "capitals") is None


def test_a_misspecified_reward_counts_on_its_own_task_only(tmp_path):
    config = resolve("ppo", "manners", model="sft-capitals", reward_model="words")
    directory = RunDirectory.create(tmp_path / "run", config)
    shutil.copytree(locate("sft-capitals"), directory.model_path)
    directory.close()
    assert reward_model_of(str(directory.path), "manners") == "words"
    assert reward_model_of(str(directory.path), "capitals") is None


def test_the_beta_of_a_run_is_its_last_one(run):
    path = run("ppo", beta=0.7)
    assert beta_of(path) == 0.7
    change = {"kind": "change", "step": 1, "seconds": 1.0, "settings": {"beta": 0.3}}
    with closing(RunDirectory(path)) as directory:
        directory.append(change | {"before": {"beta": 0.7}})
    assert beta_of(path) == 0.3
    assert beta_of(run("dpo", loss="ipo")) is None, "its β weighs something else"
    assert beta_of("sft-capitals") is None


def test_a_run_with_itself_as_its_reward_model_has_its_own_coverage(run):
    path = run("ppo")
    file = Path(path) / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"reward_model": path}))
    assert coverage_of(path) == "all"
