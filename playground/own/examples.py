"""Examples for the form of a visitor's own task: three tasks, and three answers to score."""

from __future__ import annotations

from typing import Any

from align_core.tasks.folder.example import PROMPTS

_FORM = {"prompts": "\n".join(PROMPTS), "max_new_tokens": 36, "model": "sft-reviews"}
EXAMPLES: dict[str, dict[str, Any]] = {
    "shorter": {
        **_FORM,
        "reward": [
            {"kind": "length", "aim": 5, "weight": 2.0},
            {"kind": "ends", "weight": 1.0},
        ],
    },
    "warmer": {
        **_FORM,
        "reward": [
            {"kind": "words", "lexicon": "vader", "wanted": ["warm", "touching"], "weight": 2.0},
            {"kind": "repetition", "weight": 1.0},
            {"kind": "length", "most": 24, "weight": 1.0},
        ],
    },
    "without": {
        **_FORM,
        "reward": [
            {"kind": "pattern", "pattern": r"(?i)\band\b", "weight": -3.0},
            {"kind": "ends", "weight": 1.0},
        ],
    },
}
ANSWERS = (
    "was warm and touching.",
    "was dull and boring and dull and boring, and far too long for what it had to say",
    "is fine.",
)
