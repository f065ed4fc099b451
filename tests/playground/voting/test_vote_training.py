"""Runs trained on votes: their options, the runs that follow them, and the reports on them."""

from __future__ import annotations

import json
import random
import threading
from pathlib import Path

import pytest

from align_core.config.errors import ConfigError
from align_core.config.run_config import resolve
from align_core.runs.client import Client
from align_core.votes import preference_files, simulated_raters, statistics
from align_core.votes.sessions import TRAINED_ON
from playground import text
from playground.content import optimum
from playground.content.new_events import Cursor
from playground.handlers.compare import CompareHandlers
from playground.handlers.form import SETTINGS
from playground.handlers.train import TrainHandlers
from playground.people.access import VisibleRuns
from playground.people.run_queue import AlreadyHasRun, RunQueue
from playground.people.visitors import Visitors
from playground.voting.pairs import Pairs
from playground.voting.vote_reports import VoteReports
from playground.voting.vote_training import HELD_OUT, VoteTraining
from playground.voting.voter_return import VoterReturn
from tests.stub_weights import NO_TENSORS
from tests.waiting import until

WORDS = text.load("en")
LONG = 20_000  # steps; such a run does not end before it is stopped
RNG = random.Random(0)
PAIRS = [
    {"prompt": f"Prompt {i}", "first": f" warm {i}", "second": f" cold {i}", "model": "sft-reviews"}
    | {"first_reward": RNG.gauss(0, 2), "second_reward": RNG.gauss(0, 2)}
    for i in range(40)
]


class GoldHelper:
    """A helper whose reward model returns the gold reward."""

    def __init__(self):
        self.scored_by = []

    def score_pairs(self, pairs, reward_model):
        self.scored_by.append(reward_model)
        return [
            {**pair, "first_score": pair["first_reward"], "second_score": pair["second_reward"]}
            for pair in pairs
        ]


@pytest.fixture
def session(sessions):
    session = sessions.create("one", "reviews")
    session.add_pairs(PAIRS)
    simulated_raters.fill(session, "task", votes=80, raters=2, active_share=0.0, seed=0)
    return session


@pytest.fixture
def client(tmp_path, fake_assets):
    client = Client(tmp_path / "runs", training="tests.playground.scripted")
    yield client
    client.close()


@pytest.fixture
def queue(client):
    return RunQueue(client, Visitors(client), time_limit=100.0)


@pytest.fixture
def trained(client, queue, tmp_path):
    pairs = Pairs(GoldHelper())
    return VoteTraining(client, queue, pairs, tmp_path / "sessions" / TRAINED_ON)


@pytest.fixture
def reports(client, tmp_path):
    return VoteReports(client, GoldHelper(), tmp_path / "sessions" / TRAINED_ON)


def ended(client, run):
    status = client.status(run)
    return status and status["status"] == "finished"


def test_a_run_is_trained_on_the_votes_that_are_not_held_out(
    client, trained, session, sessions, reports
):
    run = trained.train(session, "reward", simulated=0.0)
    config = client.config(run)
    rows = [json.loads(line) for line in Path(config["preferences"]).read_text().splitlines()]
    to_train, held_out = statistics.held_out(session.votes(), HELD_OUT)
    assert len(rows) == len(to_train) and len(to_train) + len(held_out) == 80
    assert not {row["prompt"] for row in rows} & {vote["prompt"] for vote in held_out}
    paced = preference_files.settings("reward", "reviews", len(rows))
    assert {name: config[name] for name in paced} == paced
    assert config["model"] == "sft-reviews"

    until(lambda: ended(client, run))
    report = reports.report(session)
    (one,) = report["runs"]
    assert (one["votes"], one["simulated"]) == (len(rows), 0)
    assert one["held_out"]["votes"] == len(held_out)
    assert one["held_out"]["accuracy"] == one["held_out"]["gold_accuracy"]
    assert one["verdict"]["values"]["accuracy"] == one["held_out"]["accuracy"]
    assert one["verdict"]["values"]["n"] == len(held_out)
    assert report["gold_agreement"] == statistics.stats(session.votes())["gold_agreement"]
    assert reports.report(session) == report and reports._helper.scored_by == [run]  # computed once
    sessions.delete(session.name)
    assert not Path(config["preferences"]).exists()
    assert ended(client, run)


def test_a_reward_model_trained_on_the_votes_selects_the_next_pairs(
    client, trained, session, monkeypatch
):
    monkeypatch.setattr(preference_files, "settings", lambda *_: {"steps": 2})
    assert session.scored_by() is None
    dpo = trained.train(session, "dpo", simulated=0.0)
    until(lambda: ended(client, dpo) and client.current() is None)
    run = trained.train(session, "reward", simulated=0.0)
    until(session.scored_by)
    assert ended(client, run) and session.scored_by() == run
    assert set(trained._pairs._helper.scored_by) == {run}
    margins = {p["id"]: abs(p["first_reward"] - p["second_reward"]) for p in session.pairs()}
    least_sure = sorted(margins, key=margins.get)[:4]  # a tenth of the 40
    drawn = {session.ballot(session.join(), 1.0, random.Random(i)).pair for i in range(40)}
    assert drawn == set(least_sure)


