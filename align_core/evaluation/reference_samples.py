"""Stored samples of a reference, from which its optimum is known before any training."""

from __future__ import annotations

from align_core.config.model_index import reference_samples
from align_core.config.task_card import BUILT_IN, card
from align_core.optimum import Frontier, ReferenceSamples


def stored_samples(task: str, split: str) -> ReferenceSamples | None:
    """Samples of the reference of a built-in task; None for any other task, which has none."""
    return ReferenceSamples.load(reference_samples(task, split)) if task in BUILT_IN else None


def frontier(task: str, reference: str, split: str, prompts: list[str]) -> Frontier | None:
    """The frontier of the task's reference on these prompts; None for any other model, and where
    no samples are stored."""
    stored = stored_samples(task, split) if reference == card(task).reference else None
    return stored and Frontier.of(stored.only(prompts).rewards)
