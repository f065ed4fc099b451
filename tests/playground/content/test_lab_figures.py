"""The Lab's cards: figures of recorded and unrecorded results, and links to runs."""

from __future__ import annotations

import re

import numpy as np
import pytest

from align_core import experiments
from align_core.config.model_index import reference_samples
from align_core.config.run_config import resolve
from align_core.data.preference_files import stored_pairs
from align_core.experiments import (
    coverage,
    frontier,
    overoptimisation,
    overoptimisation_runs,
    shift,
)
from align_core.experiments.claims import TESTED, conclusions
from align_core.experiments.frontier_runs import SWEEPS
from align_core.experiments.frontier_summary import BUDGETS
from align_core.experiments.presentation import SHADES
from align_core.optimum import ReferenceSamples
from align_core.runs import presets
from playground import text
from playground.handlers import links
from playground.views import lab

WORDS = text.load("en")["lab"]
FEW = 1024  # training pairs of reward-capitals-few (align_core.build.assets.FEW_PAIRS)


def mean(value, half=0.1):
    return {"mean": value, "ci95": half, "n": 3}


def curve_of(panel, name):
    return [curve for curve in panel["curves"] if curve["name"] == name]


def test_the_recorded_coverage_is_drawn_from_its_numbers():
    experiment, result = experiments.load("coverage"), experiments.result("coverage")
    certain, graded = experiment.panels(result, WORDS["figures"])
    (line,) = curve_of(graded, "DPO, β = 0.1")
    one = experiment.setting(result, raters="graded", beta=0.1, responses=4)
    place = line["x"].index(4)
    assert line["y"][place] == one["dpo"]["rise"]["mean"]
    assert line["half"][place] == one["dpo"]["rise"]["ci95"]
    assert line["x"] == [2, 3, 4, 5, 6, 7]  # with all 8 covered there is no uncovered response
    assert certain["title"] != graded["title"]


def test_the_frontier_has_a_panel_for_each_source_of_learning_and_of_pairs():
    shares = {name: {f"{kl:g}": mean(kl / 4) for kl in BUDGETS} for name in (*SWEEPS, "best-of-n")}
    path = [[0.0, 1.0], [8.0, 2.0], [26.0, 0.5]]  # the last point is beyond the picture
    rows = [
        {"raters": raters, "pairs": pairs, "ppo": {"path": path}, "dpo": {"path": path}}
        for raters in ("certain", "graded")
        for pairs in (1000, 4000)
    ]
    result = {
        "optimum": [[0.0, 1.0], [1.0, 2.0], [9.0, 3.0]],
        "shares": shares,
        "wide": rows,
        "win_rates": {"dpo": {"temperatures": [0.0, 1.0], "rates": [mean(0.9), mean(0.7, None)]}},
    }
    rewarded, paired, certain, graded, wins = frontier.panels(result, WORDS["figures"])
    names = [[curve["name"] for curve in panel["curves"]] for panel in (rewarded, paired)]
    assert "RLOO" in names[0] and "best-of-n" in names[0] and "KTO" not in names[0]
    assert "KTO" in names[1] and not set(names[0]) & set(names[1])
    (ppo,) = curve_of(rewarded, "PPO")
    assert (ppo["x"], ppo["y"]) == (list(BUDGETS), [kl / 4 for kl in BUDGETS])
    (limit,) = curve_of(certain, "exact limit")
    assert (limit["x"], limit["y"]) == ([0.0, 1.0, 9.0], [1.0, 2.0, 3.0])
    assert certain["title"] == "Certain raters: training at β = 0.05" != graded["title"]
    few, many = curve_of(certain, "DPO, 1,000 pairs") + curve_of(certain, "DPO, 4,000 pairs")
    assert (few["x"], few["y"]) == ([0.0, 8.0, 20.0], [1.0, 2.0, 2.0 - 1.5 * 12 / 18])
    assert few["dash"] != many["dash"] and few["colour"] == many["colour"]
    assert wins["curves"][0]["y"] == [0.9, 0.7]
    assert wins["curves"][0]["half"] == [0.1, 0.0]  # a single seed has no interval


