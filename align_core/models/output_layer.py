"""Log-probabilities, entropies and KL from an output layer, a few rows at a time.

The output layer of a model of 135 M parameters with 49,152 tokens has as many weights as eight of
its layers, and the logits of a whole rollout would take gigabytes. Shapes: N tokens, H the width of
the hidden states, V vocabulary entries.
"""

from __future__ import annotations

import logging
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.autograd import Function
from transformers import PreTrainedModel

from align_core.data.encoding import Prompts
from align_core.models import distributed
from align_core.models.frozen_trunk import FrozenTrunk, agree, two_texts
from align_core.models.loading import eval_mode
from align_core.models.logprobs import at_mask, upper_states
from align_core.models.reference import InitialWeights, as_reference
from align_core.objectives import exact_kl

_LOG = logging.getLogger(__name__)
_MAX_LOGITS = 2**22  # computed at a time: 16 MB, which a processor's cache holds


class TokenOutputs(NamedTuple):
    """Values [N] of the N predicted tokens; gradients flow through `logp` alone.

    `logp` and `entropy` of the distribution are in nats; `mean_logit` is the mean over the
    vocabulary, `most_likely` whether no other token has a larger logit.
    """

    logp: Tensor
    entropy: Tensor
    mean_logit: Tensor
    most_likely: Tensor


def token_outputs(
    head: nn.Linear, states: Tensor, tokens: Tensor, temperature: float = 1.0
) -> TokenOutputs:
    """The outputs of an output layer for hidden states [N, H] and the next tokens [N]."""
    if head.weight.requires_grad and torch.is_grad_enabled():
        outputs = _TrainedTokenOutputs.apply(states, head.weight, tokens, head, temperature)
    else:
        outputs = _TokenOutputs.apply(states, tokens, head, temperature)
    return TokenOutputs(*outputs)


def has_plain_head(policy: PreTrainedModel | PeftModel) -> bool:
    """Whether the logits of a policy are the product of its output layer and the last hidden
    states; false for a sharded policy."""
    base = policy.get_base_model() if isinstance(policy, PeftModel) else policy
    head = base.get_output_embeddings()
    # The comparison below would miss a soft cap, which hardly changes an untrained model's logits.
    settings = vars(base.config.get_text_config()).items()
    capped = any("softcap" in name and value for name, value in settings)
    if type(head) is not nn.Linear or head.bias is not None or capped or distributed.SHARDED_BY:
        return False
    inputs = two_texts(policy, head)
    try:
        with torch.no_grad(), eval_mode(policy):
            expected = policy(**inputs, use_cache=False).logits
            logits = head(base.base_model(**inputs, use_cache=False).last_hidden_state)
    except Exception as error:  # an architecture may take other arguments
        _LOG.info("%s is called whole: %r", type(base).__name__, error)
        return False
    real = inputs["attention_mask"].bool()
    return agree(logits[real], expected[real])


class _TokenOutputs(Function):
    """The gradient is computed in the forward pass, while a chunk's logits exist.

    With z = W h / τ and p = softmax(z), ∂ log p_token / ∂h = (W_token − Wᵀ p) / τ.
    """

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, tokens: Tensor, head: nn.Linear, temperature: float
    ) -> tuple[Tensor, ...]:
        columns: list[list[Tensor]] = [[], [], [], []]
        slopes = torch.zeros_like(states) if ctx.needs_input_grad[0] else None
        for rows in _chunks(len(states), head):
            logits = _logits(head, states[rows], temperature)
            chosen = logits.gather(1, tokens[rows, None]).squeeze(1)
            largest, exponentials, total = _exponentials(logits)
            normaliser = largest + total.log()
            columns[0].append(chosen - normaliser)
            columns[1].append(normaliser - _dot(exponentials, logits) / total)
            columns[2].append(logits.mean(1))
            columns[3].append(chosen >= largest)
            if slopes is not None:
                weight = head.weight
                expected = (exponentials.to(weight.dtype) @ weight).to(slopes.dtype)
                expected /= total[:, None]
                slopes[rows] = (weight[tokens[rows]].to(slopes.dtype) - expected) / temperature
        if slopes is not None:
            ctx.save_for_backward(slopes)
        outputs = tuple(torch.cat(column) for column in columns)
        ctx.mark_non_differentiable(*outputs[1:])
        return outputs

    @staticmethod
    def backward(ctx: Any, logp: Tensor, *_: Tensor) -> tuple:
        (slopes,) = ctx.saved_tensors
        return logp[:, None] * slopes, None, None, None