def test_a_run_on_votes_is_queued_like_any_other(
    client, queue, trained, session, monkeypatch, reports
):
    monkeypatch.setattr(preference_files, "settings", lambda *_: {"steps": LONG})
    ann, bob = (queue.visitors.from_token(digit * 64) for digit in "ab")
    first = trained.train(session, "reward", 0.0, ann)
    assert queue.visitors.owns(ann, first) and client.config(first)["time_limit"] == 100.0
    assert trained.train(session, "dpo", 0.0, bob) is None
    assert queue.position(bob).number == 1
    for visitor in (ann, bob):
        with pytest.raises(AlreadyHasRun):
            trained.train(session, "dpo", 0.0, visitor)
    files = [*(trained._folder / session.name).iterdir()]
    assert len(files) == 2, "a refused run leaves no preference file"
    client.send(first, "stop")
    until(lambda: len(client.runs()) == 2)
    (second,) = set(client.runs()) - {first}
    until(lambda: queue.visitors.owns(bob, second))
    assert {run["run"] for run in reports.report(session)["runs"]} == {first, second}


def test_a_report_on_a_policy_has_texts_with_rewards_and_a_verdict(
    client, trained, session, monkeypatch, reports
):
    monkeypatch.setattr(preference_files, "settings", lambda *_: {"steps": 12})
    run = trained.train(session, "dpo", simulated=0.0)
    until(lambda: ended(client, run))
    (one,) = reports.report(session)["runs"]
    events, _ = client.events(run)
    last = [event for event in events if event["kind"] == "samples"][-1]["samples"]
    for texts, sample in zip(one["texts"], last, strict=False):
        assert (texts["before"], texts["after"]) == (sample["reference"], sample["policy"])
        assert texts["after"]["gold_reward"] == sample["policy"]["gold_reward"]
    ends = [e["metrics"] for e in events if "eval/gold_reward" in e.get("metrics", {})][-1]
    gain = ends["eval/gain"] * optimum.full_gain(client.config(run))
    assert one["verdict"]["key"] == "rose" and not one["mixed"]
    assert one["verdict"]["values"]["gain"] == pytest.approx(gain)


def test_voters_get_back_a_text_of_the_newest_policy_of_their_votes(
    client, trained, session, monkeypatch, reports
):
    assert reports.taught(session) is None
    monkeypatch.setattr(preference_files, "settings", lambda *_: {"steps": 12})
    run = trained.train(session, "dpo", simulated=0.0)
    until(lambda: ended(client, run))
    events, _ = client.events(run)
    first = [event for event in events if event["kind"] == "samples"][-1]["samples"][0]
    texts = {"before": first["reference"]["text"], "after": first["policy"]["text"]}
    assert texts["before"] != texts["after"]
    taught = {"method": "dpo", "prompt": first["prompt"], **texts}
    assert reports.taught(session) == taught
    votes = session.votes()
    (rater,) = {vote["rater"] for vote in votes} - {votes[0]["rater"]}
    returns = VoterReturn(reports)
    agreed, compared = statistics.with_majority(votes)[rater]
    back = {"agreed": agreed, "compared": compared, "taught": taught}
    assert returns.of(session, rater) == back
    assert returns.of(session, "nobody") == {"agreed": 0, "compared": 0, "taught": taught}
    monkeypatch.setattr(session, "votes", lambda: pytest.fail("computed again at once"))
    assert returns.of(session, rater) == back


def shown(client, run, visitor=None):
    """A newly opened page's `trained_on` of a run, and the whole answer."""
    delta = TrainHandlers(client, WORDS).live.delta(
        Cursor.of({"run": run, "chosen": True}), visitor
    )
    return delta["trained_on"], json.dumps(delta)


def test_a_page_shows_the_numbers_of_votes_and_no_voter(
    client, trained, session, sessions, monkeypatch
):
    """Half of the session's votes are simulated, half are people's; the run adds the same number of
    simulated votes as the session has."""

    def write_mixed(path, votes, task, simulated, learns_from):
        path.write_text("")
        return {"rows": 2 * len(votes), "votes": len(votes), "simulated": simulated}

    monkeypatch.setattr(preference_files, "write_mixed", write_mixed)
    monkeypatch.setattr(preference_files, "settings", lambda *_: {"steps": 2})
    people = [session.join() for _ in range(2)]
    pairs = session.pairs()
    session.record((rater, pair["id"], "first", "first") for rater in people for pair in pairs[:20])
    run = trained.train(session, "dpo", simulated=0.5, room=True)
    to_train, _ = statistics.held_out(session.votes(), HELD_OUT)
    cast = sum(vote["rater"] not in people for vote in to_train)
    assert 0 < cast < len(to_train)
    numbers = {"votes": len(to_train), "cast": cast, "simulated": len(to_train), "origin": "room"}
    known, answer = shown(client, run)
    assert known == {**numbers, "through": False, "elsewhere": False}
    until(lambda: ended(client, run))
    sessions.delete(session.name)
    known, answer = shown(client, run)
    assert known["votes"] == len(to_train), "the run keeps its numbers without the session"
    assert not [name for name in (*people, TRAINED_ON, f"/{session.name}") if name in answer]
    compared = json.dumps(
        CompareHandlers(VisibleRuns(client, Visitors(client), None), None, WORDS, {}).compare(
            [{"run": run}] * 2
        )
    )
    assert "room.jsonl" in compared and TRAINED_ON not in compared


