"""The model card of an exported run: Markdown with the metadata that the Hub reads.

The contents of a run's folder may come from anyone, so every text from it is shortened and escaped,
and only the last part of a path is shown.
"""

from __future__ import annotations

import json
from pathlib import Path

from huggingface_hub import ModelCardData

from align_core.config import model_index
from align_core.config.errors import ConfigError
from align_core.config.methods import methods
from align_core.config.run_config import RunConfig
from align_core.config.task_card import BUILT_IN, NAMES, card, known_card
from align_core.runs.commands import command, last_part
from align_core.runs.directory import RunDirectory
from align_core.runs.events import series, settings_at
from align_core.runs.markdown import escaped, results, rows_of

OWN_LICENCE = "apache-2.0"  # of the embedded models, and of the data of the built-in tasks

_MAX_ANCESTORS = 8  # runs that are followed back to the base model
_USE = """```python
from transformers import {factory}, AutoTokenizer

model = {factory}.from_pretrained("path/to/this/folder")
tokenizer = AutoTokenizer.from_pretrained("path/to/this/folder")
```"""


def model_card(run: RunDirectory) -> str:
    """The card of the model of a run."""
    config, events = run.config, run.events()[0]
    is_reward_model = methods()[config.method].makes == "reward model"
    base_model, base, licence = _base(config.model)
    data = ModelCardData(
        license=licence or "unknown",
        library_name="transformers",
        pipeline_tag="text-classification" if is_reward_model else "text-generation",
        base_model=base_model,
        base_model_relation=base_model and "finetune",
        tags=[
            "alignment-playground",
            config.method,
            *(["reward-model"] if is_reward_model else []),
        ],
    )
    kind = " Its raw output is a reward in nats, up to an offset." if is_reward_model else ""
    factory = "AutoModelForSequenceClassification" if is_reward_model else "AutoModelForCausalLM"
    settings = settings_at(config.model_dump(), events)
    facts = {
        "method": config.method,
        "task": _task(config.task),
        "preferences": _preferences(config),
        "base model": base + (f", licence {licence}" if licence else ", licence not known"),
        "β": settings["beta"],
        "reward": _reward(config),
        "adapter": f"LoRA of rank {config.lora_r}, merged" if config.lora_r else None,
        "seed": config.seed,
    }
    changed = any(event["kind"] == "change" for event in events)
    note = "β or the learning rate was changed during the run.\n\n" if changed else ""
    return f"""---
{data.to_yaml().strip()}
---

# {config.method} on {_title(config.task)}

A {"reward model" if is_reward_model else "language model"} trained in Alignment Playground.{kind}

| | |
| --- | --- |
{rows_of(facts)}

{results(config.steps, series(events))}

## Use

{_USE.format(factory=factory)}

## Command

{note}```
{command(config.model_dump())}
```
"""


def _base(model: str) -> tuple[str | None, str, str | None]:
    """Hub id, name on the card, and licence of the model from which `model` was trained, over
    several runs if need be. Hub id and licence are None if not known."""
    for _ in range(_MAX_ANCESTORS):
        if (run := model_index.run_of(model)) is None:
            break
        try:
            model = RunDirectory.open(run).config.model
        except ConfigError:  # a run of another version
            break
    if model == model_index.SMOLLM2:
        origin = model_index.SMOLLM2_HUB_ID
        return origin, f"{origin}, {_fetched_weights()}", model_index.SMOLLM2_LICENCE
    if model in model_index.embedded():
        sharpened = model in {known_card(task).reference for task in BUILT_IN}
        note = f" (SFT, with logits multiplied by {model_index.SHARPNESS:g})" if sharpened else ""
        return None, f"{model} of Alignment Playground{note}", OWN_LICENCE
    if model_index.is_hub_id(model) and not Path(model).exists():
        return model, model, None
    return None, _model(model), None


def _fetched_weights() -> str:
    """A description of the fetched weights of SmolLM2."""
    try:
        file = model_index.fetched_folder(model_index.SMOLLM2) / "origin.json"
        return escaped(json.loads(file.read_text(encoding="utf-8"))["weights"])
    except (OSError, ValueError, KeyError, TypeError):
        return "weights not known"


def _reward(config: RunConfig) -> str | None:
    """The reward that the run optimised; None if it had none."""
    name, task = config.reward_model, card(config.task)
    if name == "gold":
        return "the task's gold reward"
    if task is not None and name in task.proxies:
        return f"{name}, a misspecified reward of the task"
    return name and _model(name)


def _model(model: str) -> str:
    """The model as the card names it."""
    is_name = model in model_index.named() or model_index.is_hub_id(model)
    return model if is_name else escaped(last_part(model))


def _title(task: str) -> str:
    return known_card(task).title if task in NAMES else escaped(last_part(task))


def _task(task: str) -> str:
    if task in NAMES:
        return f"{_title(task)}: prompts and reward of Alignment Playground, licence {OWN_LICENCE}"
    return f"{_title(task)}: not a task of Alignment Playground, licence not known"


def _preferences(config: RunConfig) -> str | None:
    """The pairs that the run learnt from; None if it learnt from none."""
    if config.preferences is not None:
        return f"{escaped(last_part(config.preferences))}, licence not known"
    if config.preference_pairs is None:
        return None
    return f"{config.preference_pairs} pairs of sampled texts, labelled by the task's rater"
