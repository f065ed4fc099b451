"""Requests of the Try it and Score it views, without a browser or a helper process."""

from __future__ import annotations

import pytest

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.run_config import resolve
from align_core.inference.client import Unanswered
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from playground import text
from playground.content import recordings
from playground.handlers.ask import AskHandlers
from playground.people.access import VisibleRuns
from playground.people.visitors import Visitors
from tests.playground.recordings import MACHINE, record

WORDS = text.load("en")


class Helper:
    """A helper that returns its arguments and the `model` asked, or raises its `error`."""

    error: Exception | None = None
    model = "sft-reviews"

    def score(self, **arguments):
        if self.error:
            raise self.error
        return [arguments]

    def generate(self, **arguments):
        return [{**answer, "model": self.model} for answer in self.score(**arguments)]


@pytest.fixture
def client(tmp_path, fake_assets):
    return Client(tmp_path / "runs")


@pytest.fixture
def helper():
    return Helper()


@pytest.fixture
def questions(client, helper):
    runs = VisibleRuns(client, Visitors(client), None)
    return AskHandlers(runs, helper, WORDS, recordings.recorded())


@pytest.fixture
def recording(fake_assets):
    """The name of a recorded run with a model, beside one without."""
    record(fake_assets, "noisy-raters", {"method": "dpo", "task": "reviews"})
    record(fake_assets, "healthy-ppo", {"method": "ppo", "task": "reviews"}, model=True)
    return "recorded/healthy-ppo"


def recorded(client, name, status="finished", model=True):
    method, task = name.split("-")[4:6]
    run = RunDirectory.create(client.root / name, resolve(method, task))
    run.append({"kind": "status", "step": 7, "seconds": 0.1, "status": status, "message": ""})
    run.close()
    if model:
        run.model_path.mkdir()


def test_runs_with_a_model_are_listed_newest_first(questions, client):
    recorded(client, "2026-01-02-030405-ppo-reviews", "stopped")
    recorded(client, "2026-01-02-030406-sft-reviews")
    recorded(client, "2026-01-02-030407-dpo-capitals")
    recorded(client, "2026-01-02-030408-dpo-reviews", "failed")
    recorded(client, "2026-01-02-030409-dpo-reviews", model=False)
    (client.root / "2026-01-02-030410-dpo-reviews").mkdir()
    (client.root / "2026-01-02-030410-dpo-reviews" / "config.json").write_text("{}")
    sft, ppo = questions.runs("reviews")
    assert (sft["method"], sft["beta"]) == ("sft", [[0, None]])
    assert ppo == {
        "run": "2026-01-02-030405-ppo-reviews",
        "method": "ppo",
        "beta": [[0, resolve("ppo", "reviews").beta]],
        "learning_rate": [[0, resolve("ppo", "reviews").learning_rate]],
        "steps": 7,
        "time": "2026-01-02T03:04:05",
        "status": "stopped",
        "model": True,
    }
    assert questions.runs(["<b>"]) == []


def test_a_changed_run_is_listed_with_the_history_of_its_settings(questions, client):
    recorded(client, "2026-01-02-030405-ppo-reviews")
    run = RunDirectory(client.root / "2026-01-02-030405-ppo-reviews")
    run.append({"kind": "change", "step": 4, "seconds": 1, "settings": {"learning_rate": 0.5}})
    run.close()
    (ppo,) = questions.runs("reviews")
    first = resolve("ppo", "reviews")
    assert ppo["beta"] == [[0, first.beta]]
    assert ppo["learning_rate"] == [[0, first.learning_rate], [4, 0.5]]


def test_recorded_runs_with_a_model_are_listed_after_own_ones(recording, questions, client):
    recorded(client, "2026-01-02-030405-ppo-reviews")
    own, offered = questions.runs("reviews")
    assert own["run"] == "2026-01-02-030405-ppo-reviews"
    settings = resolve("ppo", "reviews")
    assert offered == {
        "run": recording,
        "method": "ppo",
        "beta": [[0, settings.beta]],
        "learning_rate": [[0, settings.learning_rate]],
        "recorded": WORDS["presets"]["cards"]["healthy-ppo"]["name"],
        "machine": MACHINE,
        "model": True,
    }
    assert questions.runs("capitals") == []


def test_a_run_whose_name_has_no_time_is_listed_too(questions, client):
    recorded(client, "2026-99-99-999999-ppo-reviews")
    (run,) = questions.runs("reviews")
    assert (run["method"], run["time"]) == ("ppo", "2026-99-99T99:99:99")


