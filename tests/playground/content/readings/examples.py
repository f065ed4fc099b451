"""An example run for each reading, whose numbers are just above the threshold of its rule."""

from __future__ import annotations

from math import log

CONFIG = {"steps": 60, "eval_every": 10, "reward_model": None, "preferences": None}
PPO = {**CONFIG, "method": "ppo", "beta": 0.5, "reward_model": "reward-reviews"}
DPO = {**CONFIG, "method": "dpo", "beta": 0.5}
REWARD = {**CONFIG, "method": "reward", "beta": None}
SFT = {**CONFIG, "method": "sft", "beta": None}


def evaluated(gold, kl, **others):
    """Evaluations every ten steps; the keyword `length` stands for eval/length."""
    curves = {"gold_reward": gold, "kl": kl, **others}
    return {
        f"eval/{name}": [(10 * i, value) for i, value in enumerate(values)]
        for name, values in curves.items()
    }


def at_the_end(gap, learned):
    """The distance from the optimum at step 10 and the reward model's part, each with its ±."""
    numbers = {"optimum_gap": gap[0], "optimum_gap_ci95": gap[1]}
    numbers |= {"learned_optimum_gap": learned[0], "learned_optimum_gap_ci95": learned[1]}
    return {f"eval/{name}": [(10, value)] for name, value in numbers.items()}


def trained(**curves):
    """Metrics of each step from 1 on; the keyword `policy__clipfrac_avg` stands for
    policy/clipfrac_avg."""
    return {
        name.replace("__", "/"): list(enumerate(values, start=1)) for name, values in curves.items()
    }


