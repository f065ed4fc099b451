"""Requests of the Compare view, without a browser or a helper process."""

from __future__ import annotations

import json

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.run_config import RunConfig, resolve
from align_core.inference.client import Unanswered
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content import optimum, recordings
from playground.content.comparisons import ABOVE, NUMBERS, differences, last_numbers, number_rows
from playground.content.histories import history
from playground.handlers.compare import CURVES, CompareHandlers
from playground.people.access import VisibleRuns
from playground.people.visitors import Visitors
from tests.playground.recordings import MACHINE, record

WORDS = text.load("en")
GOLD, REFERENCE, KL = "eval/gold_reward", "eval/gold_reward_reference", "eval/kl"
GAIN = "eval/gain"
EFFICIENCY = "eval/frontier_efficiency"
PPO, DPO = "2026-01-02-030405-ppo-reviews", "2026-01-02-030406-dpo-reviews"


def metrics(step, **values):
    return {"kind": "metrics", "step": step, "seconds": 1.0, "metrics": values}


def evaluation(step, gold, kl):
    return {
        "kind": "metrics",
        "step": step,
        "seconds": 1.0,
        "metrics": {GOLD: gold, REFERENCE: -0.5, KL: kl, EFFICIENCY: None, "loss": 0.1}
        | {GAIN: (gold + 0.5) / 4},
    }


def change(step, **settings):
    return {"kind": "change", "step": step, "seconds": 1.0, "settings": settings}


def samples(step):
    token = {"text": "a", "logp": -1.0, "ref_logp": -2.0}
    return {
        "kind": "samples",
        "step": step,
        "seconds": 1.0,
        "samples": [
            {
                "prompt": "The plot",
                "reference": {"text": "a", "gold_reward": 0.0, "proxy_reward": None},
                "policy": {"text": f"{step}", "gold_reward": 1.0, "proxy_reward": None}
                | {"tokens": [token]},
            }
        ],
    }


class Helper:
    error: Exception | None = None

    def head_to_head(self, **arguments):
        if self.error:
            raise self.error
        return arguments


@pytest.fixture
def helper():
    return Helper()


@pytest.fixture
def client(tmp_path, fake_assets):
    client = Client(tmp_path / "runs")
    for name, status, model in ((PPO, "finished", True), (DPO, "failed", False)):
        method, task = name.split("-")[4:6]
        run = RunDirectory.create(client.root / name, resolve(method, task))
        for event in (evaluation(0, -0.5, 0.0), samples(0), evaluation(7, 1.5, 0.8), samples(7)):
            run.append(event)
        run.append({"kind": "status", "step": 7, "seconds": 2, "status": status, "message": ""})
        run.close()
        if model:
            run.model_path.mkdir()
    return client


@pytest.fixture
def handlers(client, helper, fake_assets):
    record(fake_assets, "noisy-raters", {"method": "dpo", "task": "reviews", "beta": 0.3})
    record(fake_assets, "healthy-ppo", {"method": "ppo", "task": "reviews", "beta": 0.5})
    return CompareHandlers(
        VisibleRuns(client, Visitors(client), None), helper, WORDS, recordings.recorded()
    )


def test_only_settings_that_differ_are_listed():
    ppo, other, dpo = (
        resolve("ppo", "reviews", beta=0.7),
        resolve("ppo", "reviews", beta=0.7, seed=3),
        resolve("dpo", "reviews", beta=0.7),
    )
    first, seeded, direct = (history(config.model_dump(), []) for config in (ppo, other, dpo))
    assert differences([first, first]) == []
    assert differences([first]) == differences([]) == []
    assert differences([first, seeded]) == [{"setting": "seed", "values": [[[0, 0]], [[0, 3]]]}]
    by_setting = {row["setting"]: row["values"] for row in differences([first, seeded, direct])}
    assert by_setting["method"] == [[[0, "ppo"]], [[0, "ppo"]], [[0, "dpo"]]]
    assert by_setting["reward_model"][2] == [[0, None]]
    assert not {"task", "model", "beta"} & by_setting.keys()
    changed = history(ppo.model_dump(), [change(4, beta=0.3)])
    (beta,) = differences([first, changed])
    assert beta["values"] == [[[0, 0.7]], [[0, 0.7], [4, 0.3]]]


