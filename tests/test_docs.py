"""Tables in documents agree with their result files, and names with the code."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import fields
from math import log
from pathlib import Path

import pytest

from align_core import experiments
from align_core.cli import main as cli
from benchmarks import (
    active_pairs,
    defaults,
    few_pairs,
    few_votes,
    gpu,
    kills,
    lab,
    lab_figures,
    lab_quick,
    many_runs,
    mutants,
    page,
    ppo_growth,
    ppo_memory,
    ppo_parity,
    ppo_peers,
    ppo_switches,
    ppo_throughput,
    presets,
    real_model,
    sharpened,
    strangers,
    theorem,
    vote_load,
    vote_to_outputs,
)
from benchmarks.common import section, write_section
from playground.limits import Limits
from playground.views.rate import ENOUGH

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    "benchmark, name",
    [
        (defaults, "defaults"),
        (page, "page"),
        (few_pairs, "few pairs"),
        (few_votes, "few votes"),
        (active_pairs, "active pairs"),
        (ppo_parity, "parity"),
        (ppo_switches, "switches"),
        (ppo_throughput, "throughput"),
        (real_model, "real model"),
        (ppo_growth, "growth"),
        (ppo_memory, "memory"),
        (ppo_peers, "peers"),
        (vote_load, "vote load"),
        (strangers, "strangers"),
        (kills, "kills"),
        (many_runs, "many runs"),
        (lab_quick, "quick"),
        (vote_to_outputs, "vote to outputs"),
        (mutants, "mutants"),
        (theorem, "theorem"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_section_equals_its_rendered_results(benchmark, name):
    shown = ""  # if the benchmark has not been run yet
    if benchmark.RESULTS.exists():
        shown = benchmark.render(json.loads(benchmark.RESULTS.read_text()))
    assert section(benchmark.PAGE, name) == shown


def test_the_lesson_has_the_numbers_of_the_recordings():
    assert section(presets.PAGE, "presets") == presets.render()


def test_the_section_of_the_gpu_equals_its_results_or_says_that_there_are_none():
    assert section(gpu.PAGE, "gpu") == gpu.render()


def test_the_effect_of_sharpening_is_that_of_the_lessons():
    effects = sharpened.effects()
    assert section(sharpened.PAGE, "sharpened") == sharpened.render(effects)
    metrics = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    far = [f"{effect['kl']:.2f}" for effect in effects.values()]
    assert (
        f"T = 0.8 alone is {far[0]} nats from T = 1 on `reviews`, {far[1]} on `capitals`" in metrics
    )


def test_the_gain_of_few_votes_is_compared_with_that_of_many():
    results = {
        f"dpo {task} {votes} {seed}": {
            "steps": 9, "gold_reward": gold, "gold_reward_reference": 0.5, "kl": 1.0, "gain": 0.5,
        }
        for task, few in (("reviews", 1.5), ("capitals", 1.0))
        for votes, gold in ((200, few), (2000, 2.0))
        for seed in few_votes.SEEDS
    }  # fmt: skip
    assert few_votes.share(results, "reviews", 0) == 1.0 / 1.5
    rows = few_votes.render(results).splitlines()
    assert rows[-4].endswith("| 0.67 (0.67–0.67) |")
    assert rows[-2].endswith("| **0.33 (0.33–0.33) ✗** |"), "0.5 of 1.5 is below a half"


def test_enough_votes_reach_most_of_the_gain_of_many():
    curves = {
        "reviews": (0.6, 0.72, 0.74, 0.75, 0.76, 0.77, 0.78),
        "capitals": (0.7, 0.74, 0.81, 0.9, 0.9, 0.9, 0.9),
    }
    results = {
        f"reward {task} {votes} {seed}": {"steps": 9, "accuracy": accuracy + spread}
        for task, curve in curves.items()
        for votes, accuracy in zip(few_votes.CURVE, curve, strict=True)
        for seed, spread in enumerate((-0.1, 0.0, 0.01))
    }
    # 0.22 of 0.28 and 0.31 of 0.4 are over three quarters; 0.24 of 0.4 is not.
    assert [few_votes.enough(results, task) for task in few_votes.TASKS] == [50, 100]
    rows = few_votes.render(results).splitlines()
    assert rows[-1].startswith("| capitals | 100 | 0.70 (0.60–0.71) | 0.74")


def test_the_page_shows_the_measured_sufficient_number_of_votes():
    results = json.loads(few_votes.RESULTS.read_text())
    for task in few_votes.TASKS:
        votes = few_votes.enough(results, task)
        measured = [few_votes.accuracy(results, task, n) for n in (votes, few_votes.MANY)]
        assert ENOUGH[task] == (votes, *(round(100 * share) for share in measured))


def test_active_pairs_are_compared_with_random_ones_by_seed():
    by_seed = {0.0: (0.70, 0.80, 0.75), 0.5: (0.72, 0.80, 0.75), 1.0: (0.73, 0.79, 0.77)}
    results = {
        f"{task} {share} {seed}": [0.5, 0.6, 0.7, last]
        for task in active_pairs.TASKS
        for share, lasts in by_seed.items()
        for seed, last in enumerate(lasts)
    }
    chance, half, all_active = active_pairs.render(results).splitlines()[-3:]
    assert chance.endswith("| 0.750 (0.700–0.800) | – |")
    assert half.endswith("| +0.0 (+0.0 to +2.0) |")
    assert all_active.endswith("| +2.0 (-1.0 to +3.0) |")  # +3, −1, +2


def test_a_median_beyond_its_limit_is_marked():
    assert defaults._with_limit([19.0, 20.1, 21.0], 1, most=20) == (
        "**20.1 (19.0–21.0) ✗**",
        "≤ 20",
    )
    assert defaults._with_limit([19.0, 20.0, 21.0], 1, most=20) == ("20.0 (19.0–21.0)", "≤ 20")
    assert defaults._with_limit([0.89], 2, least=0.9) == ("**0.89 ✗**", "≥ 0.9")
    assert defaults._with_limit([None], 2) == ("–", "–")


def test_the_figure_equals_its_drawn_results(tmp_path):
    results = json.loads(ppo_growth.RESULTS.read_text())
    ppo_growth.draw(results, tmp_path / "growth.svg")
    assert (tmp_path / "growth.svg").read_bytes() == ppo_growth.FIGURE.read_bytes()


@pytest.mark.parametrize("name", experiments.NAMES)
def test_the_page_of_the_lab_equals_its_rendered_results(name, tmp_path):
    assert section(lab.PAGE, name) == lab.render(name)
    if experiments.recorded(name).exists():
        lab_figures.draw(name, experiments.result(name), tmp_path / "figure.svg")
        assert (tmp_path / "figure.svg").read_bytes() == lab.figure(name).read_bytes()


def test_a_fit_is_drawn_with_its_error():
    fit = {name: {"mean": number} for name, number in (("alpha", 2), ("beta", 0.5), ("error", 0.2))}
    curve = [[0.0, 0.0, 0.0], [1.0, 1.4, 3.0], [4.0, 0.1, 9.0]]
    row = {"pairs": 1000, "layers": 3, "beta": 0.0, "curves": [curve]}
    row["fit"] = {**fit, "holds": True}
    rows = [{"method": method, **row} for method in ("best-of-n", "ppo")]
    figure = lab_figures.overoptimised({"rows": rows})
    for panel, end in ((figure.axes[0], 4 * (2 - 0.5 * 4)), (figure.axes[3], 4 * 2 - 2 * log(4))):
        gold, proxy, fitted = panel.lines
        assert gold.get_ydata()[-1] == 0.1 and proxy.get_linestyle() == ":"
        assert fitted.get_linestyle() == "--"
        assert (fitted.get_xdata()[-1], fitted.get_ydata()[-1]) == (4.0, pytest.approx(end))
        (band,) = panel.collections
        around = [y for x, y in band.get_paths()[0].vertices if x == 4.0]
        assert (min(around), max(around)) == (pytest.approx(end - 0.2), pytest.approx(end + 0.2))
    row["fit"] = {**fit, "holds": False}
    figure = lab_figures.overoptimised({"rows": [{"method": "ppo", **row}]})
    assert len(figure.axes[3].lines) == 2  # gold and proxy: the form fails


def test_a_recorded_experiment_is_whole_and_small():
    for path in experiments.recorded("any").parent.glob("*.json"):
        result = experiments.result(path.stem)
        assert result["experiment"] == path.stem and not result["quick"]
        assert result["seeds"] == experiments.load(path.stem).SEEDS >= 3
        assert path.stat().st_size < 300_000


def test_the_lab_shows_the_wall_clock_time_where_known():
    parts = {"core_seconds": 600.0}
    assert lab.duration(parts) == "10.0 minutes of one core, so on two at least 5.0"
    whole = parts | {"lanes": 2, "wall_seconds": 330.0}
    assert lab.duration(whole) == "10.0 minutes of one core, 5.5 on the clock with 2 runs at a time"


@pytest.mark.parametrize("already, clocked", [(0, True), (1, False)])
def test_wall_clock_time_is_recorded_only_without_stored_parts(
    already, clocked, tmp_path, monkeypatch
):
    def run(name, folder, quick, lanes, on_part):
        on_part(already, 2)
        on_part(2, 2)
        return {"experiment": name, "core_seconds": 9.0}

    monkeypatch.setattr(lab.runner, "run", run)
    monkeypatch.setattr(experiments, "recorded", lambda name: tmp_path / f"{name}.json")
    lab.record("shift", lanes=2)
    content = json.loads((tmp_path / "shift.json").read_text())
    assert ("wall_seconds" in content) == ("lanes" in content) == clocked
    assert content.get("lanes", 2) == 2 and content.get("wall_seconds", 0) < 5


def test_a_too_slow_experiment_is_marked():
    rendered = lab_quick.render({"machine": "", "lanes": 2, "seconds": {"a": 29.6, "b": 30.2}})
    assert rendered.endswith("| `a` | 30 |\n| `b` | **30 ✗** |\n")


def test_a_section_is_written_between_its_marks_and_nowhere_else(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("above\n<!-- a -->\nold\n<!-- end of a -->\nbelow\n")
    write_section(page, "a", "new \\1\n")
    assert page.read_text() == "above\n<!-- a -->\nnew \\1\n<!-- end of a -->\nbelow\n"
    with pytest.raises(ValueError, match="no section 'b'"):
        write_section(page, "b", "text")


def test_every_metric_that_the_page_draws_is_defined():
    from playground.content import charts

    defined = (ROOT / "docs" / "metrics.md").read_text()
    missing = [name for name in charts.DRAWN if f"`{name}`" not in defined]
    assert not missing


def test_the_readme_names_the_controls_that_a_link_can_hide():
    (sentence,) = re.findall(r"`hide` takes\s(.+?)\.", (ROOT / "README.md").read_text(), re.DOTALL)
    style = (ROOT / "playground" / "static" / "talk" / "present.css").read_text()
    assert re.findall(r"`(\w+)`", sentence) == re.findall(r'\[data-hide~="(\w+)"\]', style)


def test_the_commands_of_the_readme_parse():
    commands = re.findall(r"^python -m align_core (.+)$", (ROOT / "README.md").read_text(), re.M)
    assert len(commands) >= 5
    import shlex

    parser = cli._parser()
    for command in commands:
        parser.parse_args(shlex.split(command))


def stations() -> list[str]:
    """The `file:function` in each line of the walk in docs/architecture.md."""
    walk = section(ROOT / "docs" / "architecture.md", "walk")
    return re.findall(r"^\d+\. `([^`]+)`", walk, re.MULTILINE)


def defined(station: str) -> bool:
    """Whether a file defines the function, the class, or the method of a class."""
    file, _, names = station.partition(":")
    code = (ROOT / file).read_text(encoding="utf-8")
    if file.endswith(".js"):
        return (
            re.search(rf"^ *(?:export )?(?:async )?function {names}\(", code, re.MULTILINE)
            is not None
        )
    scope: list[ast.stmt] = ast.parse(code).body
    for name in names.split("."):
        scope = next((node.body for node in scope if getattr(node, "name", None) == name), None)
        if scope is None:
            return False
    return True


@pytest.mark.parametrize("station", stations())
def test_the_walk_of_beta_names_existing_code(station):
    assert defined(station)
    assert not defined(station + "s")


def test_the_walk_of_beta_has_at_most_twenty_steps():
    assert 15 < len(stations()) - 1 <= 20
    assert len({station.partition(":")[0] for station in stations()}) >= 18, (
        "almost every step is in another file"
    )


def test_paths_in_contributing_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    paths = re.findall(r"\b(?:align_core|playground|tests|docs)/[\w/.*-]*\w", text)
    assert len(paths) > 8
    for path in paths:
        assert list(ROOT.glob(re.sub("NAME|TAG", "*", path))), path


def test_comments_name_existing_files():
    """Comments in scripts and modules name other files, which must exist."""
    code = [*ROOT.glob("playground/**/*.*s"), *ROOT.glob("playground/**/*.py")]
    code += [*ROOT.glob("align_core/**/*.py"), *ROOT.glob("docs/*.md"), ROOT / "README.md"]
    files = {path.name for path in ROOT.rglob("*.*") if ".venv" not in path.parts}
    named = re.compile(r"(?<![\w.])(\w+\.(?:py|js|css))\b")
    elsewhere = {"plotly.js", "launch.py", "file.py", "my_task.py", "NAME.py"}
    missing = [
        f"{path.relative_to(ROOT)}: {match[1]}"
        for path in code
        for match in named.finditer(path.read_text(encoding="utf-8"))
        if match[1] not in files | elsewhere
    ]
    assert not missing


def test_the_limits_are_those_of_the_settings():
    rows = section(ROOT / "docs" / "deploy.md", "limits").splitlines()[2:]
    expected = []
    for limit in fields(Limits):
        about, variable, public = (limit.metadata[n] for n in ("meaning", "variable", "public"))
        own = "–" if limit.default is None else limit.default
        expected.append(f"| {about} | {own} | {public} | `{variable}` |")
    assert rows == expected
