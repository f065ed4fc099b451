"""A model as its difference to an embedded one: what rounding changes, which bases are refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from align_core.config import model_index
from align_core.config.model_index import DIFFERENCE
from align_core.models.difference import save_difference
from align_core.models.loading import (
    ModelError,
    load_policy,
    load_tokenizer,
    load_trainable,
    new_reward_model,
    save_model,
)
from tests import toy


@pytest.fixture
def stored(tmp_path, monkeypatch):
    """The folder of a difference between toy models; its base is the embedded model "toy"."""
    monkeypatch.setattr(model_index, "ASSETS", tmp_path / "assets")
    save_model(toy.policy(0), toy.tokenizer(), tmp_path / "assets" / "models" / "toy")
    save_model(trained(), toy.tokenizer(), tmp_path / "run")
    save_difference(str(tmp_path / "run"), "toy", tmp_path / "stored")
    return tmp_path / "stored"


def trained():
    """The base after training: each weight changed by a hundredth of its size."""
    model = toy.policy(0)
    for weight, other in zip(model.parameters(), toy.policy(1).parameters(), strict=True):
        weight.data += 0.01 * other.data
    return model


def test_each_change_is_stored_to_the_254th_part_of_the_largest(stored):
    before, after = (dict(model.named_parameters()) for model in (toy.policy(0), trained()))
    largest = max((after[name] - before[name]).abs().max().item() for name in before)
    policy = load_policy(str(stored))
    for name, weight in policy.named_parameters():
        assert (weight - after[name]).abs().max() <= largest / 254 + 1e-7, name
    assert not policy.training and policy.name_or_path == str(stored)
    learnt = (toy.outputs(trained()) - toy.outputs(toy.policy(0))).abs().max()
    assert (toy.outputs(policy) - toy.outputs(trained())).abs().max() < 0.05 * learnt


def test_it_is_a_model_like_any_other(stored):
    assert load_tokenizer(str(stored)).get_vocab() == toy.tokenizer().get_vocab()
    assert all(weight.requires_grad for weight in load_trainable(str(stored)).parameters())
    trunk = new_reward_model(str(stored), seed=0).model.state_dict()
    for name, weight in load_policy(str(stored)).model.state_dict().items():
        assert torch.equal(trunk[name], weight)
    assert not model_index.is_reward_model(str(stored))


def test_it_has_a_number_of_eight_bits_for_each_weight(stored):
    changes = load_file(stored / DIFFERENCE)
    assert {change.dtype for change in changes.values()} == {torch.int8}
    names = {path.name for path in stored.iterdir()}
    assert {"config.json", "tokenizer.json", DIFFERENCE} <= names
    assert not any(name.endswith((".bin", ".pt", ".pkl")) for name in names | {DIFFERENCE})
    assert "model.safetensors" not in names


def test_another_base_is_refused(stored, tmp_path):
    save_model(toy.policy(2), toy.tokenizer(), tmp_path / "assets" / "models" / "toy")
    got = r"got a difference to weights with hash \w{8}$"
    line = rf"expected a difference to toy, with hash \w{{8}}, {got}"
    with pytest.raises(ModelError, match=line):
        load_policy(str(stored))


def rewrite(file: Path, changes=None, **facts):
    """Write the difference again with other facts or changes."""
    with safe_open(file, "pt") as opened:
        known = opened.metadata()
    save_file(load_file(file) if changes is None else changes, file, {**known, **facts})


@pytest.mark.parametrize("base", ["../toy", "elsewhere", ""])
def test_only_an_embedded_model_is_a_base(stored, base):
    rewrite(stored / DIFFERENCE, base=base)
    with pytest.raises(ModelError, match="expected a difference to an embedded model, got one to"):
        load_policy(str(stored))


def test_changes_of_other_weights_and_damaged_files_are_refused(stored):
    for changes in ({"other.weight": torch.zeros(1)}, {"model.norm.weight": torch.zeros(3)}):
        rewrite(stored / DIFFERENCE, changes)
        with pytest.raises(ModelError, match="expected changes of weights that its base has"):
            load_policy(str(stored))
    rewrite(stored / DIFFERENCE, unit="none")
    for damaged in (None, b"", json.dumps({}).encode()):
        if damaged is not None:
            (stored / DIFFERENCE).write_bytes(damaged)
        with pytest.raises(ModelError, match="its difference.safetensors cannot be used"):
            load_policy(str(stored))