def test_models_are_named_as_the_controls_name_them(client, handlers):
    """The default reward model, one of few pairs, and a model that has no control."""
    names = {"reward-reviews": "proxy", "reward-reviews-few": "few", "gold": "gold", "mine": None}
    runs = []
    for i, model in enumerate(names):
        runs.append(f"2026-01-02-03050{i}-ppo-reviews")
        config = resolve("ppo", "reviews").model_copy(update={"reward_model": model})
        RunDirectory.create(client.root / runs[-1], config).close()
    rows = handlers.compare([{"run": run, "offset": None} for run in runs])["settings"]
    (labels,) = (row["values"] for row in rows if row["setting"] == "reward_model")
    controls = WORDS["controls"]
    expected = [controls[f"reward_{name}"] for name in names.values() if name]
    assert [label for ((_, label),) in labels] == [*expected, "mine"]


def test_a_run_on_a_task_that_the_page_does_not_have_keeps_its_models(client, handlers, tmp_path):
    name = "2026-01-02-030505-ppo-reviews"
    elsewhere = {"task": str(tmp_path / "own"), "reward_model": "elsewhere"}
    config = resolve("ppo", "reviews").model_copy(update=elsewhere)
    RunDirectory.create(client.root / name, config).close()
    rows = handlers.compare([{"run": run, "offset": None} for run in (PPO, name)])["settings"]
    (labels,) = (row["values"] for row in rows if row["setting"] == "reward_model")
    assert labels == [[[0, WORDS["controls"]["reward_proxy"]]], [[0, "elsewhere"]]]


def test_the_last_evaluation_counts_and_later_training_metrics_do_not():
    events = [evaluation(0, -0.5, 0.0), evaluation(8, 1.25, 0.75), metrics(9, loss=3.0)]
    assert last_numbers(events) == {GOLD: 1.25, ABOVE: 1.75, KL: 0.75, GAIN: 0.4375}
    assert last_numbers(events, full_gain=2.0)[ABOVE] == 0.4375 * 2.0
    assert last_numbers([metrics(1, loss=3.0), change(1, beta=1.0)]) == {}
    assert last_numbers([metrics(9, **{"eval/accuracy": 0.8})]) == {"eval/accuracy": 0.8}


def test_the_best_of_each_number_is_marked():
    numbers = [
        {GOLD: 1.0, ABOVE: 1.5, KL: 0.9, EFFICIENCY: 0.8},
        {GOLD: 2.0, ABOVE: 2.5, KL: 0.5},
        {GOLD: 2.0, ABOVE: 2.5, KL: 0.6},
    ]
    rows = {row["number"]: row for row in number_rows(numbers, one_reference=True)}
    assert list(rows) == [GOLD, ABOVE, KL, EFFICIENCY]
    assert rows[GOLD] == {"number": GOLD, "values": [1.0, 2.0, 2.0], "best": [1, 2]}
    assert rows[KL]["best"] == [], "KL is a cost, so low is not best"
    assert rows[EFFICIENCY] == {"number": EFFICIENCY, "values": [0.8, None, None], "best": []}
    same = number_rows([{GOLD: 1.0}, {GOLD: 1.0}], one_reference=True)
    assert [row["best"] for row in same] == [[]]


def test_numbers_relative_to_different_references_are_not_ranked():
    numbers = [{GOLD: 1.0, ABOVE: 1.5, KL: 0.9}, {GOLD: 2.0, ABOVE: 0.1, KL: 0.5}]
    best = [row["best"] for row in number_rows(numbers, one_reference=False)]
    assert best == [[1], [], []]


