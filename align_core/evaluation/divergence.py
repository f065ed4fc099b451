"""The divergence of a policy from its reference on sampled texts."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from transformers import PreTrainedModel

from align_core.data.encoding import Prompts
from align_core.models.frozen_trunk import FrozenTrunk
from align_core.models.logprobs import length_batches, response_outputs
from align_core.models.output_layer import Divergence, trunk_divergence
from align_core.models.reference import as_reference
from align_core.models.sampling import Interrupted, Responses
from align_core.objectives import entropy, exact_kl, token_logprobs


@torch.no_grad()
def sequence_divergence(
    policy: PreTrainedModel,
    reference: PreTrainedModel | None,
    prompts: Prompts,
    responses: Responses,
    frozen: FrozenTrunk | None,
    interrupted: Callable[[], bool],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sequence KL and entropy [B], and log-probabilities of policy and reference [B, T].

    Computed from the trunk states of the responses if the policy has a frozen trunk.

    Raises:
        Interrupted: `interrupted()` became true, which is checked before every batch.
    """
    logp, ref_logp = torch.zeros_like(responses.logp), torch.zeros_like(responses.logp)
    kl, entropies = logp.new_zeros(len(logp), dtype=torch.float64), logp.new_zeros(len(logp))
    for rows in length_batches(prompts, responses.mask):
        if interrupted():
            raise Interrupted
        part = responses[rows]
        batch = prompts[rows.cpu()], part.tokens, part.mask
        length = part.tokens.shape[1]
        if frozen is not None and part.trunk_states is not None:
            columns, _ = trunk_divergence(policy, frozen, part.trunk_states, batch)
        else:
            columns = _whole_divergence(policy, reference, batch)
        kl[rows] = (columns.kl * part.mask).sum(1)
        entropies[rows] = (columns.entropy * part.mask).sum(1)
        logp[rows, :length] = columns.logp
        ref_logp[rows, :length] = columns.ref_logp
    return kl, entropies, logp, ref_logp


def _whole_divergence(
    policy: PreTrainedModel,
    reference: PreTrainedModel | None,
    batch: tuple[Prompts, Tensor, Tensor],
) -> Divergence:
    logits = response_outputs(policy, *batch)[0]
    model, reference_mode = as_reference(policy, reference)
    with reference_mode:
        ref_logits = response_outputs(model, *batch)[0]
    return Divergence(
        token_logprobs(logits, batch[1]),
        token_logprobs(ref_logits, batch[1]),
        exact_kl(logits, ref_logits),
        entropy(logits),
    )


def same_weights(policy: PreTrainedModel, reference: PreTrainedModel | None) -> bool:
    """Whether the policy's weights equal the reference's, as before the first update.

    If `reference` is None, the reference is the policy without its adapter. It equals the policy
    while LoRA's factors B are zero, as they are at first.
    """
    if reference is None:
        factors = [p for name, p in policy.named_parameters() if "lora_B" in name]
        return bool(factors) and not any(p.any() for p in factors)
    pairs = zip(policy.parameters(), reference.parameters(), strict=True)
    return all(
        first.dtype == second.dtype and torch.equal(first, second) for first, second in pairs
    )