def around(mean, count=20, scatter=0.1):
    """`count` values, alternately `scatter` above and below `mean`. With 20 values and a scatter of
    0.1 their standard error is 0.1 / √19 = 0.0229."""
    return [mean + scatter, mean - scatter] * (count // 2)


# A good run: two nats of reward for one of KL.
WELL = {"gold": [0.0, 2.0], "kl": [0.0, 1.0]}
# An example of every reading: the run, and the numbers in the sentence.
EXAMPLES = {
    "failed": (PPO, trained(loss=[1.0, 2.0, 3.0]), {"step": 3}),
    "too_short": (PPO, trained(loss=[1.0, 2.0, 3.0]), {"step": 3}),
    "stopped_early": (PPO, trained(loss=[1.0, 2.0, 3.0]), {"step": 3}),
    "no_gold": (DPO, evaluated([], [0.0, 0.25]), {"kl": 0.25}),
    "nothing_yet": (PPO, evaluated([0.2], [0.0]), {}),
    "over_optimised": (
        PPO,
        evaluated([0.0, 2.0, 1.9], [0.0, 1.0, 1.2], proxy_reward=[0.0, 1.5, 1.76]),
        {"step": 10, "proxy_then": 1.5, "proxy_now": 1.76, "gold_then": 2.0, "gold_now": 1.9},
    ),
    "past_best": (
        PPO,
        evaluated([0.0, 2.0, 1.69], [0.0, 1.0, 1.0]),
        {"step": 10, "then": 2.0, "now": 1.69},
    ),
    "pairs_past_best": (
        DPO,
        evaluated([0.0, 1.0, 2.0, 1.69], [0.0, 1.0, 1.0, 1.0])
        | trained(rewards__margins=around(1.0) + around(2.0), **{
            "rewards__accuracies": [0.8] * 40, "rewards__chosen": around(0.0, 40)}),
        {"step": 20, "then": 2.0, "now": 1.69, "margin_then": 1.0, "margin_now": 2.0},
    ),
    "below_reference": (
        PPO,
        evaluated([0.2, -0.31], [0.0, 1.0]),
        {"then": 0.2, "now": -0.31},
    ),
    # The objective was 2 − 0.5·1 = 1.5 at step 10 and is 2.1 − 0.5·1.9 = 1.15 now: 0.35 less, while
    # β·KL rose by 0.45.
    "overpaid": (
        PPO,
        evaluated([0.0, 2.0, 2.1], [0.0, 1.0, 1.9]),
        {"step": 10, "kl_then": 1.0, "kl_now": 1.9, "then": 2.0, "now": 2.1, "beta": 0.5},
    ),
    "far": (PPO | {"beta": 0.0}, evaluated([0.0, 2.0], [0.0, 3.01]), {"kl": 3.01}),
    "rising": (
        PPO,
        evaluated([0.0, 1.0, 1.21], [0.0, 1.0, 1.0]),
        {"step": 10, "then": 1.0, "now": 1.21, "kl": 1.0},
    ),
    "no_better": (PPO, evaluated([0.0, 0.19], [0.0, 0.3]), {"then": 0.0, "now": 0.19}),
    "near_limit": (
        PPO,
        evaluated([0.0, 2.0, 2.0], [0.0, 1.0, 1.0], frontier_efficiency=[0.0, 0.7, 0.8]),
        {"kl": 1.0, "share": 80},
    ),
    "wasteful": (
        PPO,
        evaluated([0.0, 0.69, 0.69], [0.0, 1.0, 1.0], frontier_efficiency=[0.0, 0.6, 0.69]),
        {"gain": 0.69, "kl": 1.0, "possible": 1.0},
    ),
    "wasteful_gold": (
        PPO | {"reward_model": "gold"},
        evaluated([0.0, 0.69, 0.69], [0.0, 1.0, 1.0], frontier_efficiency=[0.0, 0.6, 0.69]),
        {"gain": 0.69, "kl": 1.0, "possible": 1.0},
    ),
    "improved": (
        PPO,
        evaluated([0.0, 2.0, 2.0], [0.0, 1.0, 1.0]),
        {"gain": 2.0, "kl": 1.0},
    ),
    "held": (
        PPO | {"beta": 4.0, "steps": 20},
        evaluated([0.0, 0.5], [0.0, 0.24]),
        {"kl": 0.24, "beta": 4.0},
    ),
    "timid": (PPO | {"steps": 20}, evaluated([0.0, 0.5], [0.0, 0.24]), {"kl": 0.24}),
    "leapt": (
        PPO,
        trained(objective__kl=[0.0, 0.5, 2.51, 3.0]),
        {"step": 2, "then": 0.5, "now": 2.51},
    ),
    "clipped": (
        PPO,
        trained(policy__clipfrac_avg=[0.0, 0.03, 0.04, 0.05, 0.06, 0.08]),  # last five: 0.052
        {"share": 5},
    ),
    "value_unstable": (
        PPO,
        trained(loss__value_avg=[1.0] * 5 + [2.01] * 5),
        {"then": 1.0, "now": 2.01},
    ),
    "alike": (
        PPO,
        evaluated(**WELL, entropy=[20.0, 9.9]),
        {"then": 20.0, "now": 9.9},
    ),
    "longer": (PPO, evaluated(**WELL, length=[10.0, 15.1]), {"then": 10.0, "now": 15.1}),
    # 2.5 − 0.5 · 0.9 = 2.05, and 1.0 · 2 − 0.5 · 1 = 1.5.
    "short_of_target": (
        PPO,
        evaluated(**WELL, gain=[0.0, 1.0]),
        {"beta": 0.5, "best": 2.05, "reached": 1.5},
    ),
    # √(0.12² + 0.05²) = 0.13.
    "two_parts": (
        PPO,
        evaluated(**WELL, gain=[0.0, 1.0]) | at_the_end(gap=(0.5, 0.12), learned=(0.4, 0.05)),
        {"beta": 0.5, "gap": 0.5, "width": 0.12, "model": 0.4, "model_width": 0.05,
         "training": 0.1, "training_width": 0.13},
    ),
    "better_than_learned": (
        PPO,
        evaluated(**WELL, gain=[0.0, 1.0]) | at_the_end(gap=(0.5, 0.12), learned=(0.64, 0.05)),
        {"beta": 0.5, "gap": 0.5, "width": 0.12, "model": 0.64, "model_width": 0.05,
         "better": 0.14, "training_width": 0.13},
    ),
    # 1.23 · 2 − 0.5 · 1 = 1.96, which is 0.09 below 2.05.
    "on_target": (PPO, evaluated(**WELL, gain=[0.0, 1.23]), {"beta": 0.5}),
    "shorter": (PPO, evaluated(**WELL, length=[15.1, 10.0]), {"then": 15.1, "now": 10.0}),
    # log 2 = 0.693, and three standard errors of 0.0229 are 0.069.
    "worse_than_a_coin": (DPO, trained(loss=around(0.77)), {"loss": 0.77, "coin": log(2)}),
    "by_heart": (
        DPO,
        trained(rewards__margins=around(1.0), rewards__accuracies=[0.9] * 20,
                rewards__chosen=around(-1.0)),
        {"right": 90},
    ),
    "pairs_apart": (
        DPO,
        trained(rewards__margins=around(0.07), rewards__accuracies=[0.7] * 20,
                rewards__chosen=around(-0.06)),
        {"margin": 0.07, "right": 70},
    ),
    # The fall of 0.1 is three times √2 · 0.0229 = 0.0324.
    "chosen_falling": (
        DPO,
        trained(rewards__margins=around(1.0, 40), rewards__accuracies=[0.7] * 40,
                rewards__chosen=around(-0.4) + around(-0.5)),
        {"chosen": -0.5, "margin": 1.0},
    ),
    "chosen_below_zero": (
        DPO,
        trained(rewards__margins=around(1.0), rewards__accuracies=[0.7] * 20,
                rewards__chosen=around(-0.07)),
        {"chosen": -0.07, "margin": 1.0},
    ),
    "memorising": (
        REWARD,
        {"eval/accuracy": [(0, 0.5), (10, 0.75)], **trained(accuracy=[0.9] * 10)},
        {"seen": 90, "unseen": 75},
    ),
    "guessing": (
        REWARD,
        {"eval/accuracy": [(0, 0.5), (30, 0.54)], **trained(accuracy=[0.6] * 30)},
        {"unseen": 54},
    ),
    "ranks_well": (
        REWARD,
        {"eval/accuracy": [(0, 0.5), (10, 0.8)], **trained(accuracy=[0.7] * 10)},
        {"seen": 70, "unseen": 80},
    ),
    "ranks": (
        REWARD,
        {"eval/accuracy": [(0, 0.5), (10, 0.79)], **trained(accuracy=[0.7] * 10)},
        {"seen": 70, "unseen": 79},
    ),
    # stdev = 0.1·√(20/19) = 0.1026; times √(1 + 1/20) = 0.1051, and three of these are 0.315.
    "loss_rose": (SFT, trained(loss=[1.0] + around(1.32)), {"then": 1.0, "now": 1.32}),
    # Two standard errors of the difference are 2 · √2 · 0.0229 = 0.0649.
    "loss_falling": (
        SFT,
        trained(loss=around(2.0) + around(1.5) + around(1.434)),
        {"then": 1.5, "now": 1.434},
    ),
    "loss_level": (
        SFT,
        trained(loss=around(2.0) + around(1.5) + around(1.437)),
        {"then": 1.5, "now": 1.437},
    ),
    "reward_untouched": (
        SFT | {"steps": 20},
        evaluated([0.0, 0.29], [0.0, 0.5]),
        {"then": 0.0, "now": 0.29},
    ),
    "reward_taught": (
        SFT | {"steps": 20},
        evaluated([0.0, -0.31], [0.0, 0.5]),
        {"then": 0.0, "now": -0.31},
    ),
}  # fmt: skip