def test_overoptimisation_has_gold_and_proxy_of_every_seed():
    def row(method, pairs, layers, beta):
        curves = [[[0.0, 0.0, 0.0], [1.0, 2.0, 3.0 + seed]] for seed in range(2)]
        fit = {"alpha": mean(2.0), "beta": mean(0.5), "error": mean(0.2), "r2": mean(0.95, 0.01)}
        fit["holds"] = beta == 0  # elsewhere the form fails, and no fit is drawn
        named = {"method": method, "pairs": pairs, "layers": layers, "beta": beta}
        return {**named, "curves": curves, "fit": fit}

    rows = [row(m, p, 3, 0.0) for m in ("best-of-n", "ppo") for p in (300, 1000)]
    rows += [row(m, 1000, 1, 0.0) for m in ("best-of-n", "ppo")] + [row("ppo", 300, 3, 0.1)]
    panels = overoptimisation.panels({"rows": rows}, WORDS["figures"])
    assert [panel["title"] for panel in panels] == [
        "best-of-n, by pairs (proxy dotted; fit dashed, where the form fits)",
        "PPO, by pairs (proxy dotted; fit dashed, where the form fits)",
        "best-of-n, by layers (proxy dotted; fit dashed, where the form fits)",
        "PPO, by layers (proxy dotted; fit dashed, where the form fits)",
        "PPO on 300 pairs, by β (proxy dotted; fit dashed, where the form fits)",
    ]
    by_pairs, by_beta = panels[1], panels[4]
    assert [len(curve_of(by_pairs, name)) for name in ("300", "1,000")] == [2, 2]
    assert [curve["quiet"] for curve in curve_of(by_pairs, "300")] == [False, True]
    assert curve_of(by_pairs, "300, proxy")[1]["y"] == [0.0, 4.0]
    assert {curve["name"] for curve in by_beta["curves"] if not curve["quiet"]} == {"0", "0.1"}
    fit = "300, fit: α = 2.00 ± 0.10, β = 0.50 ± 0.10, error 0.20 ± 0.10 nats, R² = 0.95 ± 0.01"
    (bent,), (logged,) = curve_of(panels[0], fit), curve_of(by_pairs, fit)
    assert (bent["x"][-1], bent["y"][-1]) == (1.0, pytest.approx(2.0 - 0.5 * 1.0))
    assert (logged["x"][-1], logged["y"][-1]) == (1.0, pytest.approx(2.0 - 0.5 * 0.0))
    assert bent["dash"] == "dash" and bent["quiet"]
    assert len([curve for curve in by_beta["curves"] if curve.get("dash") == "dash"]) == 1


def test_shift_has_a_bar_for_every_method_and_source():
    rows = [
        {"source": source, "method": method, "gain": mean(0.5)}
        for source in ("own", "pretrained")
        for method in shift.METHODS
    ]
    rows += [{"source": "own", "method": "reward", "accuracy": mean(0.8)}]
    (panel,) = shift.panels({"rows": rows}, WORDS["figures"])
    assert len(panel["curves"]) == len(shift.METHODS)
    assert panel["curves"][0]["x"] == [
        WORDS["figures"]["sources"][s] for s in ("own", "pretrained")
    ]


def test_everything_drawn_has_its_texts():
    names = WORDS["figures"]["names"]
    assert names.keys() >= frontier.NAMES.keys() | shift.METHODS.keys() | {"best-of-n", "ppo"}
    assert WORDS["figures"]["sources"].keys() == shift.NAMES.keys()
    assert overoptimisation_runs.LAYERS <= SHADES >= len(overoptimisation_runs.PAIRS)


@pytest.mark.parametrize("name", experiments.NAMES)
def test_a_card_has_the_claim_of_its_experiment(name):
    texts, experiment = WORDS["cards"][name], experiments.load(name)
    assert texts["title"].replace("’", "'") == experiment.TITLE
    assert texts["claim"].replace("’", "'") == experiment.CLAIM
    assert experiment.PAPER.split(",")[0] in texts["paper"]
    assert WORDS["said"][name] == experiment.SENTENCES
    assert WORDS["tested"] == TESTED


@pytest.mark.parametrize("language", text.languages())
@pytest.mark.parametrize("name", experiments.NAMES)
def test_a_card_has_the_set_up_of_the_paper_beside_its_own(name, language):
    shown = text.load(language)["lab"]["cards"][name]["setup"]
    assert language != "en" or shown == [list(row) for row in experiments.load(name).SETUP]
    numbers = [[re.findall(r"\d[\d,.]*\d|\d", cell) for cell in row[1:]] for row in shown]
    if language == "en":
        return
    for row, ours in zip(experiments.load(name).SETUP, numbers, strict=True):
        for cell, found in zip(row[1:], ours, strict=True):
            assert set(re.findall(r"\d[\d,.]*\d|\d", cell)) <= set(found) | {"6"}


