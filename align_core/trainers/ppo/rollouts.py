"""Rollouts: the sampled episodes of a policy, and the batches that PPO trains on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import torch
from accelerate import Accelerator
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from align_core.data.encoding import Prompts
from align_core.models.logprobs import length_batches, response_outputs
from align_core.models.output_layer import trunk_divergence
from align_core.models.reference import InitialWeights, Reference, as_reference
from align_core.models.sampling import Responses
from align_core.models.value_model import PolicyWithValue
from align_core.objectives import entropy, exact_kl, token_logprobs
from align_core.trainers.ppo.config import RolloutConfig


@dataclass(frozen=True)
class Episodes:
    """B sampled texts of P prompt and T response tokens: episodes, or turns of episodes.

    `tokens`, `mask`, `logp`, `ref_logp`, `values` and `token_scores` are [B, T], 0 where the mask
    is false (the padding token in `tokens`); the mask is true at response tokens, the end token
    included. `ended` is [B]; `kl` and `entropy` [B] are sums over the tokens, and so is `by_reward`
    [B, R], the scores of each of R rewards. `prompt_trunk` [B, P, H] and `trunk` [B, T, H] are
    trunk states, None if no trunk is frozen. Texts with the same number in `turn_of` [B] are the
    turns of one episode; it is None if each text is an episode of its own.
    """

    prompt_ids: Tensor
    prompt_mask: Tensor
    tokens: Tensor
    mask: Tensor
    logp: Tensor
    ref_logp: Tensor
    values: Tensor
    token_scores: Tensor
    by_reward: Tensor
    ended: Tensor
    kl: Tensor
    entropy: Tensor
    prompt_trunk: Tensor | None = None
    trunk: Tensor | None = None
    turn_of: Tensor | None = None

    @property
    def scores(self) -> Tensor:
        """The score [B] of each response, in nats."""
        return self.token_scores.sum(1)

    @property
    def trunk_states(self) -> Tensor | None:
        """The trunk states [B, P + T, H] of prompts and responses."""
        if self.prompt_trunk is None or self.trunk is None:
            return None
        return torch.cat([self.prompt_trunk, self.trunk], 1)

    @classmethod
    def joined(cls, parts: list[Episodes], pad_id: int) -> Episodes:
        """Concatenate, padded to the longest: prompts on the left, responses on the right."""
        if len(parts) == 1:
            return parts[0]
        columns = {}
        for field in fields(cls):
            if getattr(parts[0], field.name) is None:
                continue
            rows = [row for part in parts for row in getattr(part, field.name)]
            if rows[0].dim() == 0:
                columns[field.name] = torch.stack(rows)
                continue
            side = "left" if field.name.startswith("prompt") else "right"
            value = pad_id if field.name in ("prompt_ids", "tokens") else 0
            columns[field.name] = pad_sequence(rows, True, value, side)
        return cls(**columns)

    def gathered(self, accelerator: Accelerator, pad_id: int, shares: list[range]) -> Episodes:
        """The episodes of all processes, in the order of their rows; `shares` has these rows for
        each process."""
        if accelerator.num_processes == 1:
            return self
        numbers = [row for share in shares for row in share]
        # If two processes have the same row, its last position counts.
        positions = {row: position for position, row in enumerate(numbers)}
        order = torch.tensor(
            [positions[row] for row in sorted(positions)], device=accelerator.device
        )
        columns = {}
        for field in fields(self):
            part = getattr(self, field.name)
            if part is None:
                continue
            if part.dim() >= 2:
                part = accelerator.pad_across_processes(
                    part.long() if part.dtype == torch.bool else part,
                    dim=1,
                    pad_index=pad_id if field.name in ("prompt_ids", "tokens") else 0,
                    pad_first=field.name.startswith("prompt"),
                )
            columns[field.name] = accelerator.gather(part)[order]
        columns["mask"] = columns["mask"].bool()
        return Episodes(**columns)


class Rollout(NamedTuple):
    """Episodes, their advantages [B, T], the β of their rewards, and the number of updates before
    them."""

    episodes: Episodes
    advantages: Tensor
    beta: float
    update: int


@dataclass(frozen=True)
class Batch:
    """Episodes to learn from: `tokens`, `mask`, `logp`, `ref_logp`, `values`, `advantages` and
    `returns` [B, T], 0 where the mask is false (the padding token in `tokens`), and the trunk
    states [B, P + T, H] of a policy with a frozen trunk.

    A minibatch is split into equal micro-batches over processes and gradient accumulation steps.
    The mean over a minibatch's tokens is the mean, over its micro-batches, of `weight` times the
    mean over the micro-batch's tokens.
    """

    prompts: Prompts
    tokens: Tensor
    mask: Tensor
    logp: Tensor
    ref_logp: Tensor
    values: Tensor
    advantages: Tensor
    returns: Tensor
    trunk_states: Tensor | None = None
    weight: float = 1.0

    def __getitem__(self, rows: Tensor) -> Batch:
        """The episodes of these rows, cut to the longest of their responses."""
        length = int(self.mask[rows].sum(1).max())
        names = ("tokens", "mask", "logp", "ref_logp", "values", "advantages", "returns")
        cut = {name: getattr(self, name)[rows, :length] for name in names}
        if self.trunk_states is not None:
            end = self.trunk_states.shape[1] - self.tokens.shape[1] + length
            cut["trunk_states"] = self.trunk_states[rows, :end]
        return Batch(prompts=self.prompts[rows], **cut)

    def micro_batches(
        self,
        minibatches: int,
        accumulation_steps: int,
        process: int,
        processes: int,
        generator: torch.Generator,
    ) -> Iterator[Batch]:
        """One epoch: this process's part of each minibatch, in `accumulation_steps` micro-batches.

        The episodes are shuffled by the generator; each micro-batch has its `weight`.
        """
        order = torch.randperm(len(self.tokens), generator=generator)
        lengths = self.mask.sum(1).cpu()
        for rows in order.tensor_split(minibatches):
            for micro_batch in rows.tensor_split(processes)[process].tensor_split(
                accumulation_steps
            ):
                share = float(lengths[micro_batch].sum() / lengths[rows].sum())
                yield replace(self[micro_batch], weight=share * accumulation_steps * processes)


def epochs(batch: Batch, args: RolloutConfig, accelerator: Accelerator, seed: int) -> list[Batch]:
    """This process's micro-batches of every minibatch of every epoch over a rollout."""
    generator = torch.Generator().manual_seed(seed)
    process, processes = accelerator.process_index, accelerator.num_processes
    accumulation_steps = args.gradient_accumulation_steps
    return [
        micro_batch
        for _ in range(args.num_ppo_epochs)
        for micro_batch in batch.micro_batches(
            args.num_mini_batches, accumulation_steps, process, processes, generator
        )
    ]


