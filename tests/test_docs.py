"""The documents say what the code does: tables come from their files, names from the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from align_core import cli
from benchmarks import defaults

ROOT = Path(__file__).parent.parent


def test_the_benchmark_page_is_what_its_results_give():
    results = json.loads(defaults.RESULTS.read_text())
    assert defaults.PAGE.read_text() == defaults.render(results)


def test_every_metric_that_the_page_draws_is_defined():
    from playground import charts

    defined = (ROOT / "docs" / "metrics.md").read_text()
    missing = [name for name in charts.DRAWN if f"`{name}`" not in defined]
    assert not missing


def test_the_commands_of_the_readme_parse():
    commands = re.findall(r"^python -m align_core (.+)$", (ROOT / "README.md").read_text(), re.M)
    assert len(commands) >= 5
    import shlex

    parser = cli._parser()
    for command in commands:
        parser.parse_args(shlex.split(command))
