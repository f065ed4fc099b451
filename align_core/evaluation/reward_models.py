"""The evaluation of a reward model."""

from __future__ import annotations

from typing import Any

from align_core.config.errors import ConfigError, option_error
from align_core.evaluation.intervals import bootstrap_rows, ci95, ci95_of_mean
from align_core.evaluation.pair_accuracy import pair_accuracy, rater_scale
from align_core.evaluation.prepared import stored_samples
from align_core.evaluation.provenance import reference_of
from align_core.models.loading import load_reward_model, load_tokenizer
from align_core.models.prompts import model_inputs
from align_core.models.rewards import ProxyReward
from align_core.optimum import FloatArray
from align_core.tasks import Task


def evaluate_reward_model(
    model: str, task: Task, prompts: list[str], subsets: dict[str, list[str]]
) -> dict[str, Any]:
    """`accuracy`, `margin` and `scale` of a reward model on pairs of samples of its reference.

    They are measured on the prompts that have stored samples; accuracy and margin are also reported
    for each subset. Each number has the half-width of its 95% interval under its name + "_ci95".

    Raises:
        ConfigError: no samples are stored.
    """
    reference = reference_of(model, task.full_name)
    stored = stored_samples(task.full_name, reference, "heldout")
    known = [] if stored is None else [text for text in prompts if text in stored.prompts]
    if reference is None or stored is None or not known:
        expected = "a policy: this task has no stored samples to evaluate a reward model on"
        raise ConfigError(option_error("MODEL", model, expected))
    writer = load_tokenizer(reference)
    proxy = ProxyReward(load_reward_model(model), load_tokenizer(model), writer)
    report: dict[str, Any] = {"task": task.full_name, "prompts": len(known)}
    parts = {"": known} | {f"_{name}": subset for name, subset in subsets.items() if subset}
    for suffix, part in parts.items():
        samples = stored.select([prompt for prompt in part if prompt in stored.prompts])
        inputs = model_inputs(writer, task, samples.prompts)
        accuracy, margin, gold = pair_accuracy(proxy, writer, samples, inputs=inputs)
        for name, values in ((f"accuracy{suffix}", accuracy), (f"margin{suffix}", margin)):
            by_prompt = values.mean(1).numpy()
            report[name] = report[f"{name}_ci95"] = None
            if len(by_prompt):
                report[name] = float(by_prompt.mean())
                report[f"{name}_ci95"] = ci95_of_mean(bootstrap_rows(len(by_prompt)), by_prompt)
        if not suffix:
            report |= _scale(margin.double().numpy(), gold.numpy())
    return report


def _scale(margin: FloatArray, gold: FloatArray) -> dict[str, float | None]:
    """The `rater_scale` of margins and gold differences [P, pairs], and its interval."""
    if not len(margin):
        return {"scale": None, "scale_ci95": None}
    draws = bootstrap_rows(len(margin))
    redrawn = [rater_scale(margin[rows].ravel(), gold[rows].ravel()) for rows in draws]
    return {"scale": rater_scale(margin.ravel(), gold.ravel()), "scale_ci95": ci95(redrawn)}
