"""The figures of runs."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from align_core import load_run, plots
from align_core.config.model_index import ASSETS
from align_core.config.run_config import resolve
from playground.content import optimum

STATIC = Path(__file__).parent.parent / "playground" / "static"


@pytest.fixture(scope="module")
def ppo():
    return load_run(ASSETS / "presets" / "healthy-ppo")


@pytest.fixture(scope="module")
def dpo():
    return load_run(ASSETS / "presets" / "healthy-dpo")


def traces(figure):
    return {trace.name: trace for trace in figure.data}


def drawn(method="ppo", changes=(), loss=None, **columns):
    """A run of a few rows, [step 0, 1, …]."""
    loss = {} if loss is None else {"loss": loss}
    config = resolve(method=method, task="reviews", steps=10, **loss)
    metrics = pd.DataFrame({name.replace("__", "/"): v for name, v in columns.items()}, dtype=float)
    return plots.PlottedRun("run", config, metrics, dict(changes))


def test_the_colours_are_those_of_the_page():
    light = (STATIC / "core/style.css").read_text().split("}")[0]
    page = dict(re.findall(r"--([\w-]+): ([^;]+);", light))
    assert {name: page[name] for name in plots.COLOURS} == plots.COLOURS
    colours = re.findall(r"--run-[a-d]: ([^;]+);", light)
    looks = re.findall(
        r'dash: "(\w+)".*symbol: "([\w-]+)"', (STATIC / "compare/labels.js").read_text()
    )
    assert tuple((c, *look) for c, look in zip(colours, looks, strict=True)) == plots.RUNS


def test_the_frontier_figure_equals_the_pages(ppo):
    page, shown = optimum.frontier("reviews"), traces(ppo.plot())
    limit, crosses = shown["the limit: no policy gets more"], shown["best of n"]
    np.testing.assert_allclose(np.array(page["curve"]).T, [limit.x, limit.y], atol=5e-5)
    np.testing.assert_allclose(
        [row[1:] for row in page["best_of"]],
        list(zip(crosses.x, crosses.y, strict=True)),
        atol=5e-5,
    )
    target, aim = optimum.target({"task": "reviews", "beta": 0.7}), shown["the optimum at β = 0.7"]
    assert (aim.x[0], aim.y[0]) == pytest.approx((target["kl"], target["gain"]), abs=5e-5)
    assert aim.marker.symbol == "diamond"
    trail, metrics = shown["healthy-ppo"], ppo.metrics.dropna(subset="eval/kl")
    assert list(trail.x) == list(metrics["eval/kl"])
    np.testing.assert_allclose(trail.y, metrics["eval/gain"] * page["full_gain"], atol=1e-4)
    assert trail.line.color == plots.COLOURS["policy"] and trail.marker.size[-1] == 14


def test_the_curves_belong_to_the_method(ppo):
    figure = ppo.plot()
    shown = traces(figure)
    gold, proxy, kl = (shown[f"eval/{name}"] for name in ("gold_reward", "proxy_reward", "kl"))
    assert [t.line.color for t in (gold, proxy, kl)] == ["#a46200", "#7b3fb8", "#00795c"]
    assert [t.line.dash for t in (gold, proxy, kl)] == ["solid", "dash", "solid"]
    assert (gold.yaxis, proxy.yaxis, kl.yaxis) == ("y2", "y2", "y3"), (
        "the y axis is that of the frontier chart"
    )
    assert figure.layout.yaxis3.rangemode == "tozero"
    assert list(figure.layout.xaxis2.range) == pytest.approx([-1.2, 61.2]), "of 60 steps"
    start = ppo.metrics["eval/gold_reward_reference"].dropna().iloc[0]
    assert [shape.y0 for shape in figure.layout.shapes] == [start]


def test_several_runs_are_drawn_in_one_figure(ppo, dpo):
    figure = ppo.plot(dpo)
    for run, (colour, dash, symbol) in zip((ppo, dpo), plots.RUNS, strict=False):
        own = [trace for trace in figure.data if trace.name == run.path.name]
        assert [trace.yaxis for trace in own] == ["y", "y2", "y3", "y4"], "trade, gold, proxy, KL"
        assert {(t.line.color, t.line.dash, t.marker.symbol) for t in own} == {
            (colour, dash, symbol)
        }
        assert [trace.showlegend for trace in own] == [None, False, False, False]
    assert list(figure.layout.xaxis2.range) == pytest.approx([-0.02 * 250, 1.02 * 250])
    assert not figure.layout.shapes


def test_a_live_change_moves_the_target_and_is_marked():
    run = drawn(eval__kl=[0.0, 0.5], eval__gain=[0.0, 0.4], changes={1: {"beta": 0.3}})
    figure = plots.figure([run])
    target = optimum.target({"task": "reviews", "beta": 0.3})
    aim = traces(figure)["the optimum at β = 0.3"]
    assert aim.x[0] == pytest.approx(target["kl"], abs=5e-5)
    assert [shape.x0 for shape in figure.layout.shapes] == [1]
    assert "beta 0.3" in [note.text for note in figure.layout.annotations]


def test_an_uncertain_target_is_hollow_and_without_a_penalty_there_is_none():
    run = drawn(eval__kl=[0.0], changes={0: {"beta": 0.05}})
    assert traces(plots.figure([run]))["the optimum at β = 0.05"].marker.symbol == "diamond-open"
    run = drawn(eval__kl=[0.0], changes={0: {"beta": 0.0}})
    assert not any("optimum" in name for name in traces(plots.figure([run])))


def test_the_target_is_the_optimum_that_the_method_seeks():
    own = optimum.target({"task": "reviews", "beta": 0.5, "sought": "chi2"})
    figure = plots.figure([drawn("dpo", loss="chipo", eval__kl=[0.0])])
    aim = traces(figure)["the optimum at β = 0.5"]
    assert (aim.x[0], aim.y[0]) == pytest.approx((own["kl"], own["gain"]), abs=5e-5)
    for method, loss in (("dpo", "ipo"), ("grpo", "dapo")):
        figure = plots.figure([drawn(method, loss=loss, eval__kl=[0.0])])
        assert not any("optimum" in name for name in traces(figure))


def test_rounding_noise_is_not_drawn_and_outliers_do_not_widen_the_axes():
    flat = plots.figure([drawn(eval__kl=[0.0, 0.001], eval__gain=[0.0, 0.001])])
    assert list(flat.layout.yaxis2.range) == [0.0, 0.04], "0.0005 ± 0.02, not below 0"
    far = plots.figure([drawn(eval__kl=[0.0, 4.0, 250.0], eval__gain=[0.0, 0.5, -9.0])])
    assert list(far.layout.xaxis.range) == pytest.approx([-0.088, 4.4])


def test_a_reward_model_has_no_frontier_chart():
    run = drawn("reward", eval__accuracy=[0.5, 0.7], accuracy=[np.nan, 0.6])
    figure = plots.figure([run])
    assert traces(figure).keys() == {"eval/accuracy", "accuracy"}
    assert figure.layout.yaxis.tickformat == "~%" and figure.layout.yaxis.rangemode == "nonnegative"


def test_a_run_without_measurements_shows_the_limit():
    assert traces(plots.figure([drawn()])).keys() == {
        "the limit: no policy gets more", "best of n", "the optimum at β = 0.7", "run"
    }  # fmt: skip


@pytest.mark.parametrize(
    "others, line",
    [
        (["dpo"] * 4, "expected at most 4 runs, got 5"),
        (["reward"], "expected one kind of model, got a policy and a reward model"),
    ],
)
def test_runs_that_cannot_be_compared(others, line):
    with pytest.raises(ValueError, match=line):
        plots.figure([drawn(), *map(drawn, others)])


def test_runs_of_two_tasks(ppo):
    config = resolve(method="ppo", task="capitals")
    other = SimpleNamespace(config=config)
    with pytest.raises(ValueError, match="expected runs of one task, got capitals and reviews"):
        plots.figure([drawn(), other])


def test_without_plotly_one_line_says_what_to_install(ppo, monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.subplots", None)
    line = r"^run\.plot\(\) needs plotly: pip install alignment-playground\[app\]$"
    with pytest.raises(ModuleNotFoundError, match=line):
        ppo.plot()
