"""The settings of a run as the page's controls hold them, and back again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import gradio as gr

from align_core.config import fields, model_index
from align_core.config.methods import methods
from align_core.config.run_config import RunConfig, defaults, has
from align_core.config.task_card import card

FIRST_TASK, FIRST_METHOD = "reviews", "ppo"
# Every setting of the page: what an address may name, too.
SETTINGS = tuple(name for name, setting in fields.SETTINGS.items() if setting.link is not None)
NUMBERS = ("steps", "learning_rate", "batch_size", "seed")
PREFERENCES = ("preference_pairs", "label_noise")
ADVANCED = ("eval_every", "lora_r")
# Models by the names that the page has for them, beside each setting's default.
REWARDS = {"few": "{reward_model}-few", "off": "{reward_model}-off", "gold": "gold"}
SOURCES = {"pretrained": "pretrained"}
MODELS = {"reward_model": REWARDS, "pair_source": SOURCES}
DEFAULT_NAMES = {"reward_model": "proxy", "pair_source": "reference"}


def model_of(setting: str, name: Any, task: str) -> str | None:
    """The MODEL that a setting's control or an address calls `name`; None for the default."""
    template = MODELS[setting].get(name) if isinstance(name, str) else None
    return template and template.format(reward_model=card(task).reward_model)


def controls(config: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """What the controls show of a configuration: an update for each, by its name.

    With the explanations of its task and method, and `picture`: the two themselves.
    """
    task, method = config["task"], config["method"]
    groups = card(task).groups
    values = {**config, **{setting: _name_of(setting, config) for setting in MODELS}}
    if config["preference_pairs"] is None:  # a file was taken whole; Run takes as many as usual
        values["preference_pairs"] = defaults(method, task).get("preference_pairs")
    everything = config["coverage"] in (None, "all")
    values["coverage"] = [*groups] if everything else config["coverage"].split(",")
    updates = {name: {"value": values[name], "visible": has(method, name)} for name in SETTINGS}
    updates["coverage"]["visible"] &= bool(groups)
    updates["reward_model"]["choices"] = _rewards(task, words)
    updates["coverage"]["choices"] = [(words["groups"][task][name], name) for name in groups]
    if has(method, "beta"):
        updates["beta"]["zero"] = methods()[method].free_beta
    else:
        updates["beta"] = {"visible": "hidden"}  # it keeps its value, and goes on aiming
    return {
        "task_explanation": words["tasks"][task]["explanation"],
        "method_explanation": words["methods"][method]["explanation"],
        **{name: gr.update(**update) for name, update in updates.items()},
        "picture": {"task": task, "method": method},
    }


def options(asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the controls say, by their names, as `run_config.resolve` takes it."""
    task, method = asked["task"], asked["method"]
    given = {name: asked[name] for name in SETTINGS if name in asked and has(method, name)}
    for setting in MODELS.keys() & given.keys():
        if (model := model_of(setting, given.pop(setting), task)) is not None:
            given[setting] = model
    if isinstance(groups := given.get("coverage"), list):
        given["coverage"] = ",".join(groups) if card(task).groups else "all"
    # A field that is empty or holds no number is a slip to report, not a wish for the default.
    given = {name: math.nan if value is None else value for name, value in given.items()}
    return {"task": task, "method": method, **given}


def default_config(method: str, task: str) -> dict[str, Any]:
    """The configuration that the controls begin with, also where it lacks what a run needs."""
    chosen = {"method": method, "task": task, **defaults(method, task)}
    return RunConfig.model_construct(**chosen).model_dump(warnings=False)


def option_names() -> list[str]:
    """The options that a complaint may be about and that the page has controls for."""
    return [name for name in RunConfig.model_fields if name in ("task", "method", *SETTINGS)]


def _name_of(setting: str, config: Mapping[str, Any]) -> str:
    task, model = config["task"], config[setting]
    named = {model_of(setting, name, task): name for name in MODELS[setting]}
    without = setting == "reward_model" and card(task).reward_model is None
    return named.get(model, "gold" if without else DEFAULT_NAMES[setting])


def _rewards(task: str, words: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What PPO can optimise on a task: label and name."""
    known = {"gold", *model_index.embedded()}
    names = [name for name in REWARDS if model_of("reward_model", name, task) in known]
    names = ["proxy"] * (card(task).reward_model is not None) + names
    return [(words["controls"][f"reward_{name}"], name) for name in names]
