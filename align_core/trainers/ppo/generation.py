"""The responses of a rollout, sampled here, or by vLLM with the policy's weights."""

from __future__ import annotations

import importlib.util
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor

from align_core.data.encoding import Prompts, pad_responses
from align_core.models import distributed
from align_core.models.logprobs import length_batches, response_outputs
from align_core.models.sampling import RandomDraw, Responses, sample
from align_core.models.truncation import StopStrings, TruncatedDraw
from align_core.objectives import token_logprobs

if TYPE_CHECKING:
    from align_core.trainers.ppo.trainer import PPOTrainer


class Generator(Protocol):
    """Writes responses elsewhere; the interface of TRL's `VLLMGeneration`."""

    def sync_weights(self) -> None:
        """Hand the policy's weights over."""

    def generate(
        self, prompts: list[list[int]], images: None, num_generations: int
    ) -> tuple[Any, list[list[int]], list[list[list[float]]], Any]:
        """A tuple: its second item is the token ids of a response to each prompt, its third the
        log-probability of each token, as a list of one number."""


def check_generator(args: Any, policy_name: str) -> None:
    """Check that vLLM is installed, if it is to sample, and that it can load the policy.

    Raises:
        ImportError: vLLM is not installed.
        ValueError: vLLM cannot load the policy.
    """
    if args.generator == "transformers":
        return
    if importlib.util.find_spec("vllm") is None:
        line = "generator got 'vllm', expected 'transformers', or vllm to be installed"
        raise ImportError(f"{line}: pip install vllm, where there is a GPU")
    if not policy_name or distributed.SHARDED_BY:
        got = (
            f"one sharded by {distributed.SHARDED_BY}"
            if distributed.SHARDED_BY
            else "one without a name"
        )
        line = f"expected a policy from a folder or the hub for generator='vllm', got {got}"
        raise ValueError(f"model: {line}")


def vllm_generator(trainer: PPOTrainer) -> Generator | None:
    """vLLM, beside the policy on its device; None if this process samples."""
    args = trainer.args
    if args.generator == "transformers":
        return None
    from trl.generation.vllm_generation import VLLMGeneration

    ends: dict[str, Any] = {"ignore_eos": True, "stop_token_ids": [*trainer.ends]}
    if args.stop_strings:
        ends |= {"stop": args.stop_strings, "include_stop_str_in_output": True}
    return VLLMGeneration(
        trainer.policy,
        trainer.accelerator,
        trainer.processing_class,
        gpu_memory_utilization=args.vllm_gpu_memory_utilization,
        temperature=args.temperature,
        top_p=1.0 if args.top_p is None else args.top_p,
        top_k=args.top_k or 0,
        max_completion_length=args.response_length,
        generation_kwargs=ends,
    )


def respond(trainer: PPOTrainer, prompts: Prompts, draw: RandomDraw) -> Responses:
    """A response to each prompt, with the outputs of the policy that the comparison with the
    reference and the losses need."""
    trainer.phases.write(prompts)
    responses = _responses(trainer, prompts, draw)
    trainer.phases.score(prompts, responses)
    return responses


def _responses(trainer: PPOTrainer, prompts: Prompts, draw: RandomDraw) -> Responses:
    args, model = trainer.args, trainer.model
    if trainer.generator is not None:
        ids, logprobs = trainer.generator.generate(prompts.real(), None, 1)[1:3]
        responses = recomputed(trainer, prompts, ids)
        generator_logps = [[token[0] for token in row] for row in logprobs]
        padded = torch.nn.utils.rnn.pad_sequence(
            [torch.tensor(row) for row in generator_logps], True
        )
        difference = (padded.to(responses.logp.device) - responses.logp)[responses.mask].abs()
        trainer.logp_differences.append(difference)
        return responses
    frozen = model.frozen if trainer.ref_model is None else None
    return sample(
        trainer.policy,
        prompts,
        TruncatedDraw(draw, args.top_k, args.top_p),
        max_new_tokens=args.response_length,
        end_ids=trainer.ends,
        pad_id=trainer.pad_id,
        temperature=args.temperature,
        keep_logits=frozen is None,
        keep_states=frozen is None and model.value_model is None,
        frozen=frozen,
        stops=trainer.stops,
    )


def recomputed(trainer: PPOTrainer, prompts: Prompts, ids: list[list[int]]) -> Responses:
    """Responses that were written elsewhere, with the log-probabilities of the policy here."""
    model, temperature = trainer.model, trainer.args.temperature
    tokens, mask = (part.to(model.device) for part in pad_responses(ids, trainer.pad_id))
    outputs: dict[str, Tensor] = {}
    for rows in length_batches(prompts, mask):
        width = int(mask[rows].sum(1).max())
        real = mask[rows, :width]
        part = tokens[rows, :width]
        logits, states = response_outputs(
            model.policy, prompts[rows], part, real, hidden=model.value_model is None
        )
        logits = logits / temperature
        columns = {"logp": token_logprobs(logits, part), "logits": logits, "states": states}
        for name, column in columns.items():
            if column is not None:
                if name not in outputs:
                    outputs[name] = column.new_zeros(*mask.shape, *column.shape[2:])
                shape = real.shape + (1,) * (column.dim() - 2)
                outputs[name][rows, :width] = column * real.view(shape)
    ended = [_ended(row, trainer.ends, trainer.stops) for row in ids]
    return Responses(tokens, mask, torch.tensor(ended, device=mask.device), **outputs)


def _ended(ids: list[int], ends: Collection[int], stops: StopStrings | None) -> bool:
    return ids[-1] in ends or (stops is not None and bool(stops(torch.tensor([ids]))))
