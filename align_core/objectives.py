"""The mathematics of alignment on tensors: losses, advantages, divergences.

Every function is pure. Losses are returned per example or per token, so that the caller chooses
how to average them. Shapes: B texts, T response tokens, V vocabulary entries. A mask is true at
response tokens, the end token included, and false at padding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

_ROW_ENTRIES = 2**17  # of logits at a time: 1 MB in float64, which a processor's cache holds


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """Mean of `x` over the true entries of `mask` (same shape); a scalar."""
    return (x * mask).sum() / mask.sum()


def masked_whiten(x: Tensor, mask: Tensor, shift_mean: bool = True) -> Tensor:
    """`x` shifted and scaled to mean 0 and variance 1 over the true entries of `mask`, 0 elsewhere.

    Advantage normalisation (arXiv 2404.10719, section 5): steps no longer depend on the unit of the
    reward. Without `shift_mean` the mean is unchanged.
    """
    mean = masked_mean(x, mask)
    variance = masked_mean((x - mean) ** 2, mask)
    scaled = (x - mean) * torch.rsqrt(variance + 1e-8)
    return (scaled if shift_mean else scaled + mean) * mask


def token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    """Log-probability, in nats, of each token: logits [..., V] and tokens [...] give [...]."""
    if logits.requires_grad:  # the backward pass needs all log-probabilities anyway
        return _token_logprobs(logits, tokens.unsqueeze(-1))
    return _by_rows(_token_logprobs, logits, tokens.unsqueeze(-1))


def _token_logprobs(logits: Tensor, tokens: Tensor) -> Tensor:
    return torch.gather(logits.log_softmax(-1), -1, tokens).squeeze(-1)


def entropy(logits: Tensor) -> Tensor:
    """Entropy, in nats, of the distribution at each position: [..., V] gives [...]."""
    return _by_rows(_entropy, logits)


def _entropy(logits: Tensor) -> Tensor:
    logp = logits.log_softmax(-1)
    return -(logp.exp() * logp).sum(-1)


def exact_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """Full-vocabulary KL(policy ‖ reference), in nats, at each position: two [..., V] give [...].

    Computed in float64 and clamped at 0, so that it is never negative.
    """
    return _by_rows(_exact_kl, logits, ref_logits)


def _by_rows(function: Callable[..., Tensor], logits: Tensor, *others: Tensor) -> Tensor:
    """The result [...] of `function` on logits and other tensors [..., V], a few rows at a time.

    A few rows fit into the processor's cache, together with what the function allocates.
    """
    columns = [column.reshape(-1, column.shape[-1]) for column in (logits, *others)]
    size = max(1, _ROW_ENTRIES // logits.shape[-1])
    rows = zip(*(column.split(size) for column in columns), strict=True)
    return torch.cat([function(*part) for part in rows]).view(logits.shape[:-1])


def _exact_kl(logits: Tensor, ref_logits: Tensor) -> Tensor:
    """Σ p (z − z_ref) − log Z + log Z_ref, with z the logits and Z = Σ exp(z)."""
    z, z_ref = logits.double(), ref_logits.double()
    mean_difference = (z.softmax(-1) * (z - z_ref)).sum(-1)
    return (mean_difference - z.logsumexp(-1) + z_ref.logsumexp(-1)).clamp(min=0)


def realigned_logits(logits: Tensor, ref_logits: Tensor, share: float) -> Tensor:
    """Logits [..., V] of the distribution proportional to π_ref^(1−λ)·π^λ at each position.

    λ is `share`: 0 gives the reference, 1 the policy with its logits unchanged, and values above 1
    extrapolate beyond the policy (arXiv 2402.02992). Mixing logits is mixing log-probabilities,
    because the two differ by a constant that does not depend on the token.
    """
    return torch.lerp(ref_logits, logits, share)


def kl_estimate(logp: Tensor, ref_logp: Tensor, kind: str = "k1") -> Tensor:
    """Estimate of KL(policy ‖ reference) from the sampled tokens' log-probabilities alone.

    With log r = ref_logp − logp: k1 = −log r is noisy, k3 = (r − 1) − log r is never negative
    (Schulman, "Approximating KL divergence"). Over tokens that the policy sampled, both are
    unbiased for KL(policy ‖ reference), and for no other divergence: KL(reference ‖ policy) needs
    samples of the reference, with the arguments exchanged. As a term of the reward only k1 has the
    gradient of the KL.
    """
    log_r = ref_logp - logp
    if kind == "k1":
        return -log_r
    if kind == "k3":
        return torch.expm1(log_r) - log_r
    raise ValueError(f"expected the KL estimator 'k1' or 'k3', got {kind!r}")


def adapted_kl_coef(beta: float, kl: float, target: float, share: float) -> float:
    """β adapted to a KL target: β·(1 + clip(KL/target − 1, ±0.2)·share).

    `share` is the number of episodes since the last call, divided by the horizon (arXiv 1909.08593,
    section 2.2).
    """
    return beta * (1 + min(max(kl / target - 1, -0.2), 0.2) * share)


def bradley_terry_loss(chosen: Tensor, rejected: Tensor) -> Tensor:
    """−log σ(r(x, y_w) − r(x, y_l)) for each pair of rewards (arXiv 2305.18290, Eq. 2).

    Runs train reward models with TRL's RewardTrainer; tests compare it, and the arithmetic of the
    page, with this function.
    """
    return -F.logsigmoid(chosen - rejected)


def dpo_loss(
    chosen_logp: Tensor,
    rejected_logp: Tensor,
    ref_chosen_logp: Tensor,
    ref_rejected_logp: Tensor,
    beta: float,
) -> Tensor:
    """−log σ(r̂_w − r̂_l) with r̂ = β log(π/π_ref) for each pair (arXiv 2305.18290, Eq. 7).

    The inputs are log-probabilities of whole completions, in nats. With π = π_ref it is log 2.
    Runs train policies with TRL's DPOTrainer; tests compare it, and the arithmetic of the page,
    with this function.
    """
    chosen = beta * (chosen_logp - ref_chosen_logp)
    rejected = beta * (rejected_logp - ref_rejected_logp)
    return bradley_terry_loss(chosen, rejected)


def chipo_loss(chosen: Tensor, rejected: Tensor, beta: float, clip: float) -> Tensor:
    """−log σ(clip(β·φ(z_w) − β·φ(z_l), ±clip)) of each pair, with φ(z) = z + log z.

    `chosen` and `rejected` are log z, the log-ratios log(π/π_ref) of whole completions in nats;
    `clip` is 2 R_max (arXiv 2407.13399, Algorithm 1). Where the difference is clipped there is no
    gradient.
    """
    # e^20 is far above any clip, and finite.
    chosen, rejected = (ratio.clamp(max=20).exp() + ratio for ratio in (chosen, rejected))
    return -F.logsigmoid((beta * (chosen - rejected)).clamp(-clip, clip))


def likelihood_loss(chosen_logp: Tensor, rejected_logp: Tensor, alpha: float) -> Tensor:
    """−log π(y_w) + α log π(y_l) for each pair: the baselines of DPO (arXiv 2305.18290, section 6).

    With α = 0 it is Preferred-FT, supervised fine-tuning on the chosen texts; with α > 0 it is
    unlikelihood, which has no lower bound. The inputs are log-probabilities of completions, in
    nats.
    """
    return alpha * rejected_logp - chosen_logp


def kto_loss(log_ratios: Tensor, desirable: Tensor, kl: Tensor, beta: float) -> Tensor:
    """1 − σ(β(log(π/π_ref) − KL)) of a desirable text, 1 − σ(β(KL − log(π/π_ref))) of any other.

    Log-ratios and labels are [B]; KL, in nats, is an estimate for the whole batch, through which no
    gradient flows (arXiv 2402.01306, Eq. 8, without its weights).
    """
    signs = 2 * desirable.float() - 1
    return 1 - torch.sigmoid(signs * beta * (log_ratios - kl))


def simpo_loss(chosen: Tensor, rejected: Tensor, scale: float, margin: float) -> Tensor:
    """−log σ(β(l_w − l_l) − γ) of each pair, with l the mean log-probability of a text's tokens.

    β is `scale`, γ is `margin` (arXiv 2405.14734, Eq. 6).
    """
    return -F.logsigmoid(scale * (chosen - rejected) - margin)


def orpo_loss(chosen: Tensor, rejected: Tensor, odds_weight: float) -> Tensor:
    """−l_w − λ log σ(log odds(l_w) − log odds(l_l)) of each pair (arXiv 2403.07691, Eq. 6 and 7).

    l is the mean log-probability of a text's tokens, and odds(l) = e^l / (1 − e^l).
    """

    def log_odds(mean: Tensor) -> Tensor:
        return mean - torch.log(-torch.expm1(mean.clamp(max=-1e-6)))

    return -chosen - odds_weight * F.logsigmoid(log_odds(chosen) - log_odds(rejected))


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, beta: float) -> Tensor:
    """PPO's rewards [B, T]: −β·KL at every token, plus the score [B] at the last one.

    Scores of shape [B, T] are added at their own tokens instead. `kl` and `mask` are [B, T] (arXiv
    1909.08593, section 2; per token as in its code).
    """
    token_scores = scores if scores.dim() == 2 else at_last_token(scores, mask)
    return -beta * kl * mask + token_scores * mask


def at_last_token(scores: Tensor, mask: Tensor) -> Tensor:
    """[B, T] with the scores [B] at the last tokens of their texts, and 0 elsewhere."""
    last = mask.sum(1, keepdim=True).long() - 1
    return torch.zeros_like(mask, dtype=scores.dtype).scatter(1, last, scores[:, None])


def gae(
    rewards: Tensor,
    values: Tensor,
    mask: Tensor,
    gamma: float,
    lam: float,
    turn_of: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation: advantages and returns, both [B, T] and 0 outside the mask.

    A_t = δ_t + γλ A_{t+1} with δ_t = r_t + γ V_{t+1} − V_t (arXiv 1506.02438, Eq. 16); after the
    last token both V and A are 0. Returns are A + V.

    Texts with the same number in `turn_of` [B] are the turns of one episode, in this order: the
    last token of a turn is followed by the first token of the next, as if they were one text.
    """
    if turn_of is not None:
        return _gae_of_turns(rewards, values, mask, gamma, lam, turn_of)
    values = values * mask
    advantages = torch.zeros_like(rewards)
    ahead = torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        next_value = values[:, t + 1] if t + 1 < rewards.shape[1] else torch.zeros_like(ahead)
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        ahead = (delta + gamma * lam * ahead) * mask[:, t]
        advantages[:, t] = ahead
    return advantages, advantages + values