def test_failed_runs_are_also_listed(handlers):
    dpo, ppo, *_ = handlers.runs({"task": "reviews"})
    assert (dpo["run"], dpo["status"], dpo["model"]) == (DPO, "failed", False)
    assert (ppo["run"], ppo["status"], ppo["model"]) == (PPO, "finished", True)
    for query in ({"task": "capitals"}, {"task": ["<b>"]}, {"a": 1}, "reviews", None):
        assert handlers.runs(query) == []


def listed(handlers, search):
    return [run["run"] for run in handlers.runs({"task": "reviews", "sought": search})]


def test_recorded_runs_are_listed_after_own_ones_in_the_order_of_the_cards(handlers):
    *own, ppo, dpo = handlers.runs({"task": "reviews"})
    assert len(own) == 2
    assert ppo == {
        "run": "recorded/healthy-ppo",
        "method": "ppo",
        "beta": [[0, 0.5]],
        "learning_rate": [[0, resolve("ppo", "reviews").learning_rate]],
        "recorded": WORDS["presets"]["cards"]["healthy-ppo"]["name"],
        "machine": MACHINE,
        "model": False,
    }
    assert dpo["run"] == "recorded/noisy-raters"


def test_runs_are_found_by_method_beta_day_and_time(handlers, client):
    for second in range(20):
        run = RunDirectory.create(
            client.root / f"2026-02-03-0405{second:02d}-ppo-reviews",
            resolve("ppo", "reviews", beta=0.25),
        )
        run.append({"kind": "status", "step": 7, "seconds": 2, "status": "stopped", "message": ""})
        run.close()
    assert PPO not in listed(handlers, ""), "twelve newer runs come before it"
    assert listed(handlers, "PPO 2026-01-02 03:04") == [PPO]
    assert listed(handlers, "dpo") == [DPO, "recorded/noisy-raters"]
    assert listed(handlers, "recorded 0.5") == ["recorded/healthy-ppo"]
    assert listed(handlers, "healthy") == ["recorded/healthy-ppo"]
    assert listed(handlers, "0.25 03:04") == listed(handlers, ["<b>"]) == []


def test_a_run_is_found_by_a_changed_beta(handlers, client):
    run = RunDirectory(client.root / PPO)
    run.append(change(4, beta=0.125))
    run.close()
    assert listed(handlers, "ppo 0.125") == [PPO]
    assert listed(handlers, f"ppo {resolve('ppo', 'reviews').beta:g}") == [PPO]
    offered = handlers.runs({"task": "reviews", "sought": "0.125"})[0]
    assert offered["beta"] == [[0, resolve("ppo", "reviews").beta], [4, 0.125]]


def test_a_recorded_run_is_complete_beside_a_live_run(handlers):
    cursors = [{"run": "recorded/healthy-ppo", "offset": 0}, {"run": PPO, "offset": 0}]
    answer = handlers.compare(cursors)
    recorded, own = answer["runs"]
    assert recorded["points"][KL] == [[0, 0.0], [1, 0.5], [2, 1.0]]
    assert (recorded["status"]["name"], recorded["model"]) == ("finished", False)
    assert [sample["step"] for sample in recorded["samples"]] == [2]
    assert own["points"][KL] == [[0, 0.0], [7, 0.8]]
    kl = next(row for row in answer["numbers"] if row["number"] == KL)
    assert kl["values"] == [1.0, 0.8]
    beta = next(row for row in answer["settings"] if row["setting"] == "beta")
    assert beta["values"][0] == [[0, 0.5]]
    again = handlers.compare([{"run": "recorded/healthy-ppo", "offset": recorded["offset"]}])
    assert (again["runs"][0]["step"], again["runs"][0]["points"]) == (None, {})
    assert again["numbers"] and handlers.compare([{"run": "recorded/nothing"}])["runs"] == []


