"""What is computed for `collapse`: the optimum over the reference's texts, without training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from align_core.experiments import reference_texts as exact
from align_core.experiments.statistics import Mean, mean
from align_core.optimum import FloatArray, ReferenceSamples

SEEDS = 32  # draws of the errors

NARROW = "capitals"  # its reference writes few texts, so that the samples contain nearly all
TASKS = ("capitals", "reviews")  # on which the reward gets errors
BETAS = tuple(float(f"{10 ** (tenths / 10):.2g}") for tenths in range(10, -14, -1))  # 10 to 0.05
SMALL, LOWEST = 0.1, BETAS[-1]  # the β at which texts are counted; the smallest β
# Errors of a reward: an independent draw for each text, half of them within ±QUARTILE nats.
ERRORS = ("none", "normal", "laplace", "student")
QUARTILE = 0.6745  # the quartile of a normal distribution with standard deviation 1
HALF = 0.5  # a gain has fallen if it is below this share of the gain without an error
BUDGET = 1.0  # nats of KL at which errors are compared
EXAMPLE = {"prompt": 0, "seed": 0}  # a prompt of NARROW whose optimum the page draws at any β


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """The optimum without an error, and a run for each draw of the errors."""
    draws = {f"errors-{seed}": {"seed": seed} for seed in range(2 if quick else SEEDS)}
    return [{"texts": {"seed": None}, **draws}]


def measure(folder: Path, seed: int | None) -> dict[str, Any]:
    """Without a seed the numbers of `without_errors`; else those of `with_errors`."""
    return without_errors() if seed is None else with_errors(seed)


def without_errors() -> dict[str, Any]:
    """For the reference and the optimum at each β: the effective number of texts (the exponential
    of the entropy), and the probability of the likeliest text; means over prompts.

    Also for the limit β → 0, and for the optimum under the forward KL, KL(π_ref ‖ π), that has the
    same gold reward as the optimum under the reverse KL at SMALL.
    """
    texts = exact.texts_of(NARROW)
    share, gold = texts.share, texts.gold

    def means(policy: FloatArray) -> dict[str, Mean | None]:
        numbers = texts.numbers(policy)
        return {name: mean(numbers[name].tolist()) for name in ("texts", "top", "gold")}

    limit = exact.reverse_optimum(share, gold, 1e-3)
    reverse = exact.reverse_optimum(share, gold, SMALL)
    forward = exact.forward_at(texts, float((reverse * gold).sum(1).mean()))
    before = texts.numbers(share)["texts"]
    return {
        "reference": means(share),
        "limit": means(limit) | {"best": mean((limit > 0).sum(1).tolist())},
        "forward": means(forward),
        "reverse": [means(exact.reverse_optimum(share, gold, beta)) for beta in BETAS],
        "forward_by_beta": [means(exact.forward_optimum(share, gold, beta)) for beta in BETAS],
        "lost": {
            name: mean((texts.numbers(policy)["texts"] - before).tolist())
            for name, policy in (("reverse", reverse), ("forward", forward))
        },
        "missing": {task: exact.texts_of(task).missing for task in TASKS},
        "example": example(),
    }


def with_errors(seed: int) -> dict[str, dict[str, list[dict[str, float]]]]:
    """{task: {error: [numbers at each β]}}: the gold and the optimised reward minus those of the
    reference, the KL, and the effective number of samples, averaged over the prompts."""
    curves: dict[str, dict[str, list[dict[str, float]]]] = {}
    for task in TASKS:
        texts, rng = exact.texts_of(task), np.random.default_rng(seed)
        start = float((texts.share * texts.gold).sum(1).mean())
        curves[task] = {}
        for error in ERRORS:
            proxy = texts.gold + draw(error, texts.gold.shape, rng)
            proxy_start = float((texts.share * proxy).sum(1).mean())
            rows = []
            for beta in BETAS:
                policy = exact.reverse_optimum(texts.share, proxy, beta)
                numbers = {name: float(n.mean()) for name, n in texts.numbers(policy).items()}
                optimised = float((policy * proxy).sum(1).mean()) - proxy_start
                others = {name: numbers[name] for name in ("kl", "samples")}
                rows.append({"gold": numbers["gold"] - start, "proxy": optimised, **others})
            curves[task][error] = rows
    return curves


def draw(error: str, shape: tuple[int, ...], rng: np.random.Generator) -> FloatArray:
    """Independent errors in nats, half of them within ±QUARTILE."""
    if error == "none":
        return np.zeros(shape)
    if error == "normal":
        return rng.normal(size=shape)
    if error == "laplace":
        return rng.laplace(scale=QUARTILE / np.log(2), size=shape)
    return rng.standard_t(2, size=shape) * QUARTILE / np.sqrt(2 / 3)  # t₂'s quartile is √(2/3)


def example() -> dict[str, Any]:
    """The texts of one prompt, most frequent first: their share of the samples, gold reward, and
    errors of each kind, for the slider of the page."""
    from tokenizers import Tokenizer

    from align_core.config.model_index import files_of, reference_samples
    from align_core.config.task_card import known_reference
    from align_core.evaluation.stored_texts import stored_texts

    samples = ReferenceSamples.load(reference_samples(NARROW, "probe"))
    texts, prompt = exact.texts_of(NARROW), EXAMPLE["prompt"]
    known = np.flatnonzero(texts.share[prompt])
    repeated = samples.select([samples.prompts[prompt]] * len(known))
    tokenizer = Tokenizer.from_file(str(files_of(known_reference(NARROW)) / "tokenizer.json"))
    shown = stored_texts(repeated, tokenizer, None, texts.first[prompt, known])
    rng = np.random.default_rng(EXAMPLE["seed"])
    errors = {error: draw(error, (len(known),), rng).tolist() for error in ("normal", "student")}
    return {
        "prompt": samples.prompts[prompt],
        "texts": shown,
        "shares": texts.share[prompt, known].tolist(),
        "gold": texts.gold[prompt, known].tolist(),
        "errors": errors,
    }


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The optimum without an error, and the means over the draws of the errors."""
    texts, *draws = (run["measured"] for run in runs)
    rows = []
    for task in TASKS:
        for error in ERRORS:
            curves = [draw[task][error] for draw in draws]
            without_error = draws[0][task]["none"][-1]["gold"]
            rows.append({"task": task, "error": error, **_row(curves, without_error)})
    equal = {
        task: mean(
            [
                _gold_at_budget(draw[task]["student"]) - _gold_at_budget(draw[task]["normal"])
                for draw in draws
            ]
        )
        for task in TASKS
    }
    return {"seeds": len(draws), "betas": BETAS, **texts, "rows": rows, "equal": equal}


def _row(curves: list[list[dict[str, float]]], without_error: float) -> dict[str, Any]:
    """The means of the curves of the draws. `peak` is the highest mean gold reward; `fallen` is the
    gold reward at the smallest β minus HALF of `without_error`, the gold reward without an error.
    """
    columns: dict[str, list[Any]] = {
        name: [mean([point[name] for point in at_beta]) for at_beta in zip(*curves, strict=True)]
        for name in curves[0][0]
    }
    return {
        **columns,
        "peak": max(columns["gold"], key=lambda point: point["mean"]),
        "fallen": mean([curve[-1]["gold"] - HALF * without_error for curve in curves]),
        "at_kl": mean([_gold_at_budget(curve) for curve in curves]),
    }


def _gold_at_budget(curve: list[dict[str, float]]) -> float:
    """The gold reward at a KL of BUDGET minus that of the reference, by linear interpolation."""
    kls, gold = ([0.0, *(point[name] for point in curve)] for name in ("kl", "gold"))
    return float(np.interp(BUDGET, kls, gold))
