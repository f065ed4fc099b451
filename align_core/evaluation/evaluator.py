"""The evaluation of every method: texts of policy and reference, with their rewards and KL.

Policy and reference are sampled at temperature 1 with the same noise, fixed by (seed, prompt,
sample, position), so that runs, steps and methods are comparable.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.data.encoding import Prompts, encode_prompts
from align_core.data.formats import Text
from align_core.evaluation.divergence import same_weights, sequence_divergence
from align_core.evaluation.metrics import Metrics, known
from align_core.evaluation.results import Evaluation, Texts, joined
from align_core.evaluation.text_pieces import text_pieces
from align_core.models import distributed
from align_core.models.best_of import BestOf
from align_core.models.frozen_trunk import FrozenTrunk, frozen_trunk
from align_core.models.loading import eval_mode
from align_core.models.realigned import Realigned
from align_core.models.reference import as_reference
from align_core.models.rewards import Reward
from align_core.models.sampling import (
    Draw,
    FixedDraw,
    Interrupted,
    Responses,
    end_ids,
    sample,
)
from align_core.optimum import ReferenceSamples


class Evaluator:
    """Evaluates policies against one reference on fixed prompts with fixed noise.

    Args:
        reference: the reference policy; None if it is the policy with its adapter disabled.
        gold, proxy: rewards; the proxy is shifted so that the reference's samples have mean 0.
        parts: the terms of the gold reward, as from `Task.parts`.
        inputs: the inputs of the models for the prompts; by default the prompts themselves.
        samples, subsets: as for `Metrics`; the attribute `metrics` computes them.
        stored: as for `Metrics`, at the same token limit.
        best_of: if given, each text of the policy is the best of several; otherwise it comes from
            the same noise as the text of the reference.
        interrupted: checked before every token; when true, the evaluation raises Interrupted.
    """

    def __init__(
        self,
        prompts: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        reference: PreTrainedModel | None,
        *,
        gold: Reward,
        proxy: Reward | None,
        parts: Callable[..., dict[str, list[float]]] = lambda *texts, **columns: {},
        inputs: Sequence[Text] | None = None,
        stored: ReferenceSamples | None,
        max_new_tokens: int,
        seed: int,
        subsets: Mapping[str, Sequence[str]] | None = None,
        samples: int = 4,
        best_of: BestOf | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._tokenizer = tokenizer
        self._reference_model = reference
        self._gold, self._proxy, self._parts = gold, proxy, parts
        self.metrics = Metrics(prompts, samples, stored, subsets or {})
        self._max_new_tokens = max_new_tokens
        self._interrupted = interrupted
        self._samples, self._best_of = samples, best_of
        self._inputs = prompts if inputs is None else inputs
        self._encoded = encode_prompts(tokenizer, self._inputs).repeat(samples)
        self._prompts, self._seed = prompts, seed
        self._share: range | None = None
        self._draw: FixedDraw | None = None
        self._reference: tuple[Responses, Texts] | None = None

    def __call__(self, policy: PreTrainedModel | Realigned) -> Evaluation:
        """Sample the policy and compare it with the reference; then restore its training mode.

        Several processes call this together: each evaluates its share of the prompts, and each
        returns the whole evaluation. If one is interrupted, all raise Interrupted.
        """

        def evaluate_share(share: range) -> Evaluation | None:
            if share != self._share:
                self._set_share(share)
            try:
                return self._evaluate_share(policy)
            except Interrupted:
                return None  # the other processes wait for a result of this one

        parts = distributed.in_shares(len(self._prompts), evaluate_share)
        if any(part is None for part in parts):
            raise Interrupted
        evaluation = joined(parts)
        if evaluation.reference.proxy is None:
            return evaluation
        proxy = evaluation.reference.proxy
        offset = proxy.mean()
        reference = policy_texts = replace(evaluation.reference, proxy=proxy - offset)
        if evaluation.policy is not evaluation.reference:
            policy_texts = replace(evaluation.policy, proxy=evaluation.policy.proxy - offset)
        return replace(evaluation, policy=policy_texts, reference=reference)

    def _set_share(self, share: range) -> None:
        """Let this process evaluate the prompts of `share`."""
        self._share, self._draw, self._reference = share, None, None
        indices = [index for index in share for _ in range(self._samples)]
        self._rows = [self._prompts[index] for index in indices]
        self._row_inputs = [self._inputs[index] for index in indices]
        rows = slice(share.start * self._samples, share.stop * self._samples)
        self._row_ids = Prompts(self._encoded.ids[rows], self._encoded.mask[rows])

    def _evaluate_share(self, policy: PreTrainedModel | Realigned) -> Evaluation:
        """The evaluation on this process's prompts; proxy rewards are not shifted yet."""
        assert self._share is not None  # `__call__` sets it
        if self._draw is None:
            # The model's vocabulary may be larger than the tokenizer's.
            width = policy.get_output_embeddings().weight.shape[0]
            prompts = [self._prompts[index] for index in self._share]
            self._draw = FixedDraw(self._seed, prompts, self._samples, self._max_new_tokens, width)
        with eval_mode(policy):
            reference_model = self._reference_model
            if reference_model is not None and reference_model.device != policy.device:
                reference_model.to(policy.device)
            frozen = frozen_trunk(policy) if reference_model is None else None
            responses, reference = self._sampled_reference(policy, frozen)
            texts = reference
            # Equal weights, as at step 0, give the same texts from the same noise.
            if self._best_of or not same_weights(policy, reference_model):
                responses = self._policy_responses(policy, frozen)
                texts = self._texts(responses)
            kl, entropies, logp, ref_logp = sequence_divergence(
                policy,
                reference_model,
                self._row_ids,
                responses,
                frozen,
                self._interrupted,
            )
        kl_bound = None
        if self._best_of is not None:
            # KL of the best to the reference = KL to the policy + E[log π/π_ref] of the best texts.
            log_ratios = ((logp - ref_logp) * responses.mask).double().sum(1)
            kl_bound = self._best_of.kl_bound + log_ratios.cpu()
            kl, entropies = (torch.full_like(values, math.nan) for values in (kl, entropies))
        return Evaluation(
            policy=texts,
            reference=reference,
            kl=kl.cpu(),
            entropy=entropies.cpu(),
            length=responses.mask.sum(1).cpu(),
            logp=_rows(logp, responses.mask),
            ref_logp=_rows(ref_logp, responses.mask),
            kl_bound=kl_bound,
        )

    def samples(self, evaluation: Evaluation, prompts: int = 8) -> list[dict]:
        """The first sample of each of the first `prompts` prompts, as in a `samples` event.

        They are sorted by the reference's gold reward, lowest first, because these prompts have the
        most to gain; and this order is the same at every step.
        """
        rows = range(0, min(prompts, len(self._prompts)) * self._samples, self._samples)
        return [
            {
                "prompt": evaluation.policy.prompts[row],
                "reference": _entry(evaluation.reference, row),
                "policy": {
                    **_entry(evaluation.policy, row),
                    "kl": evaluation.kl[row].item(),
                    "tokens": text_pieces(
                        self._tokenizer,
                        evaluation.policy.completion_ids[row],
                        evaluation.logp[row],
                        evaluation.ref_logp[row],
                        prompt=self._encoded.ids[row].tolist(),
                        text=evaluation.policy.completions[row],
                    ),
                },
            }
            for row in sorted(rows, key=lambda row: evaluation.reference.gold[row].item())
        ]

    def _sampled_reference(
        self, policy: PreTrainedModel, frozen: FrozenTrunk | None
    ) -> tuple[Responses, Texts]:
        if self._reference is None:
            model, reference_mode = as_reference(policy, self._reference_model)
            with reference_mode:
                sampled = self._sample(model, frozen)
            self._reference = sampled, self._texts(sampled)
        return self._reference

    def _policy_responses(self, policy: PreTrainedModel, frozen: FrozenTrunk | None) -> Responses:
        """The policy's texts, each the best of several if `best_of` was given."""
        if (best_of := self._best_of) is None:
            return self._sample(policy, frozen)

        def rewards(responses: Responses) -> Tensor | None:
            texts = self._texts(responses)
            return texts.proxy if best_of.by_reward_model else texts.gold

        return best_of(len(self._rows), lambda draw: self._sample(policy, frozen, draw), rewards)

    def _sample(
        self, model: PreTrainedModel, frozen: FrozenTrunk | None, draw: Draw | None = None
    ) -> Responses:
        return sample(
            model,
            self._row_ids,
            draw or self._draw,
            max_new_tokens=self._max_new_tokens,
            end_ids=end_ids(model, self._tokenizer),
            pad_id=self._tokenizer.pad_token_id,
            frozen=frozen,
            interrupted=self._interrupted,
        )

    def _texts(self, responses: Responses) -> Texts:
        ids = responses.ids()
        completions = responses.texts(self._tokenizer, self._row_ids)
        parts = self._parts(self._rows, completions, completion_ids=ids)
        parts = {name: torch.tensor(part, dtype=torch.float64) for name, part in parts.items()}
        gold = self._gold(self._rows, completions, completion_ids=ids) if not parts else None
        proxy = self._proxy and self._proxy(self._row_inputs, completions, completion_ids=ids)
        return Texts(
            self._rows,
            completions,
            ids,
            sum(parts.values()) if parts else torch.tensor(gold, dtype=torch.float64),
            None if proxy is None else torch.tensor(proxy).double(),
            parts,
        )


def _rows(values: Tensor, mask: Tensor) -> list[list[float]]:
    return [row[keep].tolist() for row, keep in zip(values, mask, strict=True)]


def _entry(texts: Texts, row: int) -> dict:
    return {
        "text": texts.completions[row],
        "gold_reward": known(texts.gold[row].item()),
        "proxy_reward": None if texts.proxy is None else texts.proxy[row].item(),
    }
