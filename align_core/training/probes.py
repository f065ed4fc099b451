"""The evaluations of a run's policy: their prompts, and their evaluator."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from align_core.config.methods import methods, sought_optimum
from align_core.config.run_config import RunConfig
from align_core.data.formats import Text
from align_core.data.preference_files import READERS
from align_core.evaluation.evaluator import Evaluation, Evaluator
from align_core.evaluation.learned_optimum import score_of, shortfall
from align_core.evaluation.prepared import stored_samples
from align_core.evaluation.provenance import coverage
from align_core.models.prompts import model_inputs, rows_with_model_inputs
from align_core.models.rewards import ProxyReward, Reward, for_samples
from align_core.optimum import ReferenceSamples
from align_core.tasks import Task
from align_core.tasks.folder.contents import text_of
from align_core.trainers.common import Setup


@dataclass(frozen=True)
class Probes:
    """Prompts as texts, and as the inputs of the model.

    They are prompts of the task or, if `from_file`, of the run's preference file.
    """

    prompts: list[str]
    inputs: Sequence[Text]
    from_file: bool = False

    def stored(self, config: RunConfig) -> ReferenceSamples | None:
        """The stored samples of the run's reference; None if there are none for these prompts."""
        return None if self.from_file else stored_samples(config.task, config.model, "probe")


def probes_of(config: RunConfig, task: Task, tokenizer: PreTrainedTokenizerBase) -> Probes:
    """The first `eval_prompts` of the task's probe prompts.

    If the run has a preference file without prompts of the task, they are the first prompts of the
    file instead, ordered by their hashes. Messages go through the chat template, as in training.
    """
    count = config.eval_prompts
    if config.preferences is not None:
        read = READERS[methods()[config.method].learns_from]
        rows = read(config.preferences, max_rows=config.preference_pairs)
        prompts: dict[str, Text] = {text_of(row["prompt"]): row["prompt"] for row in rows}
        task_prompts = {
            text for split in ("train", "probe", "heldout") for text in task.prompts(split)
        }
        if prompts.keys().isdisjoint(task_prompts):
            texts = sorted(prompts, key=lambda text: hashlib.sha256(text.encode()).digest())[:count]
            rows = [{"prompt": prompts[text]} for text in texts]
            rows = rows_with_model_inputs(tokenizer, task, rows)
            return Probes(texts, [row["prompt"] for row in rows], from_file=True)
    prompts_of_task = task.prompts("probe")[:count]
    return Probes(prompts_of_task, model_inputs(tokenizer, task, prompts_of_task))


def evaluator_of(
    config: RunConfig,
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    reference: PreTrainedModel | None,
    proxy: Reward | None,
    ends: Sequence[int],
    interrupted: Callable[[], bool] = lambda: False,
) -> Evaluator:
    """The evaluator of a run's policy on the prompts of `probes_of`; the reward is in nats."""
    probes = probes_of(config, task, tokenizer)
    return Evaluator(
        probes.prompts,
        tokenizer,
        reference,
        gold=for_samples(task.reward, ends),
        parts=for_samples(task.parts, ends),
        inputs=probes.inputs,
        proxy=proxy,
        stored=probes.stored(config),
        max_new_tokens=task.max_new_tokens,
        seed=config.seed,
        samples=config.eval_samples,
        subsets=task.split_by_coverage(coverage(config), probes.prompts),
        interrupted=interrupted,
    )


def shortfall_of(setup: Setup, evaluation: Evaluation, beta: float | None) -> dict[str, float]:
    """The `shortfall` at β of a run that seeks the highest reward − β·KL; {} for any other run."""
    config, task, tokenizer = setup.config, setup.task, setup.tokenizer
    if not beta or sought_optimum(config.model_dump()) != "kl":
        return {}
    probes = probes_of(config, task, tokenizer)
    if (stored := probes.stored(config)) is None:
        return {}
    score = None
    follows_model = config.reward_model not in (None, "gold")  # else the proxy is only measured
    if follows_model and isinstance(setup.proxy, ProxyReward):
        score = score_of(setup.proxy, tokenizer, task, len(probes.prompts))
    return shortfall(probes.prompts, stored, evaluation, beta, score)
