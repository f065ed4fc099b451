"""The lab: key experiments of papers, on a small model whose optimum is known.

An experiment is a module of this package with

    TITLE, PAPER, CLAIM     its title, the paper, and the claim of the paper
    SETUP                   rows (presentation.Row) on its set-up, here and in the paper
    SEEDS                   the number of seeds at full size
    stages(quick)           [{run name: settings}, …]; the runs of a stage are independent of each
                            other, and may need those of earlier stages
    measure(folder, …)      executes a run: settings -> measurements, both JSON values
    summary(runs)           the result, from the settings and measurements of all runs
    verdicts(result)        whether each part of the claim holds here, by rules on the result
    comparisons(result)     the signs of the comparisons behind the verdicts: clear (±1) or not (0)
    findings(result)        what the result shows, with all numbers taken from it
    SENTENCES               English templates of the verdicts and findings
    panels(result, words)   its figure (presentation); `words` are the page's texts for figures
    report(result)          paragraphs and tables for docs/results.md, in English

`runner` executes an experiment. Its texts on the page are in `cards`, `said` and `figures` of `lab`
in the page's catalogue. The page imports these modules, so they import torch only in `measure`.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from align_core.config import model_index

TASK = "reviews"  # the task of most experiments on language models
EXACT = ("coverage", "collapse", "kl_in_loss")  # computed with numpy, in seconds
# These train language models.
TRAINED = ("frontier", "overoptimisation", "shift", "direct", "displacement", "pairs")
NAMES = EXACT + TRAINED
# Options of a quick run: few texts in an evaluation, and in a rollout.
QUICK_EVALUATION = {"eval_prompts": 8, "eval_samples": 1}
QUICK_ROLLOUT = {"batch_size": 16}


def load(name: str) -> ModuleType:
    """The module of one of the NAMES."""
    return importlib.import_module(f"{__name__}.{name}")


def recorded(name: str) -> Path:
    """The file of the recorded result of one of the NAMES."""
    return model_index.ASSETS / "lab" / f"{name}.json"


def result(name: str) -> dict[str, Any]:
    """The recorded result. Raises OSError if there is none."""
    return json.loads(recorded(name).read_text(encoding="utf-8"))
