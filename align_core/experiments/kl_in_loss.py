"""KL in the loss against KL in the reward, by exact expected gradients on short texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from align_core.experiments import token_tree
from align_core.experiments.claims import Verdict, verdict
from align_core.experiments.presentation import Block, Panel, Row, Table, joined, labelled, means
from align_core.experiments.sentences import Finding
from align_core.experiments.statistics import format_mean, mean, sign
from align_core.experiments.token_tree import LENGTH, SIZE, Penalty

TITLE = "KL in the loss, or in the reward"
PAPER = "2506.09477"
CLAIM = (
    "Differentiating an estimate of the KL, as a term of the loss, does not give the gradient of "
    "the KL: with the log-ratio (k1) the result vanishes on average, and with k3 it is the "
    "gradient of another divergence. And a sum over tokens in the loss gives only a part of the "
    "gradient: it leaves out the effect of a token on the KL of later tokens. As a part of the "
    "reward, the log-ratio gives the whole gradient."
)
SEEDS = 32  # random references and rewards

BETAS = (0.3, 0.5, 1.0, 2.0, 3.0)
SHOWN = 1.0  # the β of the sentences
TOLERANCE = 0.01  # nats of J; a gap to the optimum that is clearly smaller counts as none
# Variant -> the `Penalty` for a token in its reward, and the slope of the one in its loss.
VARIANTS: dict[str, tuple[Penalty, Penalty]] = {
    "reward_k1": (token_tree.k1, token_tree.nothing),
    "loss_tokens": (token_tree.nothing, token_tree.k1),
    "loss_k3": (token_tree.nothing, token_tree.k3_slope),
    "loss_k1": (token_tree.nothing, token_tree.nothing),
    "reward_k3": (token_tree.k3, token_tree.nothing),
}
SETUP = (
    Row("policies", "tables; language models", "tables, with a row for each prefix"),
    Row(
        "texts",
        "language models' answers",
        f"{SIZE**LENGTH} texts of {LENGTH} tokens out of {SIZE}",
    ),
    Row("gradients", "from samples", "expected ones, exact"),
    Row("judged by", "KL and reward during training", "the distance to the exact optimum"),
    Row("β", "some values", joined(BETAS)),
)
WHY = (
    "At β = {beta} it ends {gap} nats of reward − β·KL below the optimum, at a KL of {kl}; the "
    "optimum has {target}. Of {betas} values of β, it is clearly more than {tolerance} nats below "
    "in {away}, and clearly less in {there}."
)
SENTENCES = {
    "join": "; ",
    "reward_k1": "k1 in the reward",
    "loss_tokens": "each token's KL in the loss",
    "loss_k3": "k3 in the loss",
    "loss_k1": "k1 in the loss",
    "reward_k3": "k3 in the reward",
    "whole": "With the log-ratio in the reward, as in PPO and RLOO, training ends at the optimum.",
    "vanishes": "With k1 in the loss nothing holds the policy back.",
    "another": "With k3 in the loss, training ends away from the optimum.",
    "partial": (
        "With the right KL of each token in the loss, as in GRPO here, training still ends away "
        "from the optimum."
    ),
    "whole_why": WHY,
    "vanishes_why": WHY,
    "another_why": WHY,
    "partial_why": WHY,
    "gradient": (
        "At the optimum of β = {beta}, the expected gradient of {variant} differs from that of the "
        "KL by {error} of its length; their cosine is {cosine}."
    ),
    "no_gradient": "The expected gradient of {variant} is zero for every policy.",
    "squared": (
        "Half the squared log-ratio of the whole text (k2) in the loss has the gradient of k1 in "
        "the reward, so it ends where that does."
    ),
    "end": "At β = {beta} {listed}.",
    "ends": (
        "{variant} ends at a gold reward of {gold} and a KL of {kl}, {gap} nats below the optimum"
    ),
    "optimum": "the optimum has a gold reward of {gold} and a KL of {kl}",
}
_PARTS = {"whole": "reward_k1", "vanishes": "loss_k1", "another": "loss_k3"}
_PARTS |= {"partial": "loss_tokens"}


def stages(quick: bool) -> list[dict[str, dict[str, Any]]]:
    """One run for each random reference and reward."""
    return [{f"problem-{seed}": {"seed": seed} for seed in range(2 if quick else SEEDS)}]


def measure(folder: Path, seed: int) -> dict[str, Any]:
    """Where each variant ends at each β, and the error of its gradient of the KL."""
    reference, rewards = token_tree.problem(seed)
    betas = np.array(BETAS)
    best, limit = token_tree.optimum(reference, rewards, betas)
    ends = {"optimum": _numbers(best, reference, rewards, limit)}
    gradients = {}
    kl_gradient = _kl_gradient(best, reference, VARIANTS["reward_k1"])
    for variant, penalties in VARIANTS.items():
        policy = token_tree.trained(reference, rewards, betas, *penalties)
        ends[variant] = _numbers(policy, reference, rewards, limit)
        gradient = _kl_gradient(best, reference, penalties)
        length = np.linalg.norm(kl_gradient, axis=1)
        scale = np.maximum(np.linalg.norm(gradient, axis=1) * length, 1e-300)
        gradients[variant] = {
            "error": (np.linalg.norm(gradient - kl_gradient, axis=1) / length).tolist(),
            "cosine": ((gradient * kl_gradient).sum(1) / scale).tolist(),
        }
    return {"ends": ends, "gradients": gradients}


def _numbers(
    policy: token_tree.Policy,
    reference: token_tree.Policy,
    rewards: token_tree.FloatArray,
    limit: token_tree.FloatArray,
) -> dict[str, list[float]]:
    """Gold reward, KL, and how far J = gold − β·KL is below its `limit`, at each β, in nats."""
    logp, ref_logp = token_tree.text_logprobs(policy), token_tree.text_logprobs(reference)
    p = np.exp(logp)
    gold, kl = (p * rewards).sum(1), (p * (logp - ref_logp)).sum(1)
    gap = limit - gold + np.array(BETAS) * kl
    return {"gold": gold.tolist(), "kl": kl.tolist(), "gap": gap.tolist()}


def _kl_gradient(
    policy: token_tree.Policy, reference: token_tree.Policy, penalties: tuple[Penalty, Penalty]
) -> token_tree.FloatArray:
    """What these penalties give as the gradient of the KL with respect to the logits, [N,
    logits]."""
    zeros, ones = np.zeros_like(token_tree.text_logprobs(policy)), np.ones(len(policy[0]))
    ascent = token_tree.directions(policy, reference, zeros, ones, *penalties)
    return -token_tree.gradients(policy, ascent)


def summary(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over the problems, a list over β for each number."""
    measured = [run["measured"] for run in runs]

    def means_of(kind: str) -> dict[str, dict[str, list[Any]]]:
        return {
            name: {
                number: [mean(at_beta) for at_beta in zip(*columns, strict=True)]
                for number in numbers
                if (columns := [run[kind][name][number] for run in measured])
            }
            for name, numbers in measured[0][kind].items()
        }

    return {"seeds": len(runs), "ends": means_of("ends"), "gradients": means_of("gradients")}


