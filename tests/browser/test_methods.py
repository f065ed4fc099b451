"""A method of another package: installed, trained, drawn, described and compared."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import expect

from playground import text

ROOT = Path(__file__).parents[2]
WORDS = text.load("en")
RUN = "2026-01-02-030405-hinge-reviews"


@pytest.fixture
def environment(tmp_path):
    """An environment with the package of tests/fakes/hinge_method.py installed."""
    site = tmp_path / "site"
    (site / "hinge-1.0.dist-info").mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "fakes" / "hinge_method.py", site)
    (site / "hinge-1.0.dist-info" / "METADATA").write_text("Name: hinge\nVersion: 1.0\n")
    entry = "[align_core.methods]\nhinge = hinge_method:HINGE\n"
    (site / "hinge-1.0.dist-info" / "entry_points.txt").write_text(entry)
    return {"PYTHONPATH": str(site)}


@pytest.fixture
def trained(tmp_path, environment):
    """The hinge losses of a run from the command line."""
    folder = tmp_path / "runs" / RUN
    command = [sys.executable, "-m", "align_core", "train", "hinge", "--task", "reviews"]
    command += ["--steps", "6", "--eval-every", "6", "--preference-pairs", "128"]
    command += ["--run-dir", str(folder), "--json"]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True, check=True
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_a_method_of_another_package_is_trained_drawn_described_and_compared(
    trained, real_app, visit
):
    metrics = [event["metrics"] for event in trained if event["kind"] == "metrics"]
    losses = [values["loss"] for values in metrics if "loss" in values]
    # The loss is relu(1 − margin), not logistic: at a margin of 0, before any update, it is 1.
    assert losses[0] == pytest.approx(1, abs=1e-4) and len(losses) == 6
    assert trained[-1]["status"] == "finished"

    address, _ = real_app
    page = visit(address)
    expect(page.get_by_role("radio", name="Hinge")).to_be_checked()
    charts = page.locator("#own .chart h2, #own .chart h3")
    expect(charts.filter(has_text="How far apart")).to_be_visible()
    drawn = "document.querySelectorAll('#own .js-plotly-plot')[0].data[0]"
    assert page.evaluate(f"[{drawn}.x.length, {drawn}.line.dash]") == [6, "dot"]
    expect(page.locator("#live .summary")).not_to_be_empty()
    assert "Hinge" in page.locator("#live").inner_text()

    page.get_by_role("tab", name=WORDS["views"]["compare"]).click()
    expect(page.locator("#compare .legend .run span").first).to_contain_text("Hinge · β 0.5")
