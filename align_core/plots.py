"""Figures of runs, like those of the page: the reward–KL chart, and the charts of the method.

Plotly is imported only when a figure is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from align_core.config.methods import Chart, Curve, methods, sought_optimum
from align_core.config.run_config import RunConfig
from align_core.config.task_card import card
from align_core.evaluation.prepared import stored_samples
from align_core.optimum import Trade, chi_squared_optimum, optimum

if TYPE_CHECKING:
    from pandas import DataFrame, Series

# The colours of the page's light theme (playground/static/core/style.css).
COLOURS = {
    "card": "#ffffff",
    "muted": "#56637a",
    "hairline": "#dfe4ec",
    "policy": "#1f5fd0",
    "gold": "#a46200",
    "proxy": "#7b3fb8",
    "kl": "#00795c",
    "loss": "#56637a",
    "reach": "rgb(31 95 208 / 7%)",
}
# Colour, dash and symbol of each of several runs (playground/static/compare).
RUNS = (
    ("#0072b2", "solid", "circle"),
    ("#b34700", "dash", "square"),
    ("#00755a", "dot", "triangle-up"),
    ("#9c4a80", "dashdot", "diamond"),
)
TITLES = {"trade": "Reward for divergence", "reward": "Reward", "kl": "KL to the reference"}
WIDEST = 8.0  # nats of KL; points beyond it do not lengthen the x axis
NARROWEST = 2.6  # nats of KL; the x axis ends there or later
SPAN = 0.02  # minimum height of a y axis, so that rounding noise is not magnified
MANY = 60  # points; a curve of more points has no markers
HEIGHT = 260  # pixels of a chart; the reward–KL chart is at least twice as high
_HOVER = "KL %{x:.2f}, gold reward %{y:+.2f}"


@dataclass(frozen=True)
class PlottedRun:
    """A run to draw. `metrics` has a row for each step; `changes` is step -> changed settings."""

    name: str
    config: RunConfig
    metrics: DataFrame
    changes: Mapping[int, Mapping[str, float]]


def figure(runs: Sequence[PlottedRun]) -> Any:
    """A `plotly.graph_objects.Figure` of one run, or of up to four in the same charts.

    Raises:
        ModuleNotFoundError: plotly is not installed; the message says what to install.
        ValueError: more than four runs, or runs of several tasks or kinds of model.
    """
    try:
        from plotly.subplots import make_subplots
    except ModuleNotFoundError:
        line = "run.plot() needs plotly: pip install alignment-playground[app]"
        raise ModuleNotFoundError(line, name="plotly") from None
    _check(runs)
    trade = _trade(runs[0].config)
    charts = [chart for chart in methods()[runs[0].config.method].charts if not chart.below]
    if len(runs) > 1:
        charts = [Chart(c.id, (curve,), range=c.range) for c in charts for curve in c.curves]
    charts = [chart for chart in charts if any(_curves(chart, run) for run in runs)]
    rows, first = max(len(charts), 1), 1 if trade is None else 2
    columns = [[{"rowspan": rows} if row == 0 else None] for row in range(rows)]
    titles = [TITLES["trade"]] * (trade is not None) + [_title(chart, runs) for chart in charts]
    fig = make_subplots(
        rows,
        first,
        specs=[[*(column if trade else []), {}] for column in columns],
        subplot_titles=titles,
        horizontal_spacing=0.08,
        vertical_spacing=0.24 / rows,
    )
    if trade is not None:
        _draw_trade(fig, trade, runs)
    for row, chart in enumerate(charts, 1):
        _draw_chart(fig, chart, runs, {"row": row, "col": first})
    fig.update_xaxes(title="step", title_standoff=4, row=rows, col=first)
    fig.update_layout(
        template="none",
        height=max(2, rows) * HEIGHT,
        font_color=COLOURS["muted"],
        paper_bgcolor=COLOURS["card"],
        plot_bgcolor=COLOURS["card"],
        legend={"orientation": "h", "y": -0.28 / rows},
        margin={"l": 60, "r": 20, "t": 50, "b": 40},
    )
    return fig


def _check(runs: Sequence[PlottedRun]) -> None:
    configs = [run.config for run in runs]
    if len(runs) > len(RUNS):
        raise ValueError(f"expected at most {len(RUNS)} runs, got {len(runs)}")
    if len(tasks := {config.task for config in configs}) > 1:
        raise ValueError(f"expected runs of one task, got {' and '.join(sorted(tasks))}")
    if len(kinds := {methods()[config.method].makes for config in configs}) > 1:
        raise ValueError(f"expected one kind of model, got a {' and a '.join(sorted(kinds))}")


def _trade(config: RunConfig) -> Trade | None:
    """The optimum of the task, as the chart draws it; None if it is unknown, or if the method
    trains no policy."""
    if methods()[config.method].makes != "policy":
        return None
    stored = stored_samples(config.task, _reference(config), "probe")
    return None if stored is None else Trade.of(stored.rewards)


def _reference(config: RunConfig) -> str | None:
    """The reference whose optimum is drawn: the model from which the run started, if samples of it
    are stored, else the task's reference."""
    known = stored_samples(config.task, config.model, "probe") is not None
    task = card(config.task)
    return config.model if known or task is None else task.reference