class Comparison(NamedTuple):
    """Policy against reference at each token: every field is [B, T], 0 outside the mask.

    Log-probabilities of the token under both, values, exact KL and entropy, in nats.
    """

    logp: Tensor
    ref_logp: Tensor
    values: Tensor
    kl: Tensor
    entropy: Tensor


def compare(
    model: PolicyWithValue,
    reference: Reference,
    prompts: Prompts,
    responses: Responses,
    temperature: float,
) -> Comparison:
    """Compare policy and reference on the responses, from their trunk states or, without these,
    from their logits."""
    results = Comparison(*(torch.zeros_like(responses.logp) for _ in Comparison._fields))
    for rows in length_batches(prompts, responses.mask):
        part = responses[rows]
        length = part.tokens.shape[1]
        batch = prompts[rows], part.tokens, part.mask
        if part.trunk_states is None:
            columns = _from_logits(model, reference, batch, part, temperature)
        else:
            columns = _from_trunk(model, reference, batch, part.trunk_states, temperature)
        for result, column in zip(results, columns, strict=True):
            result[rows, :length] = column * part.mask
    return results


def _from_logits(
    model: PolicyWithValue,
    reference: Reference,
    batch: tuple[Prompts, Tensor, Tensor],
    responses: Responses,
    temperature: float,
) -> Comparison:
    ref_model, reference_mode = as_reference(model.policy, reference)
    with reference_mode:
        ref_logits = response_outputs(ref_model, *batch)[0] / temperature
    return Comparison(
        responses.logp,
        token_logprobs(ref_logits, responses.tokens),
        model.values(*batch, responses.states),
        exact_kl(responses.logits, ref_logits).float(),
        entropy(responses.logits),
    )


def _from_trunk(
    model: PolicyWithValue,
    reference: InitialWeights | None,
    batch: tuple[Prompts, Tensor, Tensor],
    trunk_states: Tensor,
    temperature: float,
) -> Comparison:
    columns, states = trunk_divergence(
        model.policy, model.frozen, trunk_states, batch, temperature, reference
    )
    values = model.values(*batch, states)
    return Comparison(columns.logp, columns.ref_logp, values, columns.kl.float(), columns.entropy)