def test_runs_are_followed_with_their_last_texts_and_drawn_metrics(handlers, client):
    answer = handlers.compare([{"run": PPO, "offset": 0}, {"run": DPO, "offset": 0}])
    ppo, dpo = answer["runs"]
    assert (ppo["run"], ppo["model"], dpo["model"]) == (PPO, True, False)
    assert ppo["points"] == {GOLD: [[0, -0.5], [7, 1.5]], KL: [[0, 0.0], [7, 0.8]]} | {
        GAIN: [[0, 0.0], [7, 0.5]]
    }
    assert [sample["step"] for sample in ppo["samples"]] == [7]
    assert ppo["config"]["method"] == "ppo"
    assert "method" in [row["setting"] for row in answer["settings"]]
    full_gain = optimum.of_task("reviews").frontier["full_gain"]
    above = 0.5 * full_gain  # the eval/gain of both runs is 0.5
    assert answer["numbers"][1] == {"number": ABOVE, "values": [above, above], "best": []}
    again = handlers.compare([{"run": PPO, "offset": ppo["offset"]}])
    assert (again["runs"][0]["step"], again["runs"][0]["points"]) == (None, {})
    assert again["numbers"][1]["values"] == [above], "the numbers do not depend on the cursor"


def test_numbers_follow_a_growing_log_and_forget_values_voided_by_a_resume(handlers, client):
    run = RunDirectory(client.root / PPO)
    run.append({"kind": "resume", "step": 0, "seconds": 3.0})
    assert handlers.compare([{"run": PPO, "offset": 0}])["numbers"][0]["values"] == [-0.5]
    run.append(evaluation(3, 0.0, 0.1))
    run.close()
    answer = handlers.compare([{"run": PPO, "offset": 0}])
    assert answer["numbers"][0]["values"] == [0.0]
    assert answer["runs"][0]["points"][GOLD] == [[0, -0.5], [3, 0.0]]


@pytest.mark.parametrize(
    "cursors",
    [None, "x", 7, {}, [None, 7, []], [{}], [{"run": "../runs", "offset": 0}], [{"run": [PPO]}]],
)
def test_unknown_runs_are_left_out(handlers, cursors):
    assert handlers.compare(cursors) == {"runs": [], "settings": [], "numbers": []}


@pytest.mark.parametrize("offset", [None, -1, "0", 1.5, {}])
def test_a_bad_offset_reads_from_the_beginning(handlers, offset):
    (run,) = handlers.compare([{"run": PPO, "offset": offset}])["runs"]
    assert len(run["points"][GOLD]) == 2


def test_no_more_runs_than_four_are_followed(handlers):
    assert len(handlers.compare([{"run": PPO, "offset": 0}] * 9)["runs"]) == 4


def test_only_known_arguments_of_win_rates_reach_the_helper(handlers, helper):
    query = {"task": "reviews", "models": [PPO], "n": 4, "seed": 0}
    reply = handlers.head_to_head(query | {"surprise": 1})
    assert reply == {"answers": query, "errors": []}
    helper.error = ConfigError(plain("--models got []; it takes two to four models"))
    assert handlers.head_to_head(None)["errors"] == ["Model got []; it takes two to four models"]
    helper.error = Unanswered(plain("It was killed. Ask again."))
    assert handlers.head_to_head({})["errors"] == ["It was killed. Ask again."]


def test_every_answer_is_json(handlers):
    answer = handlers.compare([{"run": PPO, "offset": 0}])
    assert json.loads(json.dumps(answer, allow_nan=False)) == answer


def test_every_setting_number_and_curve_has_a_text():
    words = WORDS["compare"]
    assert set(words["settings"]) == set(RunConfig.model_fields)
    assert set(words["numbers"]) == set(NUMBERS)
    assert set(words["shares"]) < set(NUMBERS)
    assert set(words["curves"]) == set(CURVES) <= set(WORDS["charts"]["metrics"])
