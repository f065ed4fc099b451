"""Conversion between a run's configuration and the values of the page's controls."""

from __future__ import annotations

import math
from collections.abc import Mapping
from html import escape
from typing import Any

import gradio as gr

from align_core.config import fields, model_index
from align_core.config.methods import methods
from align_core.config.option_checks import has
from align_core.config.run_config import RunConfig, defaults
from align_core.config.task_card import known_card, registered
from playground.content.page_names import page_name

# The page's first choices; PPO needs only prompts, which every task has.
FIRST_TASK, FIRST_METHOD = "reviews", "ppo"
# The settings that have a control: those that a link may set.
SETTINGS = tuple(
    name for name, setting in fields.SETTINGS.items() if setting.link or setting.link_range
)
# Groups of number fields.
NUMBERS = ("steps", "learning_rate", "batch_size", "seed")
PREFERENCES = ("preference_pairs", "label_noise")
ADVANCED = ("eval_every", "lora_r", "group_size", "scale", "margin", "odds_weight")
# The settings whose possible values depend on the method.
CHOICES = tuple(name for name in SETTINGS if fields.SETTINGS[name].kind == "choice")
# The choices, besides the default, of a setting that names a model: name -> value of the setting.
REWARDS = {"few": "{reward_model}-few", "off": "{reward_model}-off", "gold": "gold"}
SOURCES = {"pretrained": "pretrained"}
MODELS = {"reward_model": REWARDS, "pair_source": SOURCES}
DEFAULT_NAMES = {"reward_model": "proxy", "pair_source": "reference"}
LABELS = {
    "reward_model": "reward",
    "pair_source": "source",
}  # the first words of their labels' keys


def first_task() -> str:
    """The task that the page opens with: the first that `--task` named, else FIRST_TASK."""
    return next(iter(registered()), FIRST_TASK)


def model_of(setting: str, name: Any, task: str) -> str | None:
    """The value of a setting for its choice `name`: a model, or the name of a misspecified reward
    of the task; None for the default."""
    template = _templates(setting, task).get(name) if isinstance(name, str) else None
    return template and template.format(reward_model=known_card(task).reward_model)


def model_label(setting: str, model: str | None, task: str, words: Mapping[str, Any]) -> str | None:
    """The label of the choice that stands for a model as the value of a setting; the model itself
    if no choice does."""
    names = {model_of(setting, name, task): name for name in _templates(setting, task)}
    if setting == "reward_model":
        names[known_card(task).reward_model] = DEFAULT_NAMES[setting]
    label = f"{LABELS[setting]}_{names[model]}" if model and model in names else None
    return words["controls"].get(label, model)


def controls(config: Mapping[str, Any], words: Mapping[str, Any]) -> dict[str, Any]:
    """Name of a control -> the update that makes it show the configuration.

    The controls include the explanations of task and method, the methods for which the task has
    data, and `picture`, {"task", "method", "loss"}.
    """
    task, method = config["task"], config["method"]
    groups = known_card(task).groups
    values = {**config, **{setting: _name_of(setting, config) for setting in MODELS}}
    # None means all pairs of a file. The control shows the default number, which Run takes.
    if config["preference_pairs"] is None:
        values["preference_pairs"] = defaults(method, task).get("preference_pairs")
    covers_all = config["coverage"] in (None, "all")
    values["coverage"] = [*groups] if covers_all else config["coverage"].split(",")
    updates = {name: {"value": values[name], "visible": has(method, name)} for name in SETTINGS}
    updates["coverage"]["visible"] &= bool(groups)
    updates["reward_model"]["choices"] = _rewards(task, words)
    updates["coverage"]["choices"] = [
        (words["groups"][page_name(task)][name], name) for name in groups
    ]
    for name in CHOICES:
        updates[name]["choices"] = [
            (words["choices"][name][value], value)
            for value in methods()[method].choices.get(name, ())
        ]
    if has(method, "beta"):
        updates["beta"]["zero"] = methods()[method].free_beta
    else:
        updates["beta"] = {"visible": "hidden"}  # keeps its value, which the frontier still shows
    return {
        "method": gr.update(offered=methods_for(task)),
        "task_explanation": escape(_explanation(task, words), quote=False),
        "method_explanation": escape(words["methods"][method]["explanation"], quote=False),
        **{name: gr.update(**update) for name, update in updates.items()},
        "picture": {"task": task, "method": method, "loss": config["loss"]},
    }


def _explanation(task: str, words: Mapping[str, Any]) -> str:
    """The task's explanation in the catalogue, or on the card of a task that a visitor made."""
    known = words["tasks"].get(page_name(task))
    return known["explanation"] if known else known_card(task).explanation


def methods_for(task: str) -> list[str]:
    """The methods for which the task has data."""
    known = known_card(task)
    lacking = {
        "demonstrations": not known.demonstrations,
        "rollouts": not known.has_gold and known.reward_model is None,
    }
    return [name for name, method in methods().items() if not lacking.get(method.learns_from)]


def offered_method(method: Any, task: str) -> str:
    """The method or, if the task has no data for it, FIRST_METHOD or the first that has data."""
    offered = methods_for(task)
    return next(name for name in (method, FIRST_METHOD, *offered) if name in offered)


def options(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of `run_config.resolve` for `values`, control -> value."""
    task, method = values["task"], values["method"]
    chosen = {name: values[name] for name in SETTINGS if name in values and has(method, name)}
    for setting in MODELS.keys() & chosen.keys():
        if (model := model_of(setting, chosen.pop(setting), task)) is not None:
            chosen[setting] = model
    if isinstance(groups := chosen.get("coverage"), list):
        chosen["coverage"] = ",".join(groups) if known_card(task).groups else "all"
    # An empty field is an error to report, not a request for the default.
    chosen = {name: math.nan if value is None else value for name, value in chosen.items()}
    return {"task": task, "method": method, **chosen}


def default_config(method: str, task: str) -> dict[str, Any]:
    """The default configuration. Not validated, because the defaults may not suffice for a run."""
    chosen = {"method": method, "task": task, **defaults(method, task)}
    return RunConfig.model_construct(**chosen).model_dump(warnings=False)


def option_names() -> list[str]:
    """The options that have a control, in the order of the configuration."""
    return [name for name in RunConfig.model_fields if name in ("task", "method", *SETTINGS)]


def _name_of(setting: str, config: Mapping[str, Any]) -> str:
    """The name of the choice that a configuration makes for a setting of MODELS."""
    task, model = config["task"], config[setting]
    names = {model_of(setting, name, task): name for name in _templates(setting, task)}
    gold_only = setting == "reward_model" and known_card(task).reward_model is None
    return names.get(model, "gold" if gold_only else DEFAULT_NAMES[setting])


def _rewards(task: str, words: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The rewards that PPO can optimise on a task: (label, name)."""
    available = {"gold", *known_card(task).proxies, *model_index.embedded()}
    choices = _templates("reward_model", task)
    names = [name for name in choices if model_of("reward_model", name, task) in available]
    names = ["proxy"] * (known_card(task).reward_model is not None) + names
    return [(words["controls"].get(f"reward_{name}", name), name) for name in names]


def _templates(setting: str, task: str) -> dict[str, str]:
    """The choices of a setting of MODELS on a task, besides the default: name -> model."""
    proxies = known_card(task).proxies if setting == "reward_model" else ()
    return {**MODELS[setting], **{name: name for name in proxies}}
