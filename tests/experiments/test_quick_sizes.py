"""The experiments on language models at their smallest size."""

from __future__ import annotations

import json

import pytest

from align_core import experiments
from align_core.config import model_index
from align_core.data.preference_files import stored_pairs
from align_core.experiments import runner, trained_models
from align_core.experiments.claims import conclusions
from align_core.experiments.quick_runs import QuickRuns
from align_core.models.loading import load_reward_model, load_tokenizer
from align_core.models.rewards import ProxyReward
from align_core.models.sampling import FixedDraw
from benchmarks import lab, lab_figures
from tests.experiments.test_quick_runs import ended
from tests.experiments.test_runner import InThisProcess

pytestmark = pytest.mark.slow


def drawn(result, folder):
    """The sentences, tables and figure of a result."""
    name = result["experiment"]
    experiment = experiments.load(name)
    assert result["quick"] and result["seeds"] == 1
    assert result["runs"] == sum(map(len, experiment.stages(quick=True)))
    text = " ".join(conclusions(experiment, result))
    assert text and "nan" not in text and "None" not in text
    assert sum(block.count("|") for block in map(lab._block, experiment.report(result))) > 20
    lab_figures.draw(name, result, folder / "figure.svg")
    assert (folder / "figure.svg").stat().st_size > 10_000


@pytest.fixture
def evaluated(monkeypatch):
    """The numbers of prompts, and of texts for each, that evaluations and win rates sample."""
    sizes, initialise = set(), FixedDraw.__init__

    def recorded(draw, seed, prompts, samples, *others):
        sizes.add((len(prompts), samples))
        initialise(draw, seed, prompts, samples, *others)

    monkeypatch.setattr(FixedDraw, "__init__", recorded)
    return sizes


@pytest.mark.parametrize("name", ["frontier", "overoptimisation", "shift"])
def test_an_experiment_runs_from_its_command_to_its_sentences(
    name, evaluated, tmp_path, monkeypatch
):
    monkeypatch.setattr(runner, "_Processes", InThisProcess)
    assets = [path.stat().st_mtime_ns for path in sorted(model_index.ASSETS.rglob("*"))]
    measured = tmp_path / "measured"
    result = runner.run(name, measured, quick=True, lanes=2)
    json.dumps(result, allow_nan=False)
    assert evaluated == {(8, 1)}
    drawn(result, tmp_path)
    assert assets == [path.stat().st_mtime_ns for path in sorted(model_index.ASSETS.rglob("*"))]
    if name == "overoptimisation":
        processes_of_their_own_measure_the_same(name, "reward-300-3-0", measured, monkeypatch)


def processes_of_their_own_measure_the_same(name, part, measured, monkeypatch):
    """From the page, with all other parts measured before."""
    monkeypatch.setenv("MEASURED", str(measured))
    monkeypatch.setenv("MISSING", part)
    runs = QuickRuns(measured.parent / "page", module="tests.fakes.resumed_quick_run")
    runs.start(name)
    state = ended(runs)
    assert (state["status"], state["message"]) == ("finished", "")
    results = [runs.result(name), json.loads((measured / "result.json").read_text())]
    for result in results:
        assert result.pop("core_seconds") > 0
    assert results[0] == results[1]


def test_the_win_rate_at_temperature_1_equals_the_evaluations():
    pairs, size = stored_pairs("reviews", 64, 0), {"eval_prompts": 8, "eval_samples": 2}
    policy, curve = trained_models.train_on_likelihood(
        "reviews", pairs, 0.05, steps=1, every=1, seed=0, **size
    )
    (rate,) = trained_models.win_rates(policy, [1.0], seed=0, **size)
    assert rate == pytest.approx(curve[-1]["win_rate"], abs=1e-12)
    assert curve[0]["kl"] == 0 < curve[-1]["kl"]


def test_a_reward_model_of_fewer_layers_is_stored_as_such(tmp_path):
    sizes = {}
    for layers in (1, 3):
        path = tmp_path / str(layers)
        trained = trained_models.train_reward_model(
            path, stored_pairs("reviews", 16, 0), layers, seed=0, steps=1, stored=2, best_of=2
        )
        stored = load_reward_model(str(path))
        assert len(stored.base_model.layers) == stored.config.num_hidden_layers == layers
        sizes[layers] = trained["parameters"]
        assert stored.num_parameters() == sizes[layers]
        again = trained_models.best_of_n_curve(ProxyReward(stored, load_tokenizer(str(path))), 2, 2)
        assert again == [pytest.approx(point, abs=1e-5) for point in trained["curve"]]
    # A layer has 4 · 128² attention weights, 3 · 128 · 384 MLP weights and two norms.
    assert sizes[3] - sizes[1] == 2 * (4 * 128**2 + 3 * 128 * 384 + 2 * 128)
