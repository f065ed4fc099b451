"""PPO against an independent plain implementation, at edge cases, and over many steps."""

from __future__ import annotations

import gc
import math

import numpy as np
import pytest
import torch
from transformers import TrainerCallback

from tests import toy
from tests.trainers.test_ppo import as_rows, history, trainer

BETA, GAMMA, LAM, CLIP, VALUE_CLIP, VF, TEMPERATURE = 0.3, 0.9, 0.8, 0.1, 0.05, 0.5, 0.7


def plain_rollout(scores, logp, ref_logp, values):
    """Whitened advantages, and returns, of each episode, number by number: lists of lists."""
    advantages, returns = [], []
    for score, row, ref_row, value in zip(scores, logp, ref_logp, values, strict=True):
        rewards = [-BETA * (own - ref) for own, ref in zip(row, ref_row, strict=True)]
        rewards[-1] += score
        texts = []
        for t in range(len(row)):
            total = 0.0
            for later in range(t, len(row)):
                following = value[later + 1] if later + 1 < len(row) else 0.0
                delta = rewards[later] + GAMMA * following - value[later]
                total += (GAMMA * LAM) ** (later - t) * delta
            texts.append(total)
        advantages.append(texts)
        returns.append([a + v for a, v in zip(texts, value, strict=True)])
    flat = np.array([a for row in advantages for a in row])
    whitened = [[(a - flat.mean()) / flat.std() for a in row] for row in advantages]
    return whitened, returns


def plain_loss(now, then, advantages, values, old_values, returns):
    """PPO's two losses, averaged over tokens, from flat lists."""
    total = 0.0
    for new, old, advantage, value, old_value, target in zip(
        now, then, advantages, values, old_values, returns, strict=True
    ):
        ratio = math.exp(new - old)
        held_ratio = min(max(ratio, 1 - CLIP), 1 + CLIP)
        held_value = min(max(value, old_value - VALUE_CLIP), old_value + VALUE_CLIP)
        total -= min(ratio * advantage, held_ratio * advantage)
        total += VF * 0.5 * max((value - target) ** 2, (held_value - target) ** 2)
    return total / len(now)


def of_one(model, prompt, ids):
    """Log-probabilities and hidden states of one text, without batch, padding or cache."""
    before = toy.tokenizer()(prompt)["input_ids"]
    with torch.no_grad():
        output = model(input_ids=torch.tensor([before + ids]), output_hidden_states=True)
    logits = output.logits[0, len(before) - 1 : -1].double() / TEMPERATURE
    states = output.hidden_states[-1][0, len(before) - 1 : -1]
    logp = logits.log_softmax(-1)
    return [row[token].item() for row, token in zip(logp, ids, strict=True)], states


def test_rollout_and_loss_equal_a_plain_implementation(tmp_path):
    prompts = ["a", "the film was good and the plot was never dull the film was fine ."] * 20
    reference = toy.policy(1)
    made = trainer(
        tmp_path,
        model=toy.policy(0),
        reference=reference,
        kl_coef=BETA,
        gamma=GAMMA,
        lam=LAM,
        cliprange=CLIP,
        cliprange_value=VALUE_CLIP,
        vf_coef=VF,
        temperature=TEMPERATURE,
    )
    torch.nn.init.normal_(made.model.value_head.linear.weight, std=0.03)

    def of_all():
        rollouts = [of_one(made.policy, *text) for text in zip(prompts, ids, strict=True)]
        head = made.model.value_head
        with torch.no_grad():
            return [logp for logp, _ in rollouts], [
                head(s).squeeze(-1).tolist() for _, s in rollouts
            ]

    rollout = made._rollout(as_rows(prompts))
    ids = [row[keep].tolist() for row, keep in zip(rollout.tokens, rollout.mask, strict=True)]
    assert {len(row) for row in ids} >= {2, 8}, "short and truncated texts"
    texts = toy.tokenizer().batch_decode(ids, skip_special_tokens=True)
    scores = toy.reward(prompts, texts, ids)
    ref_logp = [of_one(reference, *text)[0] for text in zip(prompts, ids, strict=True)]
    logp, values = of_all()
    advantages, returns = plain_rollout(scores, logp, ref_logp, values)

    near = {"atol": 1e-5, "rtol": 1e-5}
    for rows, whole in (
        (logp, rollout.logp),
        (values, rollout.values),
        (advantages, rollout.advantages),
        (returns, rollout.returns),
    ):
        torch.testing.assert_close(whole[rollout.mask], torch.tensor(sum(rows, [])).float(), **near)

    with torch.no_grad():  # away from the rollout's policy, so that both clips are active
        for parameter in made.model.parameters():
            parameter.add_(0.02 * torch.randn_like(parameter))
    now, new_values = of_all()
    flat = [sum(rows, []) for rows in (now, logp, advantages, new_values, values, returns)]
    ratios = np.exp(np.array(flat[0]) - np.array(flat[1]))
    moved = np.abs(np.array(flat[3]) - np.array(flat[4]))
    assert (np.abs(ratios - 1) > CLIP).any() and (moved > VALUE_CLIP).any()
    loss = made.compute_loss(made.model, rollout).item()
    assert loss == pytest.approx(plain_loss(*flat), abs=1e-5, rel=1e-5)