def comparisons(result: dict[str, Any]) -> dict[str, list[int]]:
    """For each part the signs, over β, of the gap at the end minus TOLERANCE."""
    return {
        part: [sign(gap, TOLERANCE) for gap in result["ends"][variant]["gap"]]
        for part, variant in _PARTS.items()
    }


def verdicts(result: dict[str, Any]) -> list[Verdict]:
    """Which variants end at the optimum; a claim is about every β."""
    index, rows = BETAS.index(SHOWN), []
    for part, signs in comparisons(result).items():
        end = result["ends"][_PARTS[part]]
        values = {
            "beta": f"{SHOWN:g}",
            "gap": format_mean(end["gap"][index]),
            "kl": format_mean(end["kl"][index]),
            "target": format_mean(result["ends"]["optimum"]["kl"][index]),
            "betas": len(signs),
            "tolerance": f"{TOLERANCE:g}",
            "away": signs.count(1),
            "there": signs.count(-1),
        }
        holds = min(-sign for sign in signs) if part == "whole" else min(signs)
        rows.append(verdict(holds, part, **values))
    return rows


def findings(result: dict[str, Any]) -> list[Finding]:
    """The error of each gradient, and where each variant ends at each β."""
    rows: list[Finding] = []
    index = BETAS.index(SHOWN)
    for variant in ("loss_tokens", "loss_k3", "reward_k3"):
        errors = result["gradients"][variant]
        texts = {name: format_mean(errors[name][index]) for name in ("error", "cosine")}
        rows.append(("gradient", {"variant": [(variant, {})], "beta": f"{SHOWN:g}", **texts}))
    rows += [("no_gradient", {"variant": [("loss_k1", {})]}), ("squared", {})]
    for index, beta in enumerate(BETAS):
        ends: list[Finding] = []
        for name, end in result["ends"].items():
            texts = {number: format_mean(end[number][index]) for number in ("gold", "kl", "gap")}
            if name == "optimum":
                ends.append((name, texts))
            else:
                ends.append(("ends", {"variant": [(name, {})], **texts}))
        rows.append(("end", {"beta": f"{beta:g}", "listed": ends}))
    return rows


def panels(result: dict[str, Any], words: dict[str, Any]) -> list[Panel]:
    """The KL at which each variant ends, and how far it is below the optimum, over β."""
    labels = words["kl_in_loss"]
    colours = {"optimum": "ink", "reward_k1": "ppo", "loss_tokens": "preferred-ft"}
    colours |= {"loss_k3": "dpo", "loss_k1": "unlikelihood", "reward_k3": "best-of-n"}

    def curves(number: str, names: list[str]) -> list[dict[str, Any]]:
        return [
            {
                "name": labels[name],
                "colour": colours[name],
                "mode": "lines+markers",
                "x": list(BETAS[::-1]),
                **means(result["ends"][name][number][::-1]),
            }
            for name in names
        ]

    axis = {"x": "β", "ticks": list(BETAS), "falling": True}
    nearer = ["reward_k1", "loss_tokens", "loss_k3"]  # the others are up to 17 nats below
    figure = (
        {"title": labels["kl"], "y": words["kl"], **axis, "curves": curves("kl", list(colours))},
        {"title": labels["gap"], "y": labels["lacking"], **axis, "curves": curves("gap", nearer)},
    )
    return [labelled(panel) for panel in figure]


def report(result: dict[str, Any]) -> list[Block]:
    """A row for each variant and β, and one for its gradient."""
    head = ["", *(f"β = {beta:g}" for beta in BETAS)]
    rows = []
    for number, label in (("kl", "KL"), ("gold", "gold"), ("gap", "below the optimum")):
        for name, end in result["ends"].items():
            if (name, number) != ("optimum", "gap"):
                label_of = SENTENCES.get(name) if name != "optimum" else "the optimum"
                rows.append([f"{label}: {label_of}", *map(format_mean, end[number])])
    for name, gradient in result["gradients"].items():
        cells = map(format_mean, gradient["error"])
        rows.append([f"error of the gradient: {SENTENCES[name]}", *cells])
    note = (
        "“Below the optimum” is the difference of reward − β·KL from its maximum. The error of a "
        "gradient, taken at the optimum, is the length of its difference from the gradient of the "
        "KL, divided by the length of the latter."
    )
    return [Table(head, rows), note]