def test_the_set_ups_are_those_of_the_experiments():
    """The numbers that no constant holds: labels against the gold reward, and its range."""
    here = {row.part: row.here for row in frontier.SETUP}
    pairs = stored_pairs("reviews", 16_000, 0)
    against = np.mean([pair["chosen_reward"] < pair["rejected_reward"] for pair in pairs])
    assert f" {against:.0%} go against" in here["labels"]
    rewards = ReferenceSamples.load(reference_samples("reviews", "probe")).rewards
    low, high = round(rewards.min()), round(rewards.max())
    assert here["gold reward"] == f"{low} to {high} nats".replace("-", "−")
    settings = experiments.result("coverage")["settings"]
    assert f" {sum(not row['best_covered'] for row in settings)} settings" in str(coverage.SETUP)
    models = {row["parameters"] for row in experiments.result("overoptimisation")["rows"]} - {None}
    sizes = {row.part: row.here for row in overoptimisation.SETUP}["reward models"]
    assert sizes == f"{min(models) / 1e6:.2f} M to {max(models) / 1e6:.2f} M parameters"


@pytest.mark.parametrize("language", text.languages())
def test_results_are_rendered_in_every_language(language):
    measured = lab.card("coverage", text.load(language))["measured"]
    assert len(measured["findings"]) == 9
    assert "0.15 ± 0.10" in measured["findings"][3] and "0.77 ± 0.10" in measured["findings"][3]
    assert "108" in measured["tested"] and "{" not in measured["tested"]
    english = conclusions(experiments.load("coverage"), experiments.result("coverage"))
    assert (measured["findings"] == english[-9:]) == (language == "en")
    assert [claim["verdict"] for claim in measured["verdicts"]] == ["holds", "fails"]
    assert measured["verdicts"][0]["claim"] in english[0] or language != "en"


@pytest.mark.parametrize("name", experiments.NAMES)
def test_unrecorded_results_are_not_shown(name, monkeypatch, tmp_path):
    monkeypatch.setattr(experiments, "recorded", lambda name: tmp_path / name)
    assert lab.card(name, text.load("en"))["measured"] is None


@pytest.mark.parametrize("name", sorted(lab.LIVE))
def test_train_accepts_the_settings_of_the_smaller_runs(name):
    assert lab.LIVE[name].keys() == WORDS["cards"][name]["runs"].keys()
    for settings in lab.LIVE[name].values():
        read = links.read({field: str(value) for field, value in settings.items()})
        assert settings.items() - {("reward_model", "few"), ("reward_model", "off")} <= read.items()


@pytest.mark.parametrize("language", text.languages())
@pytest.mark.parametrize("name", sorted(lab.LIVE))
def test_the_smaller_runs_list_their_reduced_sizes(name, language):
    words = text.load(language)
    text_of_card = words["lab"]["cards"][name]["smaller"]
    ppo, dpo, rloo = (resolve(method, "reviews") for method in ("ppo", "dpo", "rloo"))
    few = lab.LIVE["overoptimisation"]
    numbers = {
        "kl_in_loss": [rloo.steps, lab.LIVE["kl_in_loss"]["grpo"]["beta"]],
        "frontier": [ppo.steps, SWEEPS["ppo"].steps, dpo.steps, dpo.preference_pairs],
        "overoptimisation": [few["few"]["steps"], overoptimisation_runs.ROLLOUTS, FEW]
        + [few["few"]["beta"], few["penalised"]["beta"]]
        + [min(overoptimisation_runs.PAIRS), max(overoptimisation_runs.PAIRS)],
        "shift": [ppo.steps, shift.FULL["rollouts"], dpo.preference_pairs, shift.FULL["pairs"]]
        + [ppo.beta, dpo.beta, dpo.steps],
    }[name]
    assert {f"{number:,g}" for number in numbers} <= set(
        re.findall(r"\d[\d.,]*(?<=\d)", text_of_card)
    )
    for settings in lab.LIVE[name].values():
        if settings["task"] != experiments.TASK:
            called = [
                words["tasks"][task]["name"].lower()
                for task in (settings["task"], experiments.TASK)
            ]
            assert called[0] in text_of_card and called[1].split()[-1] in text_of_card


def test_the_smaller_runs_are_presets_that_show_the_effect():
    """The linked runs are those of presets, whose recordings show the effect."""
    for settings, name in (
        (lab.LIVE["kl_in_loss"]["rloo"], "rloo-same-beta"),
        (lab.LIVE["kl_in_loss"]["grpo"], "grpo-same-beta"),
        (lab.LIVE["frontier"]["ppo"], "healthy-ppo"),
        (lab.LIVE["frontier"]["dpo"], "healthy-dpo"),
        (lab.LIVE["overoptimisation"]["few"], "reward-hacking"),
        (lab.LIVE["overoptimisation"]["penalised"], "hacking-mended"),
        (lab.LIVE["shift"]["dpo"], "off-distribution-dpo"),
        (lab.LIVE["shift"]["ppo"], "off-distribution-ppo"),
    ):
        read = links.read({field: str(value) for field, value in settings.items()})
        known = presets.load(name).config.model_dump()
        assert {k: v for k, v in read.items() if k != "eval_every"} == {
            k: v for k, v in known.items() if k != "eval_every"
        }
