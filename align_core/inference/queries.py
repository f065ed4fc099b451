"""Queries to models outside a run: evaluations, samples, scores and win rates."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from transformers import PreTrainedModel

from align_core.config import model_index
from align_core.config.errors import ConfigError, option_error
from align_core.config.model_size import evaluation_size
from align_core.data.encoding import encode_all, encode_prompts
from align_core.data.formats import Text
from align_core.evaluation.evaluator import Evaluator
from align_core.evaluation.optimum_distance import (
    SECOND_SEED_OFFSET,
    UNKNOWN,
    is_known,
    optimum_distance,
)
from align_core.evaluation.prepared import stored_samples
from align_core.evaluation.provenance import beta_of, coverage_of, reference_of, reward_model_of
from align_core.evaluation.reward_models import evaluate_reward_model
from align_core.evaluation.task_in_nats import task_in_nats
from align_core.evaluation.win_rate import win_rates
from align_core.inference.loaded import LoadedModels, loaded_models
from align_core.inference.prompt_rows import PromptRows, check_length, gold_facts
from align_core.models.best_of import BestOf
from align_core.models.checks import check_policy
from align_core.models.loading import load_policy, load_reward_model, load_tokenizer
from align_core.models.prompts import check_prompts, model_inputs
from align_core.models.realigned import Realigned
from align_core.models.reference import load_reference
from align_core.models.rewards import ProxyReward, for_samples, proxy_reward
from align_core.models.sampled_pairs import scored_pairs, unlabelled_pairs
from align_core.models.sampling import RandomDraw, Responses, end_ids, sample
from align_core.optimum import ReferenceSamples
from align_core.tasks import get_task
from align_core.tasks.task import part_columns


def evaluate(
    model: str,
    task: str,
    reference: str | None,
    prompts: int,
    seed: int,
    coverage: str | None = None,
    realign: float | None = None,
    best_of: int | None = None,
    reward_model: str | None = None,
    beta: float | None = None,
    samples: int | None = None,
) -> dict[str, Any]:
    """The evaluation metrics of docs/metrics.md on held-out prompts, with 95% intervals.

    For a reward model these are `accuracy`, `margin` and `scale` on held-out pairs of reference
    samples. Covered and uncovered prompts are also reported separately; `coverage` defaults to that
    of the model's run. With `realign`, λ, the metrics are those of the policy mixed with the
    reference. With `best_of`, they are those of the best of that many texts, chosen by the gold
    reward or by the `reward_model`; then the KL is unknown, and at most `kl_bound`. The optimum is
    that for `beta`, by default the β of the model's run if its method seeks this optimum. `samples`
    is the number of texts for each prompt.

    Raises:
        ConfigError: there is no reference; or `beta` was given, but the optimum is not known.
    """
    the_task = get_task(task)
    heldout = the_task.prompts("heldout")[:prompts]
    subsets = the_task.split_by_coverage(coverage or coverage_of(model), heldout)
    if model_index.is_reward_model(model_index.locate(model)):
        return evaluate_reward_model(model, the_task, heldout, subsets)
    reference, stored = _reference(model, task, reference, beta)
    the_task, scale = task_in_nats(task, model, reference)
    tokenizer, policy = load_tokenizer(model), load_policy(model)
    check_policy(policy, tokenizer)
    ends = end_ids(policy, tokenizer)
    the_reference = load_reference(reference, policy, tokenizer)
    check_prompts(the_task, policy, tokenizer, the_reference, splits=("heldout",))
    evaluator = partial(
        Evaluator,
        heldout,
        tokenizer,
        the_reference,
        gold=for_samples(the_task.reward, ends),
        parts=for_samples(the_task.parts, ends),
        inputs=model_inputs(tokenizer, the_task, heldout),
        stored=stored,
        max_new_tokens=the_task.max_new_tokens,
        subsets=subsets,
        samples=samples or evaluation_size(model, the_task.max_new_tokens).samples,
        best_of=None if best_of is None else BestOf(best_of, reward_model is not None, seed),
    )
    proxy = proxy_reward(reward_model or reward_model_of(model, task), the_task, tokenizer, ends)
    first, measured = evaluator(seed=seed, proxy=proxy), _realigned(policy, the_reference, realign)
    evaluation = first(measured)
    metrics = first.metrics(evaluation) | first.metrics.intervals(evaluation)
    numbers = {name.removeprefix("eval/"): value for name, value in metrics.items()}
    beta = beta or beta_of(model)
    if beta is None or stored is None or best_of is not None:
        numbers |= UNKNOWN
    else:
        second = evaluation  # not used if the optimum is not known
        if is_known(heldout, stored, beta):
            second = evaluator(seed=seed + SECOND_SEED_OFFSET, proxy=None)(measured)
        numbers |= optimum_distance(heldout, stored, beta, evaluation, second)
    facts = {"realign": realign, "best_of": best_of, "reward_scale": scale}
    facts = {name: value for name, value in facts.items() if value is not None}
    return {"task": task, "prompts": len(heldout), **facts, **numbers}


def _reference(
    model: str, task: str, reference: str | None, beta: float | None
) -> tuple[str, ReferenceSamples | None]:
    """The reference, by default the model's, and its stored samples for held-out prompts, or None.

    Raises:
        ConfigError: there is no reference; or `beta` was given, but there are no samples.
    """
    reference = reference or reference_of(model, task)
    if reference is None:
        raise ConfigError(
            option_error("--reference", None, f"{model_index.EXPECTED}; the task has none")
        )
    stored = stored_samples(task, reference, "heldout")
    if beta is not None and stored is None:
        expected = f"none: the optimum of {reference} on {task} is unknown; run align-core prepare"
        raise ConfigError(option_error("--beta", beta, expected))
    return reference, stored


def generate(
    model: str,
    task: str,
    prompts: list[str],
    n: int,
    temperature: float,
    seed: int,
    reference: str | None = None,
    realign: float | None = None,
    best_of: int | None = None,
    reward_model: str | None = None,
) -> list[dict[str, Any]]:
    """`n` samples for each prompt, with gold and proxy rewards in nats.

    With a `reference`, a sample also has its tokens with both log-probabilities, always at
    temperature 1. With `realign`, λ, the policy is mixed with this reference; if `reference` is
    None, with that of the model's run, or else of the task. With `best_of`, a sample is the best of
    that many by gold reward, or by the output of the `reward_model`.

    Raises:
        ConfigError: a prompt is empty, or too long for the model; or there is no reference.
    """
    the_task, _ = task_in_nats(task, model, reference)
    loaded = _mixed(model, task, reference, realign)
    tokenizer, ends = loaded.tokenizer, end_ids(loaded.policy, loaded.tokenizer)
    if reward_model is not None:
        proxy = proxy_reward(reward_model, the_task, tokenizer, ends)
        loaded = dataclasses.replace(loaded, proxy=proxy)
    rows = PromptRows.of(the_task, loaded, prompts, n)

    def write(draw: RandomDraw) -> Responses:
        return sample(
            loaded.policy,
            rows.encoded,
            draw,
            max_new_tokens=the_task.max_new_tokens,
            end_ids=ends,
            pad_id=tokenizer.pad_token_id,
            temperature=temperature,
        )

    if best_of is None:
        responses = write(RandomDraw(seed, len(rows.prompts)))
    else:
        choose = BestOf(best_of, reward_model is not None, seed)
        reward = rows.proxy_rewards if choose.by_reward_model else rows.gold_rewards
        responses = choose(len(rows.prompts), write, reward)
    samples = rows.scored(responses)
    if reference is not None:
        logps = responses.logps() if temperature == 1 else None
        tokens = loaded.tokens(rows.encoded, responses.ids(), logps)
        for row, row_tokens in zip(samples, tokens, strict=True):
            row["tokens"] = row_tokens
    return samples


def _mixed(model: str, task: str, reference: str | None, share: float | None) -> LoadedModels:
    """The models of a query, with the policy mixed with its reference if there is a `share`, λ.

    Raises:
        ConfigError: there is a `share`, but no reference.
    """
    mixed_with = None if share is None else reference_of(model, task)
    if share is not None and mixed_with is None:
        expected = "a model with a reference: neither its run nor the task has one"
        raise ConfigError(option_error("--realign", share, expected))
    loaded = loaded_models(model, task, reference or mixed_with)
    policy = _realigned(loaded.policy, loaded.reference, share)
    return dataclasses.replace(loaded, policy=policy)


def score(
    model: str, task: str, prompt: str, completions: list[str], reference: str | None = None
) -> list[dict[str, Any]]:
    """Rewards of the completions, and their log-probabilities under policy and reference, in nats.

    Without log-probabilities if `model` is a reward model.

    Raises:
        ConfigError: a text is empty, or too long for the model.
    """
    the_task, _ = task_in_nats(task, model, reference)
    loaded = loaded_models(model, task, reference or reference_of(model, task), reference is None)
    (model_input,) = model_inputs(loaded.tokenizer, the_task, [prompt])
    chat = not isinstance(model_input, str)  # after messages a completion has no leading space
    texts = [text.lstrip() if chat else _with_leading_space(text) for text in completions]
    inputs, ended = [model_input] * len(texts), [True] * len(texts)
    before, ids = encode_all(loaded.tokenizer, inputs, texts, ended)
    (prompt_tokens,) = encode_prompts(loaded.tokenizer, [model_input]).ids.tolist()
    check_length("--prompt", prompt, len(prompt_tokens), loaded.positions - 1)
    for text, prompt_ids, row in zip(completions, before, ids, strict=True):
        check_length("--completion", text, len(row), loaded.positions - len(prompt_ids))
    rows = [prompt] * len(completions)
    golds = the_task.reward(rows, completions)
    parts = part_columns(the_task.parts(rows, completions)) or [{}] * len(rows)
    proxies = (
        loaded.proxy.score_texts(inputs, texts, ended)
        if isinstance(loaded.proxy, ProxyReward)
        else loaded.proxy_rewards(rows, completions, ids)
    )
    scored: list[dict[str, Any]] = [
        {
            "prompt": prompt,
            "completion": text,
            **gold_facts(reward=gold, judged=the_task.can_judge(prompt, text)),
            "proxy_reward": proxy,
            **part,
        }
        for text, gold, proxy, part in zip(completions, golds, proxies, parts, strict=True)
    ]
    if not model_index.is_reward_model(model_index.locate(model)):
        encoded = encode_prompts(loaded.tokenizer, before)
        for answer, tokens in zip(scored, loaded.tokens(encoded, ids), strict=True):
            answer["logp"] = sum(token["logp"] for token in tokens)
            answer["ref_logp"] = loaded.reference and sum(token["ref_logp"] for token in tokens)
            answer["tokens"] = tokens
    return scored


def _realigned(
    policy: PreTrainedModel, reference: PreTrainedModel, share: float | None
) -> PreTrainedModel | Realigned:
    """The policy mixed with the reference; the policy itself if `share` is None or 1."""
    return policy if share in (None, 1.0) else Realigned(policy, reference, share)


def head_to_head(task: str, models: list[str], n: int, seed: int) -> dict[str, Any]:
    """The number of `prompts`, and the matrices of `win_rate.win_rates` of `models`.

    All models are sampled `n` times at temperature 1 on the task's probe prompts, with the same
    noise.

    Raises:
        ConfigError: the task has no gold reward.
    """
    prompts = get_task(task).prompts("probe")
    if not get_task(task).has_gold:
        raise ConfigError(option_error("--task", task, "a task with a reward of its own"))
    rewards = [
        [text["gold_reward"] for text in generate(model, task, prompts, n, 1.0, seed)]
        for model in models
    ]
    return {
        "prompts": len(prompts),
        **win_rates(torch.tensor(rewards, dtype=torch.float64).view(-1, len(prompts), n)),
    }


def candidates(task: str, model: str, count: int, seed: int) -> list[dict[str, Any]]:
    """`count` unlabelled pairs of samples of the model for train prompts, for people to rate.

    A pair has `model`, `prompt`, `first` and `second`, and for both texts `…_ended` and the gold
    `…_reward` in nats.
    """
    the_task, _ = task_in_nats(task, model)
    tokenizer, policy = load_tokenizer(model), load_policy(model)
    check_policy(policy, tokenizer)
    check_prompts(the_task, policy, tokenizer, splits=("train",))
    pairs = unlabelled_pairs(policy, tokenizer, the_task, count, seed)
    return [{"model": model, **pair} for pair in pairs]


def score_pairs(pairs: list[dict[str, Any]], reward_model: str) -> list[dict[str, Any]]:
    """The pairs with `first_score` and `second_score`, the reward model's outputs in nats.

    Prompts become model inputs as in the task that the reward model was trained on.
    """
    tokenizer = load_tokenizer(reward_model)
    proxy = ProxyReward(load_reward_model(reward_model), tokenizer)
    prompts = [pair["prompt"] for pair in pairs]
    inputs: Sequence[Text] = prompts
    if task := model_index.task_of(reward_model):
        # The code of the task may not be loaded, or its folder may be gone.
        with contextlib.suppress(ConfigError):
            inputs = model_inputs(tokenizer, get_task(task), prompts)
    return scored_pairs(pairs, inputs, proxy)


def _with_leading_space(completion: str) -> str:
    """The completion with a leading space, as completions in the tasks' texts have it."""
    return completion if completion[:1].isspace() else " " + completion