def always(token: int, bonus: float):
    """A policy that samples one token almost always (with a negative bonus, never)."""
    model = toy.policy()
    model.lm_head = torch.nn.Linear(32, len(toy.WORDS))
    torch.nn.init.normal_(model.lm_head.weight, std=0.1)
    with torch.no_grad():
        model.lm_head.bias.zero_()[token] = bonus
    return model


def finite(trained):
    return all(
        math.isfinite(value)
        for entry in trained.state.log_history
        for value in entry.values()
        if isinstance(value, float)
    )


def test_responses_that_end_at_their_first_token(tmp_path):
    def reward(prompts, **_):
        return [3.0 * (prompt == "the film") for prompt in prompts]

    trained = trainer(tmp_path, model=always(0, 50.0), reward=reward, max_steps=8)
    trained.train()
    assert history(trained, "val/num_eos_tokens") == [32.0] * 2
    rollout = trained._rollout(as_rows(["the film", "a plot"] * 4))
    assert rollout.tokens.tolist() == [[0]] * 8
    # With one token and an unchanged policy, the return is the score.
    assert rollout.returns.flatten().tolist() == pytest.approx([3.0, 0.0] * 4, abs=1e-4)
    assert rollout.advantages.flatten().tolist() == pytest.approx([1.0, -1.0] * 4, abs=0.05)
    assert finite(trained)


def test_responses_that_never_end(tmp_path):
    trained = trainer(tmp_path, model=always(0, -1e4), max_steps=8)
    trained.train()
    assert history(trained, "val/num_eos_tokens") == [0.0] * 2
    rollout = trained._rollout(as_rows(["the film"] * 8))
    assert rollout.mask.all() and rollout.mask.shape == (8, 8)
    assert finite(trained)


def test_a_batch_of_one(tmp_path):
    trained = trainer(tmp_path, per_device_train_batch_size=1, num_mini_batches=1, max_steps=8)
    trained.train()
    assert trained.state.global_step == 8 and finite(trained)


@pytest.mark.slow
def test_memory_does_not_grow_over_100_steps(tmp_path):
    """At the end there are as many tensors and elements as after a fifth of the steps."""
    seen = {}

    class Count(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            if state.global_step in (20, 100):
                gc.collect()
                tensors = [
                    item for item in gc.get_objects() if issubclass(type(item), torch.Tensor)
                ]
                seen[state.global_step] = len(tensors), sum(t.nelement() for t in tensors)

    trained = trainer(
        tmp_path,
        per_device_train_batch_size=4,
        num_mini_batches=1,
        num_ppo_epochs=1,
        max_steps=100,
        value_model=toy.reward_model(),
    )
    trained.add_callback(Count())
    trained.train()
    (early, early_size), (late, late_size) = seen[20], seen[100]
    assert abs(late - early) <= 8
    assert abs(late_size - early_size) <= 0.02 * early_size
