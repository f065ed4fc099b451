"""DPO from stored trunk states has the metrics, gradients and weights of full forward passes."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset

from align_core.models import pair_passes as passes
from align_core.models.frozen_trunk import FrozenTrunk, frozen_trunk
from align_core.models.pair_passes import PairPasses, pair_passes
from align_core.models.precision import use_bfloat16
from align_core.trainers import dpo
from tests import toy
from tests.models.test_frozen_trunk import policy_of
from tests.trainers.small_trainers import arguments, history

# Prompts and texts of several lengths, including an empty prompt and a text of one token.
PAIRS = [
    {"prompt_ids": [2, 4], "chosen_ids": [5, 6, 7, 0], "rejected_ids": [8, 0]},
    {"prompt_ids": [3], "chosen_ids": [6], "rejected_ids": [7, 8, 9]},
    {"prompt_ids": [], "chosen_ids": [2, 4, 6, 0], "rejected_ids": [2, 5, 0]},
    {"prompt_ids": [2, 4, 5], "chosen_ids": [9, 0], "rejected_ids": [5, 5, 5, 5, 5]},
]
CLOCK = {"train_runtime", "train_samples_per_second", "train_steps_per_second", "total_flos"}


def made(tmp_path, rows=PAIRS, **changes):
    few = {"lora_r": 4, "lora_layers": 1, "max_steps": 6, "per_device_train_batch_size": 2}
    return dpo.make_trainer(
        toy.policy(),
        None,
        toy.tokenizer(),
        Dataset.from_list(rows),
        beta=0.5,
        **arguments(tmp_path, **{**few, **changes}),
    )


@pytest.mark.parametrize("stored", [False, True])
def test_metrics_and_weights_are_those_of_full_passes(tmp_path, monkeypatch, stored):
    logps = {"ref_chosen_logps": -9.0, "ref_rejected_logps": -8.0} if stored else {}
    rows = [pair | logps for pair in PAIRS]
    kept = made(tmp_path / "kept", rows)
    monkeypatch.setattr(dpo, "frozen_trunk", lambda policy: None)
    whole = made(tmp_path / "whole", rows)
    assert kept._passes is not None and whole._passes is None
    for trainer in (kept, whole):
        trainer.train()
    for ours, theirs in zip(kept.state.log_history, whole.state.log_history, strict=True):
        assert ours.keys() == theirs.keys()
        for name in ours.keys() - CLOCK:
            assert ours[name] == pytest.approx(theirs[name], rel=1e-3, abs=1e-4), name
    assert (history(kept, "rewards/margins")[0] == 0) != stored
    assert abs(history(kept, "rewards/margins")[-1]) > 1e-3
    for (name, ours), theirs in zip(
        kept.model.named_parameters(), whole.model.parameters(), strict=True
    ):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3, msg=name)


@pytest.mark.parametrize("most", [2**30, 0])
def test_each_pair_goes_through_the_trunk_once_if_there_is_room(tmp_path, monkeypatch, most):
    monkeypatch.setattr(passes, "MAX_BYTES", most)
    rows, states = [], FrozenTrunk.states

    def counted(self, **inputs):
        rows.append(len(inputs["input_ids"]))
        return states(self, **inputs)

    trainer = made(tmp_path)
    monkeypatch.setattr(FrozenTrunk, "states", counted)
    trainer.train()  # three epochs of two batches
    # Without room, twice for a new pair (policy and reference) and once in each later epoch.
    assert sum(rows) == (len(PAIRS) if most else 4 * len(PAIRS))


def batch():
    """Two pairs in the format of TRL's batches: ids, mask and labels [4, 6]."""
    ids = torch.tensor([[2, 4, 5, 6, 7, 1], [3, 6, 9, 1, 1, 1],
                        [2, 4, 8, 1, 1, 1], [3, 7, 8, 9, 11, 12]])  # fmt: skip
    mask = (ids != 1).long()
    labels = ids.masked_fill(mask == 0, -100)
    labels[0, :2] = labels[2, :2] = labels[1, :1] = labels[3, :1] = -100
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def test_a_pair_in_one_row():
    packed = passes._pack(**{name: batch()[name] for name in ("input_ids", "attention_mask")},
                          labels=batch()["labels"])  # fmt: skip
    assert packed.ids.tolist() == [[2, 4, 5, 6, 7, 8, 0, 0], [3, 6, 9, 7, 8, 9, 11, 12]]
    assert packed.positions.tolist() == [[0, 1, 2, 3, 4, 2, 0, 0], [0, 1, 2, 1, 2, 3, 4, 5]]
    assert packed.mask.sum(1).tolist() == [6, 8]
    seen = (packed.attention[1, 0] == 0).int().tolist()
    assert seen[2] == [1, 1, 1, 0, 0, 0, 0, 0], (
        "a chosen token reads the prompt and the chosen text"
    )
    assert seen[4] == [1, 0, 0, 1, 1, 0, 0, 0], (
        "a rejected token reads the prompt and the rejected text"
    )


@pytest.mark.parametrize("family", ["llama", "qwen2", "gemma", "gpt-neox"])
def test_a_packed_pass_agrees_with_two_rows(family):
    policy = policy_of(family)
    ours = pair_passes(policy, frozen_trunk(policy), longest=6)(**batch()).log_probs
    ids, labels = batch()["input_ids"], batch()["labels"]
    for row in range(4):
        real = int(batch()["attention_mask"][row].sum())
        logp = policy(input_ids=ids[row : row + 1, :real]).logits[0, :-1].log_softmax(-1)
        for place, token in enumerate(labels[row, 1:real].tolist()):
            expected = 0.0 if token == -100 else logp[place, token].item()
            assert ours[row, place].item() == pytest.approx(expected, abs=2e-5)
        assert (ours[row, real - 1 :] == 0).all()


def test_no_packed_passes_if_attention_has_a_short_window():
    policy = policy_of("llama")
    policy.config.sliding_window = 5
    assert pair_passes(policy, frozen_trunk(policy), longest=6) is None
    assert pair_passes(policy, frozen_trunk(policy), longest=5) is not None


def test_in_bfloat16_a_policy_starts_at_its_reference(tmp_path):
    trainer = made(tmp_path, max_steps=2)
    use_bfloat16(trainer.model)
    trainer.train()
    assert history(trainer, "rewards/margins")[0] == 0.0
    assert isinstance(trainer._passes, PairPasses)
