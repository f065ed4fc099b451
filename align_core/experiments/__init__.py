"""The lab: key experiments of papers, on a small model whose optimum is known.

An experiment is a module of this package with

    TITLE, PAPER, CLAIM     its title, the paper, and the claim of the paper
    SEEDS                   the number of seeds at full size
    stages(quick)           [{run name: settings}, …]; the runs of a stage are independent of each
                            other, and may need those of earlier stages
    measure(folder, …)      executes a run: settings -> measurements, both JSON values
    summary(runs)           the result, from the settings and measurements of all runs
    verdicts(result)        whether each part of the claim holds here, by rules on the result
    comparisons(result)     the signs of all comparisons that these rules call clear or not
    findings(result)        what the result shows, with all numbers taken from it
    SENTENCES               English templates of the verdicts and findings

`runner` executes it. The page uses `tabular` and the recorded results, which need no torch.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from align_core.config import model_index

TASK = "reviews"  # of the experiments on language models
NAMES = ("frontier", "overoptimisation", "coverage", "shift")


def load(name: str) -> ModuleType:
    """The module of one of the NAMES."""
    return importlib.import_module(f"{__name__}.{name}")


def recorded(name: str) -> Path:
    """The file of the recorded result of one of the NAMES."""
    return model_index.ASSETS / "lab" / f"{name}.json"


def result(name: str) -> dict[str, Any]:
    """The recorded result. Raises OSError if there is none."""
    return json.loads(recorded(name).read_text(encoding="utf-8"))