def test_no_more_than_twelve_are_offered(questions, client):
    for second in range(14):
        recorded(client, f"2026-01-02-0304{second:02d}-dpo-reviews")
    offered = questions.runs("reviews")
    assert len(offered) == 12
    assert offered[0]["run"].startswith("2026-01-02-030413")


def example(place):
    """A token in the format of training.example_token."""
    words = [{"text": "a", "logp": -1.0, "ref_logp": -2.0, "new_logp": -0.5}] * 4
    numbers = ("score", "ahead", "value", "advantage", "clip", "lam", "beta")
    moments = ("mean_earned", "mean_kl", "var_earned", "cov", "var_kl")
    counts = {"place": place, "rollout": 1, "updates": 4}
    whitening = dict.fromkeys(moments, 0.25)
    return {"prompt": "The", "tokens": words, "whitening": whitening, **counts} | dict.fromkeys(
        numbers, 0.5
    )


def token(step, place):
    return {"kind": "token", "step": step, "seconds": 0.1, "token": example(place)}


def test_the_newest_run_of_a_method_is_found(recording, questions, client):
    recorded(client, "2026-01-02-030405-sft-reviews")
    recorded(client, "2026-01-02-030406-sft-reviews")
    recorded(client, "2026-01-02-030407-sft-reviews", model=False)
    recorded(client, "2026-01-02-030408-sft-capitals")
    recorded(client, "2026-01-02-030409-reward-reviews", "failed")
    newest_run = questions.newest_run({"task": "reviews", "method": "sft"})
    assert (newest_run["run"]["run"], newest_run["token"]) == (
        "2026-01-02-030406-sft-reviews",
        None,
    )
    assert questions.newest_run({"task": "reviews", "method": "reward"}) is None
    for nonsense in (
        None,
        {},
        {"task": ["<b>"], "method": {}},
        {"task": "reviews", "method": "ppo"},
    ):
        assert questions.newest_run(nonsense) is None


def test_for_ppo_the_last_valid_token_is_found(questions, client):
    """A live run counts once it has logged a token; until then, an older run does."""
    older, newest = "2026-01-02-030405-ppo-reviews", "2026-01-02-030406-ppo-reviews"
    recorded(client, older, model=False)
    recorded(client, newest, "running", model=False)
    run = RunDirectory(client.root / older)
    resume = {"kind": "resume", "step": 2, "seconds": 1.0}
    for event in (token(2, place=1), token(4, place=2), resume):
        run.append(event)
    run.close()
    query = {"task": "reviews", "method": "ppo"}
    newest_run = questions.newest_run(query)
    assert (newest_run["run"]["run"], newest_run["token"]) == (older, example(1))
    run = RunDirectory(client.root / newest)
    run.append(token(6, place=3))
    run.close()
    newest_run = questions.newest_run(query)
    assert (newest_run["run"]["run"], newest_run["token"]) == (newest, example(3))


def test_only_known_arguments_reach_the_helper(questions):
    reply = questions.score({"prompt": "a", "model": 7, "surprise": 1})
    (arguments,) = reply["answers"]
    assert arguments == {
        "task": None,
        "model": 7,
        "reference": None,
        "prompt": "a",
        "completions": None,
    }
    assert questions.generate("nonsense")["answers"][0]["prompt"] is None


def test_the_answer_of_a_run_has_the_optimum_that_it_comes_near(questions, client, helper):
    helper.model = "2026-01-02-030405-ppo-reviews"
    recorded(client, helper.model)
    optimum = questions.generate({"realign": 2.0})["answers"][0]["optimum"]
    assert (optimum["trained"], optimum["beta"]) == (0.7, 0.35)
    at_its_own = questions.generate({})["answers"][0]["optimum"]
    assert at_its_own["beta"] == 0.7 and at_its_own["kl"] < optimum["kl"]
    helper.model = "sft-reviews"
    assert "optimum" not in questions.generate({"realign": 2.0})["answers"][0]


def test_the_answer_of_a_recorded_run_has_its_optimum_too(recording, questions, helper):
    helper.model = recording
    optimum = questions.generate({"realign": 2.0})["answers"][0]["optimum"]
    assert (optimum["trained"], optimum["beta"]) == (0.7, 0.35)


def test_bad_input_is_reported_with_the_pages_names(questions, helper):
    helper.error = ConfigError(
        plain("--prompt got ' '; it takes a text"), plain("-n got 17; it takes less")
    )
    assert questions.generate({}) == {
        "answers": [],
        "errors": ["Your prompt got ' '; it takes a text", "Samples got 17; it takes less"],
    }


def test_a_dead_helper_is_reported(questions, helper):
    helper.error = Unanswered(plain("It was killed. Ask again."))
    assert questions.score({}) == {"answers": [], "errors": ["It was killed. Ask again."]}
