"""Whole runs of all four methods on toy models: their events, their commands and what they keep."""

from __future__ import annotations

import math
import queue
import random
import re
import shutil
import threading
from collections.abc import Callable
from functools import cache

import pyarrow
import pyarrow.parquet
import pytest
import torch

from align_core import assets, catalogue, training
from align_core.configs import RunConfig, resolve
from align_core.control import Control
from align_core.encoding import encode_prompts
from align_core.models import (
    load_policy,
    load_reward_model,
    load_tokenizer,
    new_reward_model,
    save_model,
)
from align_core.objectives import token_logprobs
from align_core.preferences import sampled_pairs
from align_core.runs import RunDirectory, replay
from align_core.sampling import response_outputs
from tests import toy

METHODS = ["sft", "reward", "ppo", "dpo"]


class Films:
    """The toy language as a task: people prefer what is called good."""

    name = "reviews"
    max_new_tokens = 6

    def prompts(self, split: str) -> list[str]:
        return {
            "train": ["the film", "a plot", "the plot was never", "never"],
            "probe": ["a film", "the plot"],
            "heldout": ["the", "a"],
        }[split]

    def demonstrations(self, n: int, seed: int) -> list[dict]:
        rng = random.Random(seed)
        says = (" was good .", " is fine .", " was never dull .")
        return [{"prompt": "the film", "completion": rng.choice(says)} for _ in range(n)]

    def reward(
        self, prompts, completions, completion_ids=None, ended=None, eos_token_id=0, **_
    ) -> list[float]:
        if completion_ids is not None:
            ended = [ids[-1] == eos_token_id for ids in completion_ids]
        return [
            1.5 * text.split().count("good") - text.split().count("bad") - 2.0 * (not whole)
            for text, whole in zip(completions, ended, strict=True)
        ]

    def prefers(self, reward_a: float, reward_b: float, rng: random.Random) -> bool:
        return rng.random() < 1 / (1 + math.exp(reward_b - reward_a))


@pytest.fixture(scope="module", autouse=True)
def toys(tmp_path_factory):
    """Everything that is embedded, made of toy models on the spot."""
    path, task, tokenizer = tmp_path_factory.mktemp("assets"), Films(), toy.tokenizer()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "ASSETS", path)
        patch.setattr(training, "load_task", lambda name: Films())
        patch.setattr(assets, "REFERENCE_SAMPLES", 512)
        policy = toy.policy(0)
        save_model(toy.policy(1), tokenizer, path / "models" / "pretrained")
        save_model(policy, tokenizer, path / "models" / "sft-reviews")
        reward_model = new_reward_model("sft-reviews", seed=0)
        save_model(reward_model, tokenizer, path / "models" / "reward-reviews")
        for split in ("probe", "heldout"):
            stored = assets.sample_reference(task, policy, tokenizer, task.prompts(split), 0)
            file = catalogue.reference_samples("reviews", split)
            file.parent.mkdir(exist_ok=True)
            stored.save(file)
        pool = catalogue.preference_pool("reviews")
        pool.parent.mkdir()
        pairs = sampled_pairs(policy, tokenizer, task, 200, seed=0)
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs), pool)
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """The default run of a method; it is made once."""
    return cache(lambda method: finished(tmp_path_factory.mktemp(method) / "run", method))


def configured(method: str, **changes) -> RunConfig:
    pairs = {"preference_pairs": 64} if method in ("reward", "dpo") else {}
    return resolve(
        method,
        "reviews",
        **{"steps": 4, "batch_size": 16, "eval_every": 2, **pairs, **changes},
    )


