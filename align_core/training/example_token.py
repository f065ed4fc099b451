"""One real token of PPO's latest rollout, with every number that its equations need.

It is computed at every evaluation, and costs the policy a forward pass over one text.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from align_core.data.encoding import Prompts, decode
from align_core.models.logprobs import logprobs
from align_core.objectives import gae, kl_estimate, masked_mean, token_rewards
from align_core.trainers.ppo.trainer import PPOTrainer


def whitening(earned: Tensor, kl_ahead: Tensor, mask: Tensor) -> dict[str, float]:
    """The moments that give mean and variance of a rollout's advantages at any β.

    An advantage is A = e − βk: e (`earned`) is the advantage without a KL term, and k (`kl_ahead`)
    is the estimated KL from this token on, discounted like advantages. With γ = λ = 1, e is the
    text's score minus the value before the token, and k is a sum. Over all tokens, mean A =
    mean e − β mean k and var A = var e − 2β cov(e, k) + β² var k. All arguments are [B, T].
    """
    e, k = masked_mean(earned, mask), masked_mean(kl_ahead, mask)
    return {
        "mean_earned": e.item(),
        "mean_kl": k.item(),
        "var_earned": masked_mean((earned - e) ** 2, mask).item(),
        "cov": masked_mean((earned - e) * (kl_ahead - k), mask).item(),
        "var_kl": masked_mean((kl_ahead - k) ** 2, mask).item(),
    }


_NOT_WHITENED = {"mean_earned": 0.0, "mean_kl": 0.0, "var_earned": 1.0, "cov": 0.0, "var_kl": 0.0}


@torch.no_grad()
def example_token(
    trainer: PPOTrainer, position: tuple[int, int] | None = None
) -> dict[str, Any] | None:
    """A token of the trainer's latest rollout, as docs/metrics.md describes.

    None before the first rollout, and for a trainer on groups, which has no values.

    `position` is its episode and its index in the text. By default it is the token whose
    probability the updates changed most, in the first text that ended by itself. All processes of a
    run choose the same token; each needs all weights (`sharding.unsharded`).
    """
    if trainer.latest is None or not trainer.model.has_values:
        return None
    episodes, advantages, beta, update = trainer.latest
    args, mask = trainer.args, episodes.mask
    kl = kl_estimate(episodes.logp, episodes.ref_logp, args.kl_estimator) * mask
    scored = token_rewards(episodes.token_scores, kl, mask, 0.0)
    ahead, _ = gae(kl, torch.zeros_like(kl), mask, args.gamma, args.lam)
    earned, score_returns = gae(scored, episodes.values, mask, args.gamma, args.lam)

    row, index = position or (int(episodes.ended.int().argmax()), None)
    text = mask[row].nonzero().squeeze(1)
    ids = episodes.tokens[row, text].tolist()
    prompt = Prompts(episodes.prompt_ids[row : row + 1], episodes.prompt_mask[row : row + 1])
    trainer.policy.eval()
    (new_logp,) = logprobs(trainer.policy, prompt, [ids], args.temperature)
    logp, ref_logp = episodes.logp[row, text], episodes.ref_logp[row, text]
    if index is None:
        words = max(1, len(text) - int(episodes.ended[row]))  # the end token is not shown
        index = int((new_logp - logp)[:words].abs().argmax())

    tokenizer = trainer.processing_class
    names = "text", "logp", "ref_logp", "new_logp"
    prompt_ids = prompt.ids[0].tolist()
    beginnings = decode(
        tokenizer, [prompt_ids] * len(ids), [ids[:end] for end in range(1, len(ids) + 1)]
    )
    texts = [after[len(before) :] for before, after in pairwise(["", *beginnings])]
    columns = zip(texts, logp.tolist(), ref_logp.tolist(), new_logp.tolist(), strict=True)
    return {
        "prompt": tokenizer.decode(prompt.ids[0][prompt.mask[0].bool()]),
        "tokens": [dict(zip(names, column, strict=True)) for column in columns],
        "place": index,
        "score": score_returns[row, index].item(),
        "ahead": ahead[row, index].item(),
        "value": episodes.values[row, index].item(),
        "advantage": advantages[row, index].item(),
        "whitening": whitening(earned, ahead, mask) if args.whiten_advantages else _NOT_WHITENED,
        "clip": args.cliprange,
        "lam": args.lam,
        "beta": beta,
        "rollout": update // args.updates_per_rollout + 1,
        "updates": trainer.state.global_step - update,
    }
