"""The lab: key experiments of the papers, on a small model whose optimum is known.

An experiment is a module of this package with

    TITLE, PAPER, CLAIM     what it is called, where it is from, what the paper claims
    SEEDS                   how many seeds its full size has
    stages(quick)           its independent runs, name -> settings; a stage needs those before it
    measure(folder, …)      one run, from its settings to what was found, both as JSON has them
    summary(runs)           the result, from the settings and findings of all runs
    verdicts(result)        whether each part of the claim holds here, by rules on the result
    findings(result)        what the result shows, with all numbers taken from it
    SENTENCES               English templates of the verdicts and findings

and `runner` runs it. What the page needs, `tabular` and the recorded results, imports no torch.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from types import ModuleType
from typing import Any

from align_core.config import model_index

TASK = "reviews"  # of the experiments that hold language models against their optimum
NAMES = ("frontier", "overoptimisation", "coverage", "shift")


def load(name: str) -> ModuleType:
    """The module of one of the NAMES."""
    return importlib.import_module(f"{__name__}.{name}")


def recorded(name: str) -> Path:
    """Where the recorded result of one of the NAMES is."""
    return model_index.ASSETS / "lab" / f"{name}.json"


def result(name: str) -> dict[str, Any]:
    """The recorded result. Raises OSError where there is none."""
    return json.loads(recorded(name).read_text(encoding="utf-8"))