def _draw_trade(fig: Any, trade: Trade, runs: Sequence[PlottedRun]) -> None:
    cell = {"row": 1, "col": 1}
    kls, gains = zip(*trade.curve, strict=True)
    fig.add_scatter(
        x=kls,
        y=gains,
        name="the limit: no policy gets more",
        hovertemplate=_HOVER,
        fill="tozeroy",
        fillcolor=COLOURS["reach"],
        line={"color": COLOURS["muted"], "width": 3},
        **cell,
    )
    counts, kls, gains = zip(*trade.best_of, strict=True)
    fig.add_scatter(
        x=kls,
        y=gains,
        text=[f"best of {n} reference samples" for n in counts],
        name="best of n",
        hovertemplate=f"%{{text}}<br>{_HOVER}<extra></extra>",
        mode="markers",
        marker={"size": 7, "symbol": "x-thin", "line_width": 2, "line_color": COLOURS["muted"]},
        **cell,
    )
    reference = _reference(runs[0].config)
    trails = [_trail(run, trade, reference) for run in runs]
    for index, (run, trail) in enumerate(zip(runs, trails, strict=True)):
        if len(runs) == 1:
            _draw_target(fig, run, cell)
        colour, dash, symbol = RUNS[index] if len(runs) > 1 else (COLOURS["policy"], None, None)
        fig.add_scatter(
            x=trail["eval/kl"],
            y=trail["gain"],
            text=[f"step {step}" for step in trail.index],
            name=run.name,
            legendgroup=run.name,
            hovertemplate=f"%{{text}}<br>{_HOVER}",
            mode="lines+markers",
            line={"color": colour, "width": 3, "dash": dash},
            # The last point is the largest.
            marker={"size": [6] * (len(trail) - 1) + [14], "symbol": symbol, "opacity": 1},
            **cell,
        )
    inside = [trail[trail["eval/kl"] <= WIDEST] for trail in trails]
    right = max(NARROWEST, *(1.1 * t["eval/kl"].max() for t in inside if len(t)), 0)
    top = max(gain for _, gain in trade.curve)
    bottom = min(-0.08 * top, *(t["gain"].min() - 0.3 for t in inside if len(t)), 0)
    axis = {"gridcolor": COLOURS["hairline"], "zerolinecolor": COLOURS["muted"]}
    x_axis = {
        "range": [-0.02 * right, right],
        "title": "KL to the reference, nats",
        "title_standoff": 4,
    }
    fig.update_xaxes(**axis, **x_axis, **cell)
    y_axis = {"range": [bottom, 1.2 * top], "title": "gold reward above the reference, nats"}
    fig.update_yaxes(**axis, **y_axis, **cell)


