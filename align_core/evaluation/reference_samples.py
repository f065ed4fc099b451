"""Stored samples of a reference, from which its optimum is known before any training."""

from __future__ import annotations

from align_core.config.model_index import reference_samples
from align_core.optimum import Frontier, ReferenceSamples


def frontier(task: str, reference: str, split: str, prompts: list[str]) -> Frontier | None:
    """The frontier of the task's embedded SFT model on these prompts; None for any other model."""
    if reference != f"sft-{task}":
        return None
    stored = ReferenceSamples.load(reference_samples(task, split))
    return Frontier.of(stored.only(prompts).rewards)