def _gae_of_turns(
    rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float, turn_of: Tensor
) -> tuple[Tensor, Tensor]:
    """`gae` of whole episodes, whose turns are joined into one text each."""
    order = turn_of.argsort(stable=True)
    real = mask[order]
    _, episode = turn_of[order].unique_consecutive(return_inverse=True)  # [B], from 0
    lengths = real.new_zeros(int(episode.max()) + 1, dtype=torch.long)
    lengths.index_add_(0, episode, real.sum(1))
    joined_mask = torch.arange(int(lengths.max()), device=mask.device) < lengths[:, None]

    def joined(x: Tensor) -> Tensor:
        return x.new_zeros(joined_mask.shape).masked_scatter(joined_mask, x[order][real])

    def parted(x: Tensor) -> Tensor:
        turns = torch.zeros_like(rewards)
        turns[order] = turns.masked_scatter(real, x[joined_mask])
        return turns

    advantages, returns = gae(joined(rewards), joined(values), joined_mask, gamma, lam)
    return parted(advantages), parted(returns)


def leave_one_out(rewards: Tensor, size: int) -> Tensor:
    """RLOO's advantages [B]: each reward minus the mean of the others of its group.

    A group is `size` consecutive rewards, of texts with the same prompt (arXiv 2402.14740, Eq. 6).
    """
    groups = rewards.view(-1, size)
    others = (groups.sum(1, keepdim=True) - groups) / (size - 1)
    return (groups - others).flatten()


