from __future__ import annotations

import pytest

from align_core.configs import METHODS, TASK_NAMES
from playground import charts, text
from playground.steering import NUMBERS

WORDS = text.load("en")


def test_every_task_method_and_control_has_its_words():
    assert set(WORDS["tasks"]) == set(TASK_NAMES)
    assert set(WORDS["methods"]) == set(METHODS)
    assert {"task", "method", *NUMBERS} <= set(WORDS["controls"])


def test_every_chart_and_metric_is_explained_and_has_a_unit():
    for chart in (chart for drawn in charts.CHARTS.values() for chart in drawn):
        assert WORDS["charts"]["titles"][chart["id"]]
        assert WORDS["charts"]["help"][chart["id"]]
        for metric in chart["metrics"]:
            assert set(WORDS["charts"]["metrics"][metric]) == {"name", "unit", "help"}


def test_every_status_has_a_name():
    statuses = {"running", "paused", "finished", "stopped", "failed"}
    assert statuses < set(WORDS["status"]["names"])


def test_a_language_without_catalogue_is_refused():
    with pytest.raises(FileNotFoundError):
        text.load("xx")