def test_the_controls_show_the_settings_of_a_run_on_votes(client, trained, session):
    run = trained.train(session, "dpo", simulated=0.0)
    config = client.config(run)
    shown = TrainHandlers(client, WORDS).restore(watched=run)
    values = {name: shown[name]["value"] for name in SETTINGS}
    assert (shown["task"], shown["method"]["value"]) == ("reviews", "dpo")
    for name in ("beta", "steps", "learning_rate", "batch_size", "eval_every"):
        assert values[name] == config[name]
    assert config["preference_pairs"] is None
    assert values["preference_pairs"] == resolve("dpo", "reviews").preference_pairs


def test_a_run_without_votes_has_no_numbers_of_votes(client):
    plain = client.start(method="dpo", task="reviews", steps=1)
    assert shown(client, plain)[0] is None
    until(lambda: client.current() is None)
    ppo = client.start(method="ppo", task="reviews", steps=1)
    assert shown(client, ppo)[0] is None


def test_simulated_votes_are_added_in_the_requested_share(client, trained, session, monkeypatch):
    made = []

    def write_mixed(path, votes, task, simulated, learns_from):
        made.append(simulated)
        path.write_text("")
        return {"rows": 240, "votes": 60, "simulated": simulated}

    monkeypatch.setattr(preference_files, "write_mixed", write_mixed)
    trained.train(session, "dpo", simulated=0.75)
    to_train, _ = statistics.held_out(session.votes(), HELD_OUT)
    assert made == [3 * len(to_train)]  # 3 simulated votes for each of the session's


def test_kto_learns_from_both_texts_of_every_vote(client, trained, session):
    rater = session.join()
    for pair in session.pairs():
        session.record([(rater, pair["id"], "bad", "first")])
    config = client.config(trained.train(session, "kto", 0.0))
    to_train, _ = statistics.held_out(session.votes(), HELD_OUT)
    rows = [json.loads(line) for line in Path(config["preferences"]).read_text().splitlines()]
    assert (config["method"], len(rows)) == ("kto", 2 * len(to_train))
    decided = sum(vote["choice"] in statistics.DECIDED for vote in to_train)
    ties = sum(vote["choice"] == "tie" for vote in to_train)
    assert sum(row["label"] for row in rows) == decided + 2 * ties < len(to_train)


def test_a_ppo_run_starts_after_its_reward_model(client, queue, trained, session, reports):
    ann = queue.visitors.from_token("a" * 64)
    first = trained.train(session, "reward_ppo", 0.0, ann)
    assert client.config(first)["method"] == "reward"
    model = client.root / first / "model"
    model.mkdir()
    kind = {"model_type": "llama", "architectures": ["LlamaForSequenceClassification"]}
    (model / "config.json").write_text(json.dumps(kind))
    (model / "model.safetensors").write_bytes(NO_TENSORS)
    until(lambda: len(client.runs()) == 2)
    (second,) = set(client.runs()) - {first}
    config = client.config(second)
    assert config["method"] == "ppo" and config["reward_model"] == str(client.root / first)
    until(lambda: queue.visitors.owns(ann, second))
    until(lambda: any(event["kind"] == "samples" for event in client.events(second)[0]))
    client.send(second, "stop")
    until(lambda: client.current() is None)
    votes = shown(client, first, ann)[0]
    assert not votes["through"]
    assert shown(client, second, ann)[0] == {**votes, "through": True}
    by_method = {run["method"]: run for run in reports.report(session)["runs"]}
    assert by_method.keys() == {"ppo", "reward"}
    assert by_method["ppo"]["votes"] is None and len(by_method["ppo"]["texts"]) == 4


def test_no_run_follows_a_stopped_one(client, queue, trained, session, monkeypatch):
    monkeypatch.setattr(preference_files, "settings", lambda *_: {"steps": LONG})
    follow_up, followed = RunQueue._follow_up, threading.Event()
    monkeypatch.setattr(RunQueue, "_follow_up", lambda *one: (follow_up(*one), followed.set()))
    run = trained.train(session, "reward_ppo", simulated=0.0)
    until(lambda: client.status(run))
    client.send(run, "stop")
    assert followed.wait(120)
    assert client.runs() == [run] and queue.length() == 0


def test_without_a_decided_vote_training_is_refused(trained, sessions, reports):
    empty = sessions.create("empty", "reviews")
    with pytest.raises(ConfigError, match="rate some pairs first"):
        trained.train(empty, "reward", simulated=0.0)
    assert reports.report(empty) == {"runs": [], "gold_agreement": None, "against": []}