class _TrainedTokenOutputs(Function):
    """The outputs of an output layer that is trained as well.

    Let z = W h / τ, p = softmax(z), and g the derivative of the loss with respect to log p_token.
    With respect to W h the derivative is G = g·(1_token − p) / τ, so ∂/∂h = G W and ∂/∂W = Gᵀ h.
    The only [N, V] tensor of the forward pass that is kept is exp(z − max z), which the backward
    pass overwrites with G.
    """

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        tokens: Tensor,
        head: nn.Linear,
        temperature: float,
    ) -> tuple[Tensor, ...]:
        product = head(states)
        ctx.temperature, ctx.precision = temperature, getattr(head, "precision", product.dtype)
        logits = product.float() if temperature == 1.0 else product.float() / temperature
        chosen = logits.gather(1, tokens[:, None]).squeeze(1)
        largest, exponentials, total = _exponentials(logits)
        normaliser = largest + total.log()
        ctx.save_for_backward(states, weight, tokens, exponentials, total)
        outputs = (
            chosen - normaliser,
            normaliser - _dot(exponentials, logits) / total,
            logits.mean(1),
            chosen >= largest,
        )
        ctx.mark_non_differentiable(*outputs[1:])
        return outputs

    @staticmethod
    def backward(ctx: Any, logp: Tensor, *_: Tensor) -> tuple:
        states, weight, tokens, exponentials, total = ctx.saved_tensors
        slope = logp / ctx.temperature
        slopes = exponentials.mul_((-slope / total)[:, None])
        slopes[torch.arange(len(tokens), device=tokens.device), tokens] += slope
        slopes = slopes.to(ctx.precision)
        states_gradient = slopes @ weight.to(ctx.precision)
        weight_gradient = slopes.T @ states.to(ctx.precision)
        return states_gradient.to(states.dtype), weight_gradient.to(weight.dtype), None, None, None


class Divergence(NamedTuple):
    """Policy against reference at N tokens; every field is [N], in nats.

    Log-probabilities of the tokens under both, the exact KL, and the entropy of the policy.
    """

    logp: Tensor
    ref_logp: Tensor
    kl: Tensor
    entropy: Tensor


@torch.no_grad()
def divergence(
    head: nn.Linear, states: Tensor, ref_states: Tensor, tokens: Tensor, temperature: float = 1.0
) -> Divergence:
    """Policy against reference, from the last hidden states [N, H] of both."""
    parts = []
    for rows in _chunks(len(states), head):
        logits = _logits(head, states[rows], temperature)
        ref_logits = _logits(head, ref_states[rows], temperature)
        largest, exponentials, total = _exponentials(logits)
        normaliser = largest + total.log()
        targets = tokens[rows, None]
        parts.append(
            Divergence(
                logits.gather(1, targets).squeeze(1) - normaliser,
                ref_logits.gather(1, targets).squeeze(1) - ref_logits.logsumexp(1),
                exact_kl(logits, ref_logits),
                normaliser - _dot(exponentials, logits) / total,
            )
        )
    return Divergence(*map(torch.cat, zip(*parts, strict=True)))


@torch.no_grad()
def trunk_divergence(
    policy: PeftModel,
    frozen: FrozenTrunk,
    trunk_states: Tensor,
    batch: tuple[Prompts, Tensor, Tensor],
    temperature: float = 1.0,
    reference: InitialWeights | None = None,
) -> tuple[Divergence, Tensor]:
    """Policy against reference, from trunk states [B, P + T, H] of the texts.

    The reference is the policy with its adapter disabled, or with the initial weights `reference`.
    `batch` is prompts, tokens [B, T] and mask [B, T]. Policy and reference are computed in the same
    way, so that rounding adds no KL, even in bfloat16. Returns a `Divergence` whose fields are
    [B, T], 0 outside the mask, and the policy's last hidden states [B, T, H].
    """
    _, tokens, mask = batch
    states = upper_states(frozen, trunk_states, *batch)
    with as_reference(policy, reference)[1]:
        ref_states = upper_states(frozen, trunk_states, *batch)
    at_tokens = divergence(frozen.head, states[mask], ref_states[mask], tokens[mask], temperature)
    return Divergence(*(at_mask(mask, column) for column in at_tokens)), states


def _logits(head: nn.Linear, states: Tensor, temperature: float) -> Tensor:
    logits = head(states)
    return logits if temperature == 1.0 else logits / temperature


def _exponentials(logits: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The parts of a softmax of logits z [N, V]: max z [N], exp(z − max z) [N, V], their sums [N].

    Computed in few passes over memory.
    """
    largest = logits.amax(1)
    exponentials = (logits - largest[:, None]).exp_()
    return largest, exponentials, exponentials.sum(1)


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Σ a b over the vocabulary: two [N, V] give [N]."""
    return torch.einsum("nv,nv->n", a, b)


def _chunks(count: int, head: nn.Linear) -> list[slice]:
    size = max(16, _MAX_LOGITS // head.weight.shape[0])
    return [slice(start, start + size) for start in range(0, count, size)]
