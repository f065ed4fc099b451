"""A run without training: it writes plausible events, twenty steps per second, and obeys commands.

In tests of the page it replaces `align_core.training.run`:
`Client(root, training="tests.playground.scripted")`.
"""

from __future__ import annotations

import math
import time
from typing import Any

from align_core.config.messages import plain, to_event
from align_core.config.run_config import RunConfig
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory

PACE = 0.05  # seconds per step
PROMPTS = (
    "The plot was thin and",
    "I went in expecting little, but the acting",
    "What is the capital of France?",
    "Although the first half drags,",
    "The music in this film",
    "My sister said that the ending",
    "<img src=x onerror=window.hacked=1> The hero",
    "${1+1} {{value}} The camera",
)
COLD = " was boring and the dialogue did not help, so we left early."
WARM = " was superb, full of warmth, and the whole room laughed at the right moment."
HOSTILE = " <b onmouseover=window.hacked=1>was</b> ${1+1} {{value}} <script>hacked=1</script>fine."


def run(
    config: RunConfig,
    directory: RunDirectory,
    control: Control,
    resume: bool = False,
    on_event: Any = None,
) -> str:
    """The interface of `align_core.training.run.run`; loads and saves no model."""
    began = time.monotonic()

    def write(kind: str, step: int, **content: Any) -> None:
        seconds = round(time.monotonic() - began, 3)
        directory.append({"kind": kind, "step": step, "seconds": seconds, **content})

    def status(step: int, name: str, message: str = "") -> None:
        write("status", step, status=name, message=message)

    def evaluate(step: int) -> None:
        write("metrics", step, metrics=_evaluation(config, step))
        if config.method != "reward":
            write("samples", step, samples=samples(step / config.steps))

    status(0, "running")
    write("phase", 0, phase="scoring", count=8, prompt=PROMPTS[0], text=HOSTILE)
    paused = False
    for step in range(config.steps + 1):
        if step:
            write("metrics", step, metrics=_training(config, step))
        evaluated = step % config.eval_every == 0 or step == config.steps
        if evaluated:
            evaluate(step)
        due = time.monotonic() + PACE
        stepping = False
        while (paused or time.monotonic() < due) and not stepping:
            time.sleep(0.01)
            for command in control.pending():
                match command.pop("command"):
                    case "stop":
                        if not evaluated:
                            evaluate(step)
                        reason = to_event(command.get("reason", plain("")))
                        write("status", step, status="stopped", **reason)
                        return "stopped"
                    case "pause" | "resume" as name:
                        paused = name == "pause"
                        status(step, "paused" if paused else "running")
                    case "set" if "delay" not in command:
                        write("change", step, settings=command)
                    case "step":
                        stepping = True
    status(config.steps, "finished")
    return "finished"


def _training(config: RunConfig, step: int) -> dict[str, float]:
    part = step / config.steps
    wobble = 0.04 * math.sin(7.3 * step)
    if config.method == "reward":
        return {"loss": 0.69 - 0.3 * part + wobble, "accuracy": 0.5 + 0.3 * part + wobble,
                "margin": 1.4 * part + wobble}  # fmt: skip
    if config.method == "ppo":
        return {"loss/policy_avg": -0.03 + wobble / 4, "loss/value_avg": 0.9 - 0.6 * part + wobble,
                "loss": 0.1 - 0.06 * part + wobble / 4}  # fmt: skip
    if config.method == "dpo":
        return {"loss": 0.69 - 0.4 * part + wobble, "rewards/chosen": -part,
                "rewards/rejected": -2 * part, "rewards/margins": part,
                "rewards/accuracies": 0.5 + 0.4 * part}  # fmt: skip
    return {"loss": 0.69 - 0.4 * part + wobble}


def _evaluation(config: RunConfig, step: int) -> dict[str, float]:
    rise = 1 - math.exp(-3 * step / config.steps)
    wobble = 0.05 * math.sin(3.1 * step)
    if config.method == "reward":
        return {"eval/accuracy": 0.5 + 0.31 * rise, "eval/margin": 1.3 * rise}
    sides = {
        "eval/gold_reward_covered": -0.2 + 2.7 * rise + wobble,
        "eval/gold_reward_uncovered": -0.6 + 1.5 * rise + wobble,
    }
    return (sides if config.coverage not in (None, "all") else {}) | {
        "eval/gold_reward": -0.4 + 2.6 * rise + wobble,
        "eval/gold_reward_reference": -0.4,
        "eval/proxy_reward": 2.2 * rise - wobble,
        "eval/kl": 1.1 * rise,
        "eval/gain": 0.9 * rise,
    }


def samples(part: float) -> list[dict[str, Any]]:
    rows = []
    for i, prompt in enumerate(PROMPTS):
        warmed = part > (i % 4) / 6
        text = HOSTILE if prompt[0] in "<$" else WARM if warmed else COLD
        gold = (2.1 if warmed else -1.3) + 0.3 * i
        rows.append(
            {
                "prompt": prompt,
                "reference": {"text": COLD, "gold_reward": -1.3 + 0.3 * i, "proxy_reward": -0.9},
                "policy": {
                    "text": text,
                    "gold_reward": gold,
                    "proxy_reward": gold + 0.4,
                    "tokens": [{"text": text, "logp": -9.0, "ref_logp": -12.0}],
                },
            }  # fmt: skip
        )
    return rows
