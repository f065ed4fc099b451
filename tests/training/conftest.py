"""Toy assets for whole runs, and default runs."""

from __future__ import annotations

import copy
from functools import cache

import pyarrow
import pyarrow.parquet
import pytest
from transformers import AutoTokenizer

from align_core.config import model_index
from align_core.evaluation.reference_samples import sample_reference
from align_core.models import loading
from align_core.models.loading import new_reward_model, save_model
from align_core.models.sampled_pairs import sampled_pairs
from align_core.training import setup
from tests import toy
from tests.training.films import Films, finished

ASSETS = ("pretrained", "sft-reviews", "reward-reviews")


@pytest.fixture(scope="session")
def toy_assets(tmp_path_factory):
    """A folder with toy models, and with samples and pairs of theirs, as in the embedded assets."""
    path, task, tokenizer = tmp_path_factory.mktemp("assets"), Films(), toy.tokenizer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_index, "ASSETS", path)
        policy = toy.policy(0)
        save_model(toy.policy(1), tokenizer, path / "models" / "pretrained")
        save_model(policy, tokenizer, path / "models" / "sft-reviews")
        reward_model = new_reward_model("sft-reviews", seed=0)
        save_model(reward_model, tokenizer, path / "models" / "reward-reviews")
        for split in ("probe", "heldout"):
            stored = sample_reference(task, policy, tokenizer, task.prompts(split), 512, 0)
            file = model_index.reference_samples("reviews", split)
            file.parent.mkdir(exist_ok=True)
            stored.save(file)
        pool = model_index.preference_pool("reviews")
        pool.parent.mkdir()
        pairs = sampled_pairs(policy, tokenizer, task, 200, seed=0)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs), pool)
    return path


@pytest.fixture(scope="session")
def load():
    """`loading._load`, which reads a toy asset once and then returns copies: reading them takes
    half the time of a short run. A model without its head is always read: it gets a random one."""
    read, assets = loading._load, {}

    def load(factory, name, complete=False, **options):
        if name not in ASSETS or not (complete or factory is AutoTokenizer):
            return read(factory, name, complete=complete, **options)
        key = factory, name, *options.items()
        if key not in assets:
            assets[key] = read(factory, name, complete=complete, **options)
        return copy.deepcopy(assets[key])

    return load


@pytest.fixture(scope="module", autouse=True)
def toys(toy_assets, load):
    """The toy assets in place of the embedded ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(model_index, "ASSETS", toy_assets)
        patch.setattr(loading, "_load", load)
        patch.setattr(setup, "get_task", lambda name: Films())
        yield


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """The default run of a method, trained once for all tests."""
    return cache(lambda method: finished(tmp_path_factory.mktemp(method) / "run", method))
