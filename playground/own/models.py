"""The models from which a visitor's own task may start, and the reward models that it may use."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.messages import Message, problem
from align_core.config.model_index import SMOLLM2
from align_core.config.task_card import BUILT_IN, known_reference
from playground.content.page_names import from_page, page_name


class Models:
    """The embedded models, SmolLM2 if it was fetched, and those `named` when the server starts.

    With `any_hub_id` a visitor may also give a hub id, if HF_HUB_OFFLINE=0 allows a download.
    """

    def __init__(self, named: Sequence[str] = (), any_hub_id: bool = False) -> None:
        self._named = [model_index.absolute(model) for model in named]
        self._any_hub_id = any_hub_id and os.environ.get("HF_HUB_OFFLINE") == "0"

    def choices(self) -> dict[str, Any]:
        """`models`, [{"model", "name"}, …], and `reward_models` to choose from; whether another
        model may be given as a `hub` id; and whether SmolLM2 was `fetched`."""
        embedded = model_index.embedded()
        scoring = [name for name in embedded if _scores(name)]
        references = [known_reference(task) for task in BUILT_IN]
        others = [name for name in embedded if name not in (*references, *scoring)]
        fetched = [SMOLLM2] if model_index.is_here(SMOLLM2) else []
        names = (*self._named, *references, *others, *fetched)
        return {
            "models": [{"model": page_name(name), "name": Path(name).name} for name in names],
            "reward_models": scoring,
            "hub": self._any_hub_id,
            "fetched": fetched != [],
        }

    def checked(self, model: str) -> tuple[str, Message | None]:
        """The model that the form names, by default the first choice, and its error, or None."""
        names = [choice["model"] for choice in self.choices()["models"]]
        chosen = page_name(model) or names[0]
        return (from_page(chosen), None) if chosen in names else (model, self._refusal(model))

    def reward_model_problem(self, model: str) -> Message | None:
        """The error of a part's reward model; None for a model that may be used."""
        return None if model in self.choices()["reward_models"] else self._refusal(model)

    def _refusal(self, model: str) -> Message | None:
        got = repr(model[:60])
        if not self._any_hub_id or Path(model).exists():
            text = "expected one of the models to choose from, got {got}"
            return problem("model_choice", text, got=got)
        if why := _problem(model):
            return problem("hub_id", "expected a hub id, got {got}: {why}", got=got, why=why)
        return None


def _problem(model: str) -> str | None:
    """The reason why the model cannot be found; None if it can."""
    try:
        model_index.locate(model)
    except (ValueError, OSError) as error:
        return str(error)
    return None


def _scores(name: str) -> bool:
    return model_index.is_reward_model(model_index.locate(name))