class Run:
    """A run in a folder of its own, its events in `events` and its status in `status`."""

    def __init__(self, path, config: RunConfig) -> None:
        self.path, self.control = path, Control()
        self.directory = RunDirectory.create(path, config)

    def execute(self, on_event: Callable | None = None, resume: bool = False) -> Run:
        try:
            self.status = training.run(
                self.directory.config, self.directory, self.control, resume, on_event
            )
        finally:
            self.directory.close()
        return self

    @property
    def events(self) -> list[dict]:
        return RunDirectory.open(self.path).events()[0]

    def of(self, kind: str) -> list[dict]:
        return [event for event in self.events if event["kind"] == kind]

    def metric(self, name: str) -> dict[int, float]:
        """The values of one metric by step."""
        return {
            event["step"]: event["metrics"][name]
            for event in self.of("metrics")
            if name in event["metrics"]
        }

    def weights(self) -> dict[str, torch.Tensor]:
        return load_policy(str(self.path)).state_dict()


def finished(path, method: str, **changes) -> Run:
    run = Run(path, configured(method, **changes)).execute()
    assert run.status == "finished"
    return run


def timeless(events: list[dict]) -> list[dict]:
    """Events without what is derived from the clock."""
    kept = []
    for event in events:
        event = {key: value for key, value in event.items() if key != "seconds"}
        if event["kind"] == "metrics":
            event["metrics"] = {
                name: value
                for name, value in event["metrics"].items()
                if not name.startswith("timing/")
            }
        kept.append(event)
    return kept


TRAINING_METRICS = {
    "sft": {"loss", "mean_token_accuracy", "entropy"},
    "reward": {"loss", "accuracy", "margin"},
    "dpo": {"loss", "rewards/chosen", "rewards/rejected", "rewards/margins", "rewards/accuracies"},
    "ppo": {
        "loss",
        "objective/kl",
        "objective/kl_estimate",
        "objective/scores",
        "objective/non_score_reward",
        "objective/rlhf_reward",
        "policy/clipfrac_avg",
        "policy/approxkl_avg",
        "loss/policy_avg",
        "loss/value_avg",
    },
}
EVALUATION = {
    "eval/gold_reward",
    "eval/proxy_reward",
    "eval/kl",
    "eval/win_rate",
    "eval/gain",
    "eval/frontier_efficiency",
    "eval/entropy",
    "eval/length",
}


@pytest.mark.parametrize("method", METHODS)
def test_the_same_seed_gives_the_same_events_and_they_are_heard_as_they_are_written(
    tmp_path, plain, method
):
    heard: list[dict] = []
    run = Run(tmp_path / "run", configured(method)).execute(on_event=heard.append)
    assert run.events == heard
    assert timeless(heard) == timeless(plain(method).events)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_writes_the_events_and_the_model_of_the_contract(plain, method):
    run = plain(method)
    events = run.events
    statuses = [(event["step"], event["status"]) for event in run.of("status")]
    assert statuses == [(0, "running"), (4, "finished")]
    assert events[0]["kind"] == events[-1]["kind"] == "status"
    assert [event["seconds"] for event in events] == sorted(e["seconds"] for e in events)
    assert [event["step"] for event in events] == sorted(event["step"] for event in events)

    for name in sorted(TRAINING_METRICS[method]):
        assert list(run.metric(name)) == [1, 2, 3, 4], name
    evaluation = EVALUATION if method != "reward" else {"eval/accuracy", "eval/margin"}
    for name in sorted(evaluation):
        assert list(run.metric(name)) == [0, 2, 4], name
    for event in run.of("metrics"):
        for name, value in event["metrics"].items():
            assert value is None or isinstance(value, int | float), name

    model = load_reward_model(str(run.path)) if method == "reward" else load_policy(str(run.path))
    assert model.num_parameters() > 0
    assert load_tokenizer(str(run.path)).get_vocab() == toy.tokenizer().get_vocab()
    assert {path.suffix for path in run.directory.model_path.iterdir()} <= {
        ".json",
        ".safetensors",
        ".jinja",
    }