def group_advantages(rewards: Tensor, size: int, scale: str) -> Tensor:
    """GRPO's advantages [B]: each reward minus the mean of its group, over a standard deviation.

    A group is `size` consecutive rewards, of texts with the same prompt. `scale` selects the
    standard deviation: that of the "group" (arXiv 2402.03300, section 4.1.2), that of the whole
    "batch", or "none", without a division (arXiv 2503.20783). 1e-4 is added to it, as in TRL.
    """
    groups = rewards.view(-1, size)
    advantages = groups - groups.mean(1, keepdim=True)
    if scale == "group":
        advantages = advantages / (groups.std(1, keepdim=True) + 1e-4)
    elif scale == "batch":
        advantages = advantages / (rewards.std() + 1e-4)
    return advantages.flatten()


def ppo_policy_loss(
    logp: Tensor, old_logp: Tensor, advantages: Tensor, cliprange: float
) -> tuple[Tensor, Tensor]:
    """Clipped surrogate, per token, and where the clip was active (arXiv 1707.06347, Eq. 7).

    All tensors are [B, T]. The loss is max(−A·ρ, −A·clip(ρ, 1 ± cliprange)) with
    ρ = exp(logp − old_logp).
    """
    ratio = torch.exp(logp - old_logp)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - cliprange, 1 + cliprange)
    return torch.maximum(plain, clipped), clipped > plain


def ppo_value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, cliprange: float
) -> tuple[Tensor, Tensor]:
    """Half the squared error of the value, per token, and where the clip was active.

    All tensors are [B, T]. The loss is the larger of two: with the new value, and with the new
    value clipped to the rollout's value ± cliprange (the code of arXiv 1909.08593).
    """
    clipped_values = values.clamp(old_values - cliprange, old_values + cliprange)
    plain = (values - returns) ** 2
    clipped = (clipped_values - returns) ** 2
    return 0.5 * torch.maximum(plain, clipped), clipped > plain