def _draw_target(fig: Any, run: PlottedRun, cell: dict[str, int]) -> None:
    """Draw a diamond at the optimum that the run seeks at its β; it is hollow if too few samples
    determine this optimum. Nothing is drawn at β = 0, or if the method seeks neither PPO's optimum
    nor χPO's."""
    beta = run.config.beta
    for settings in run.changes.values():
        beta = settings.get("beta", beta)
    sought = {"kl": optimum, "chi2": chi_squared_optimum}.get(
        sought_optimum(run.config.model_dump())
    )
    if not beta or sought is None:
        return
    samples = stored_samples(run.config.task, _reference(run.config), "probe")
    assert samples is not None  # the frontier was drawn from them
    rewards = samples.rewards
    target = sought(rewards, beta)
    fig.add_scatter(
        x=[target.kl],
        y=[target.reward - rewards.mean()],
        name=f"the optimum at β = {beta:g}",
        hovertemplate=_HOVER,
        mode="markers",
        marker={
            "size": 17,
            "symbol": "diamond" if target.known else "diamond-open",
            "color": COLOURS["gold"],
        },
        **cell,
    )


def _trail(run: PlottedRun, trade: Trade, reference: str | None) -> DataFrame:
    """`eval/kl` and `gain` in nats, a row for each step; empty if the run did not start from
    `reference`.

    The gain is `eval/gain` times its unit, the optimum's gain at a KL of `trade.gain_kl`. The plain
    difference of rewards would have three times the noise, from the few samples of the reference.
    """
    import pandas

    known = "eval/gain" in run.metrics and trade.full_gain is not None
    if run.config.model != reference or not known:
        return pandas.DataFrame({"eval/kl": [], "gain": []})
    trail = run.metrics[["eval/kl", "eval/gain"]].dropna()
    return trail.assign(gain=trail["eval/gain"] * trade.full_gain)


def _draw_chart(fig: Any, chart: Chart, runs: Sequence[PlottedRun], cell: dict[str, int]) -> None:
    values = []
    for index, run in enumerate(runs):
        for curve in _curves(chart, run):
            points = run.metrics[curve.metric].dropna()
            values.append(points)
            single = len(runs) == 1
            style = (COLOURS[curve.colour], curve.dash, "circle") if single else RUNS[index]
            fig.add_scatter(
                x=points.index,
                y=points,
                name=curve.metric if single else run.name,
                legendgroup=curve.metric if single else run.name,
                showlegend=single,
                mode="lines" if len(points) > MANY else "lines+markers",
                line={"color": style[0], "width": 3, "dash": style[1]},
                marker={"size": 6, "symbol": style[2]},
                **cell,
            )
    steps = max(run.config.steps for run in runs)
    axis = {"gridcolor": COLOURS["hairline"], "zeroline": False}
    fig.update_xaxes(**axis, range=[-0.02 * steps, 1.02 * steps], nticks=5, **cell)
    share = "~%" if chart.curves[0].metric.endswith("accuracy") else None
    fig.update_yaxes(
        **axis, rangemode=chart.range, tickformat=share, range=_flat_range(chart, values), **cell
    )
    if len(runs) > 1:
        return
    ink = {"line_color": COLOURS["muted"], "line_width": 1.5, **cell}
    shows_gold = any(curve.metric == "eval/gold_reward" for curve in chart.curves)
    if shows_gold and "eval/gold_reward_reference" in runs[0].metrics:
        start = runs[0].metrics["eval/gold_reward_reference"].dropna().iloc[0]
        fig.add_hline(start, line_dash="dot", annotation_text="reference", **ink)
    for step, settings in runs[0].changes.items():
        text = " ".join(f"{name} {value:g}" for name, value in settings.items())
        fig.add_vline(step, line_dash="dash", annotation_text=text, **ink)


def _curves(chart: Chart, run: PlottedRun) -> list[Curve]:
    """The curves of a chart whose metrics the run has."""
    metrics = run.metrics
    return [c for c in chart.curves if c.metric in metrics and metrics[c.metric].notna().any()]


def _flat_range(chart: Chart, values: Sequence[Series]) -> list[float] | None:
    """The range of a y axis for curves that are almost constant; None for other curves."""
    low, high = min(points.min() for points in values), max(points.max() for points in values)
    if high - low >= SPAN:
        return None
    bottom = (low + high) / 2 - SPAN
    bottom = bottom if chart.range == "normal" else max(0.0, bottom)
    return [bottom, bottom + 2 * SPAN]


def _title(chart: Chart, runs: Sequence[PlottedRun]) -> str:
    if len(runs) > 1:
        return chart.curves[0].metric
    return TITLES.get(chart.id, chart.id.replace("_", " ").capitalize())