@pytest.mark.parametrize("method", ["sft", "ppo", "dpo"])
def test_sample_events_show_policy_and_reference(plain, method):
    run = plain(method)
    assert [event["step"] for event in run.of("samples")] == [0, 2, 4]
    for event in run.of("samples"):
        assert [entry["prompt"] for entry in event["samples"]] == Films().prompts("probe")
        for entry in event["samples"]:
            for side in ("reference", "policy"):
                assert {"text", "gold_reward", "proxy_reward"} <= entry[side].keys()
            tokens = entry["policy"]["tokens"]
            assert all(token.keys() == {"text", "logp", "ref_logp"} for token in tokens)
            assert "".join(token["text"] for token in tokens) == entry["policy"]["text"]
    references = [[entry["reference"] for entry in e["samples"]] for e in run.of("samples")]
    assert references[0] == references[1] == references[2]
    first = run.of("samples")[0]["samples"]
    assert all(entry["policy"]["text"] == entry["reference"]["text"] for entry in first)


def test_a_reward_run_has_no_samples(plain):
    assert plain("reward").of("samples") == []


@pytest.mark.parametrize("method", METHODS)
def test_a_run_starts_at_its_reference_and_moves_away(plain, method):
    run = plain(method)
    if method == "reward":
        assert len(set(run.metric("eval/margin").values())) == 3
        return
    kl = run.metric("eval/kl")
    assert kl[0] < 1e-5 < kl[2] and kl[4] > 1e-4
    assert run.metric("eval/gain")[0] in (None, 0.0)
    assert run.metric("eval/frontier_efficiency")[0] is None
    assert run.metric("eval/win_rate")[0] == 0.5
    assert run.metric("eval/proxy_reward")[0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_another_seed_gives_other_numbers(tmp_path, plain, method):
    other = finished(tmp_path / "run", method, seed=4, steps=2)
    assert other.metric("loss")[2] != plain(method).metric("loss")[2]


def test_dpo_starts_at_log_two(plain):
    assert plain("dpo").metric("loss")[1] == pytest.approx(math.log(2), abs=1e-5)


def test_ppo_pays_beta_for_its_divergence(plain):
    estimate, beta = plain("ppo").metric("objective/kl_estimate"), configured("ppo").beta
    for step, paid in plain("ppo").metric("objective/non_score_reward").items():
        assert paid == pytest.approx(-beta * estimate[step], abs=1e-6)


def test_ppo_reads_the_gold_reward_where_it_is_asked_to(tmp_path, plain):
    gold = finished(tmp_path / "run", "ppo", reward_model="gold", steps=1)

    def halves(run: Run) -> float:
        """The first rollout's total, 16 texts; gold pays in halves, a reward model does not."""
        return 32 * run.metric("objective/scores")[1]

    assert halves(gold) == pytest.approx(round(halves(gold)), abs=1e-5)
    assert halves(plain("ppo")) != pytest.approx(round(halves(plain("ppo"))), abs=1e-3)
    assert gold.metric("eval/gold_reward")[0] == plain("ppo").metric("eval/gold_reward")[0]


def test_a_frozen_trunk_is_still_that_of_its_model(tmp_path):
    run = finished(tmp_path / "run", "reward", freeze_trunk=True, steps=2)
    trained, base = load_reward_model(str(run.path)), load_policy("sft-reviews")
    for name, weight in base.model.state_dict().items():
        assert torch.equal(trained.model.state_dict()[name], weight)


@pytest.mark.parametrize("method", ["sft", "ppo", "dpo"])
def test_lora_runs_keep_an_adapter_over_the_named_base(tmp_path, method):
    run = finished(tmp_path / "run", method, lora_r=4, steps=2)
    assert (run.directory.model_path / "adapter_config.json").is_file()
    assert run.metric("eval/kl")[0] < 1e-5 < run.metric("eval/kl")[2]
    moved = tmp_path / "elsewhere"
    shutil.move(run.path, moved)
    assert load_policy(str(moved)).get_base_model() is not None


def test_a_lora_reward_model_comes_back(tmp_path):
    run = finished(tmp_path / "run", "reward", lora_r=4, steps=2)
    assert load_reward_model(str(run.path)).num_parameters() > 0


def logp(model) -> float:
    """The log-probability of one text."""
    tokens, mask = torch.tensor([[6, 7, 0]]), torch.ones(1, 3, dtype=torch.bool)
    encoded = encode_prompts(toy.tokenizer(), ["the film"])
    with torch.no_grad():
        logits, _ = response_outputs(model, encoded, tokens, mask)
    return token_logprobs(logits, tokens).sum().item()


@pytest.mark.parametrize("lora_r", [0, 4])
def test_a_run_goes_on_from_a_lora_run(tmp_path, lora_r):
    first = finished(tmp_path / "first", "dpo", lora_r=4, steps=3, learning_rate=0.03)
    second = finished(tmp_path / "second", "ppo", model=str(first.path), lora_r=lora_r, steps=2)
    start, end = load_policy(str(first.path)), load_policy(str(second.path))
    assert second.metric("eval/kl")[0] < 1e-5 < second.metric("eval/kl")[2]
    ours, base, after = map(logp, (start, load_policy("sft-reviews"), end))
    distance = abs(after - ours)
    assert 0 < distance < abs(after - base), "it is near its start and not at the base"


@pytest.mark.parametrize("batch_size", [1, 3, 4])
def test_ppo_takes_any_number_of_episodes(tmp_path, batch_size):
    run = finished(tmp_path / "run", "ppo", batch_size=batch_size, steps=2)
    assert run.metric("episode") == {1: batch_size, 2: 2 * batch_size}


def test_a_time_limit_stops_the_run_and_keeps_the_model(tmp_path):
    run = Run(tmp_path / "run", configured("dpo", steps=10_000, time_limit=0.2)).execute()
    assert run.status == "stopped"
    last = run.events[-1]
    assert last["status"] == "stopped" and "time limit" in last["message"].lower()
    assert 0 < last["step"] < 10_000
    assert run.weights().keys() == toy.policy().state_dict().keys()


def test_a_stop_that_came_before_the_first_update_keeps_the_model(tmp_path):
    run = Run(tmp_path / "run", configured("ppo", steps=1000))
    run.control.put({"command": "stop", "reason": "enough"})
    run.execute()
    assert run.status == "stopped"
    assert run.events[-1]["message"] == "enough"
    assert run.events[-1]["step"] <= 1
    assert run.weights()


def commanded(path, config: RunConfig, answers: Callable[[dict], list[dict]]) -> Run:
    """Execute a run while another thread answers its events with commands."""
    run, events = Run(path, config), queue.SimpleQueue()

    def answer() -> None:
        while (event := events.get()) is not None:
            for command in answers(event):
                run.control.put(command)

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return run.execute(on_event=events.put)
    finally:
        events.put(None)
        thread.join()


def script(*commands: list[dict]) -> Callable[[dict], list[dict]]:
    """The first commands at the first metrics of a step, the others at one pause after another."""
    waiting = list(commands)

    def answers(event: dict) -> list[dict]:
        at_first = len(waiting) == len(commands) and event["kind"] == "metrics" and event["step"]
        paused = len(waiting) < len(commands) and event.get("status") == "paused"
        return waiting.pop(0) if waiting and (at_first or paused) else []

    return answers


PAUSE, RESUME, STEP, STOP = ({"command": name} for name in ("pause", "resume", "step", "stop"))


@pytest.mark.parametrize("method", ["ppo", "dpo"])
def test_pause_step_set_and_stop(tmp_path, method):
    change = {"command": "set", "beta": 0.25, "learning_rate": 2e-4}
    run = commanded(
        tmp_path / "run",
        configured(method, steps=500),
        script([PAUSE], [STEP], [STEP], [change, STOP]),
    )
    assert run.status == "stopped"
    statuses = [(event["status"], event["step"]) for event in run.of("status")][1:]
    paused = statuses[0][1]
    assert statuses == [
        ("paused", paused),
        ("running", paused),
        ("paused", paused + 1),
        ("running", paused + 1),
        ("paused", paused + 2),
        ("stopped", paused + 2),
    ]
    (changed,) = run.of("change")
    assert changed["step"] == paused + 2
    assert changed["settings"] == {"beta": 0.25, "learning_rate": 2e-4}
    assert run.weights()


def test_a_paused_run_resumes_to_its_end(tmp_path):
    run = commanded(
        tmp_path / "run", configured("dpo", steps=30, eval_every=100), script([PAUSE], [RESUME])
    )
    assert run.status == "finished"
    assert [event["status"] for event in run.of("status")] == [
        "running",
        "paused",
        "running",
        "finished",
    ]
    assert list(run.metric("loss")) == list(range(1, 31))


def test_a_new_beta_reaches_ppo(tmp_path):
    run = Run(tmp_path / "run", configured("ppo", beta=0.5))

    def turn(event: dict) -> None:
        if event["kind"] == "metrics" and event["step"] == 2 and "loss" not in event["metrics"]:
            run.control.put({"command": "set", "beta": 2.0})

    run.execute(on_event=turn)
    (changed,) = run.of("change")
    assert (changed["step"], changed["settings"]) == (2, {"beta": 2.0})
    estimate, paid = run.metric("objective/kl_estimate"), run.metric("objective/non_score_reward")
    for step, beta in ((2, 0.5), (3, 2.0), (4, 2.0)):
        assert paid[step] == pytest.approx(-beta * estimate[step], abs=1e-6)


@pytest.mark.parametrize("settings", [{"beta": 5.0}, {"learning_rate": 1e-6}])
def test_a_new_setting_reaches_dpo(tmp_path, plain, settings):
    run = Run(tmp_path / "run", configured("dpo"))

    def turn(event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 2:
            run.control.put({"command": "set", **settings})

    run.execute(on_event=turn)
    (changed,) = run.of("change")
    assert (changed["step"], changed["settings"]) == (2, settings)
    before, after = plain("dpo").metric("rewards/margins"), run.metric("rewards/margins")
    assert after[2] == before[2]
    if "beta" in settings:
        ratio = 5.0 / configured("dpo").beta
        assert after[3] == pytest.approx(ratio * before[3], rel=1e-3)
    else:
        assert 0 < run.metric("learning_rate")[4] < 1e-6, "it falls to zero over the run"
        assert after[4] != before[4]


class Killed(BaseException):
    """A run's process is gone at this moment."""


def killed(path, config: RunConfig, at: int, on_event: Callable = lambda *_: None) -> Run:
    """Start a run and kill it when it has written the metrics of the step `at`."""
    run = Run(path, config)

    def kill(event: dict) -> None:
        on_event(run, event)
        if event["step"] == at and "loss" in event.get("metrics", {}):
            raise Killed

    with pytest.raises(Killed):
        run.execute(on_event=kill)
    return run


def same_weights(method: str, one: Run, other: Run) -> bool:
    load = load_reward_model if method == "reward" else load_policy
    a, b = (load(str(run.path)).state_dict() for run in (one, other))
    return all(torch.equal(a[name], b[name]) for name in a)


@pytest.mark.parametrize("method", METHODS)
def test_a_resumed_run_ends_as_an_unbroken_one(tmp_path, plain, method):
    run = killed(tmp_path / "run", configured(method), at=3)
    torch.manual_seed(99)
    run.execute(resume=True)
    assert run.status == "finished"
    assert [event["step"] for event in run.of("resume")] == [2]
    assert same_weights(method, run, plain(method))

    def measured(events: list[dict]) -> list[dict]:
        return [event for event in timeless(events) if event["kind"] in ("metrics", "samples")]

    assert measured(replay(run.events)) == measured(plain(method).events)


def test_a_resumed_run_keeps_the_beta_it_was_given(tmp_path):
    def turn(run: Run, event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 0:
            run.control.put({"command": "set", "beta": 2.0})

    run = killed(tmp_path / "run", configured("ppo"), at=3, on_event=turn)
    run.execute(resume=True)
    estimate, paid = run.metric("objective/kl_estimate"), run.metric("objective/non_score_reward")
    assert paid[4] == pytest.approx(-2.0 * estimate[4], abs=1e-6)


def test_a_run_killed_before_its_first_checkpoint_starts_again(tmp_path, plain):
    run = killed(tmp_path / "run", configured("dpo"), at=1)
    run.execute(resume=True)
    assert run.status == "finished"
    assert [event["step"] for event in run.of("resume")] == [0]
    assert same_weights("dpo", run, plain("dpo"))


def poison(monkeypatch, after: int) -> None:
    """Gold rewards are NaN once so many rollouts are made."""
    rollouts, reward = [], Films.reward

    def poisoned(self, prompts, *args, **kwargs):
        good = reward(self, prompts, *args, **kwargs)
        if len(prompts) == 16:  # a rollout; an evaluation asks for 2 prompts of 4 samples
            rollouts.append(1)
        return [math.nan] * len(good) if len(rollouts) > after else good

    monkeypatch.setattr(Films, "reward", poisoned)


def test_a_run_that_meets_nan_fails_in_plain_words_and_keeps_its_last_good_model(
    tmp_path, monkeypatch
):
    two = Run(tmp_path / "two", configured("ppo", reward_model="gold"))

    def stop(event: dict) -> None:
        if event["kind"] == "samples" and event["step"] == 2:
            two.control.put(STOP)

    two.execute(on_event=stop)
    assert two.status == "stopped"
    poison(monkeypatch, after=2)
    run = Run(tmp_path / "run", configured("ppo", reward_model="gold")).execute()
    assert run.status == "failed"
    last = run.events[-1]
    assert (last["kind"], last["status"]) == ("status", "failed")
    assert "\n" not in last["message"] and "Traceback" not in last["message"]
    assert "nan" in last["message"].lower()
    assert "learning rate" in last["message"] and "beta" in last["message"]
    assert same_weights("ppo", run, two)


def test_the_message_about_nan_counts_in_the_steps_of_the_run(tmp_path, monkeypatch):
    """A rollout has several updates; a person knows only the steps that the page counts."""
    poison(monkeypatch, after=2)
    run = Run(tmp_path / "run", configured("ppo", reward_model="gold")).execute()
    assert re.search(r"\bstep 3\b", run.events[-1]["message"])


def test_another_model_samples_its_own_pairs_first(tmp_path):
    save_model(toy.policy(5), toy.tokenizer(), tmp_path / "own")
    run = finished(
        tmp_path / "run", "dpo", model=str(tmp_path / "own"), preference_pairs=200, steps=2
    )
    told = [event for event in run.of("status") if "pairs" in event["message"]]
    assert len(told) > 1
    assert all(event["status"] == "running" and event["step"] == 0 for event in told)
    counts = [int(re.search(r"(\d+) of 200", event["message"])[1]) for event in told]
    assert counts == sorted(counts) and counts[-1] == 200
    assert run.metric("loss")[1] == pytest.approx(math.log(2), abs=1e-5)
    assert set(run.metric("eval/frontier_efficiency").values()) == {None}
    assert None not in run.metric("eval/proxy_reward").values(), "it shares the vocabulary"


def test_stop_takes_effect_while_pairs_are_sampled(tmp_path):
    save_model(toy.policy(5), toy.tokenizer(), tmp_path / "own")
    config = configured("dpo", model=str(tmp_path / "own"), preference_pairs=2000)
    run, told = Run(tmp_path / "run", config), []

    def stop(event: dict) -> None:
        if "pairs" in event.get("message", ""):
            told.append(event)
            run.control.put(STOP)

    run.execute(on_event=stop)
    assert run.status == "stopped"
    assert len(told) <= 2, "no further batch of pairs is sampled"
    assert run.weights()


def test_pairs_of_a_file_are_used(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"prompt": "the film", "chosen": " was good", "rejected": " was bad"}\n' * 16)
    run = finished(tmp_path / "run", "dpo", preferences=str(file), preference_pairs=None, steps=12)
    assert run.metric("rewards/accuracies")[12] == 1.0
    assert run.metric("rewards/margins")[12] > 0.1
