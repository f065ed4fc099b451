"""The data of the story's scenes (static/story): stored texts, recorded runs, exact optima.

`assets/story` is the run directory, without its model, of the reward model that the story trains:

    align-core train reward --task reviews --eval-every 5 --run-dir assets/story
"""

from __future__ import annotations

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

from align_core import experiments
from align_core.config import model_index
from align_core.runs import presets
from align_core.runs.directory import RunDirectory
from align_core.votes.simulated_raters import Rater
from playground.content import charts, optimum

TASK = "reviews"
DRAWN = 12  # stored samples of the reference for each prompt; the story shows some of them
# Prompts, and the indices of their samples that are shown.
QUESTION = ("This musical from another planet", (1, 0))
WRITTEN = ("The photography of this comedy", range(DRAWN))
VOTED = (
    ("The man behind me thought the jokes", (2, 3)),
    ("My mother thought the hero", (1, 2)),
    ("The costumes in this documentary", (4, 2)),
    ("The children in this film were", (4, 5)),
)
VOTES = 100  # for each pair
# Recorded runs of presets, and the probe prompt whose texts are shown.
CLIMBS = ("healthy-ppo", "While the hero seemed slightly")
HACKS = ("no-leash", "The man behind me thought the jokes")
PAIRS = ("healthy-dpo", "The sets in this romance never")
# The scene of β: its prompt, and the values of its slider.
DIAL = "While the hero seemed slightly"
BETAS = (0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10, 20)
METRICS = (
    *("eval/gold_reward", "eval/proxy_reward", "eval/kl", "eval/gain"),
    *("eval/frontier_efficiency", "eval/accuracy"),
)
BUDGET = "1"  # nats of KL within which the lab compares PPO and DPO


@cache
def scenes() -> dict[str, Any]:
    """The data of each scene by its name, and the `frontier` of their task."""
    best = optimum.of_task(TASK)
    frontier = {name: value for name, value in best.frontier.items() if name != "texts"}
    drawn = [{text["prompt"]: text for text in best.sample(number)} for number in range(DRAWN)]

    def texts(prompt: str, numbers: Any) -> dict[str, Any]:
        return {"prompt": prompt, "texts": [drawn[number][prompt] for number in numbers]}

    lesson = json.loads(model_index.worked_example(TASK).read_text(encoding="utf-8"))
    return {
        "frontier": frontier,
        "question": texts(*QUESTION),
        "sft": {**texts(*WRITTEN), "settings": {"task": TASK, "method": "sft"}},
        "votes": [_voted(texts(*pair)) for pair in VOTED],
        "reward": _reward_model(lesson["pair"]),
        "ppo": _recorded(*CLIMBS) | {"lesson": {"token": lesson["token"]}},
        "beta": [_at(best, beta) for beta in BETAS],
        "no_leash": _recorded(*HACKS),
        "dpo": _recorded(*PAIRS) | {"lab": _lab(), "lesson": {"pair": lesson["pair"]}},
    }


def _voted(pair: dict[str, Any]) -> dict[str, Any]:
    """A pair with simulated votes: 0 for its first text, 1 for its second."""
    left, right = (text["gold_reward"] for text in pair["texts"])
    rater, rng = Rater(), random.Random(0)
    return {**pair, "votes": [int(rater.choose(left, right, rng) == "right") for _ in range(VOTES)]}


def _recorded(name: str, prompt: str) -> dict[str, Any]:
    """The recorded run of a preset, with its texts to one prompt, and the preset's settings."""
    preset = presets.load(name)
    run = _run(model_index.RECORDED + name, preset.recording)
    for samples in run["samples"]:
        samples["rows"] = [row for row in samples["rows"] if row["prompt"] == prompt]
    return {"run": run, "settings": preset.settings}


def _reward_model(pair: dict[str, Any]) -> dict[str, Any]:
    """The recorded training of a reward model, and a pair with the embedded model's scores."""
    run = _run(f"{model_index.RECORDED}story", model_index.ASSETS / "story")
    settings = {"task": TASK, "method": "reward"}
    return {"run": run, "pair": pair, "settings": settings}


def _run(name: str, path: Path) -> dict[str, Any]:
    """A recorded run: its configuration and all its events, as a page receives them."""
    directory = RunDirectory(path)
    additions = charts.delta(directory.events()[0])
    points = {name: additions["points"].get(name, []) for name in METRICS}
    config = directory.config.model_dump()
    return {"run": name, "config": config, **additions, "points": points, "offset": 0}


def _at(best: optimum.Optimum, beta: float) -> dict[str, Any]:
    """The optimum at a β, with its text to one prompt."""
    point = best.at(beta)
    (text,) = (text for text in point.pop("texts") if text["prompt"] == DIAL)
    return {**point, "text": text}


def _lab() -> dict[str, Any]:
    """The gains of PPO and DPO within a KL of BUDGET as shares of the optimum's gain, and their
    difference, over the lab's seeds."""
    result = experiments.result("frontier")
    shares = {method: result["shares"][method][BUDGET] for method in ("ppo", "dpo")}
    return {**shares, "difference": result["dpo_over_ppo"][BUDGET], "kl": float(BUDGET)}
