"""An evaluator of toy policies, its prompts and its proxy reward."""

from __future__ import annotations

from align_core.evaluation.evaluator import Evaluator
from tests import toy

PROMPTS = ["the film", "a", "the plot was never dull . the film"]


def proxy(prompts, completions, completion_ids) -> list[float]:
    """A reward that depends on the lengths of a text and its prompt."""
    return [
        10.0 + len(ids) + len(prompt) for prompt, ids in zip(prompts, completion_ids, strict=True)
    ]


def evaluator(reference=None, prompts=PROMPTS, **changes) -> Evaluator:
    return Evaluator(
        prompts,
        toy.tokenizer(),
        reference,
        **{
            "gold": toy.reward,
            "proxy": proxy,
            "stored": None,
            "max_new_tokens": 10,
            "seed": 0,
            "samples": 4,
            **changes,
        },
    )
