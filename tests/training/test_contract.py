"""Events and files of whole runs of all four methods."""

from __future__ import annotations

import math

import pytest

from align_core.models.loading import load_policy, load_reward_model, load_tokenizer
from tests import toy
from tests.training.films import METHODS, Films, Run, configured, finished, timeless

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
def test_the_same_seed_gives_the_same_events_and_listeners_get_them_as_written(
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
    shown = [] if method == "ppo" else [0, 1, 2, 3]  # the completed steps before each update
    assert [event["step"] for event in run.of("example")] == shown

    for name in sorted(TRAINING_METRICS[method]):
        assert list(run.metric(name)) == [1, 2, 3, 4], name
    evaluation = EVALUATION if method != "reward" else {"eval/accuracy", "eval/margin"}
    for name in sorted(evaluation):
        assert list(run.metric(name)) == [0, 2, 4], name
        assert list(run.metric(f"{name}_ci95")) == [4], f"{name} has an interval at the end"
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


@pytest.mark.parametrize(
    ("method", "reward_model"), [("ppo", "reward-reviews"), ("ppo", "gold"), ("dpo", None)]
)
def test_the_last_evaluation_has_the_distance_and_the_part_of_the_reward_model(
    tmp_path, method, reward_model
):
    """A run on pairs follows no reward model; its proxy reward is only measured."""
    options = {"steps": 2, "batch_size": 8, "eval_every": 1, "beta": 2.0}
    config = configured(method, reward_model=reward_model, **options)
    run = Run(tmp_path / "run", config).execute()
    learned = [2] * (reward_model == "reward-reviews")
    assert list(run.metric("eval/optimum_gap")) == list(run.metric("eval/optimum_gap_ci95")) == [2]
    for name in ("gap", "gap_ci95", "above_reference", "kl"):
        assert list(run.metric(f"eval/learned_optimum_{name}")) == learned
    before, after = run.events[-2:]
    assert (before["kind"], before["step"], after["status"]) == ("distance", 2, "finished")
    texts = len(run.of("samples")) * config.eval_samples // 6
    assert (before["distance"]["beta"], before["distance"]["texts"]) == (2.0, texts)


@pytest.mark.parametrize("method", ["sft", "ppo", "dpo"])
def test_sample_events_show_policy_and_reference(plain, method):
    run = plain(method)
    assert [event["step"] for event in run.of("samples")] == [0, 2, 4]
    for event in run.of("samples"):
        assert {entry["prompt"] for entry in event["samples"]} == set(Films().prompts("probe"))
        golds = [entry["reference"]["gold_reward"] for entry in event["samples"]]
        assert golds == sorted(golds), "the reference's worst samples come first"
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


def test_ppo_shows_a_token_of_its_latest_rollout_at_each_evaluation(plain):
    run = plain("ppo")
    events = run.of("token")
    assert [(event["step"], event["token"]["rollout"]) for event in events] == [(2, 2), (4, 4)]
    for event in events:
        assert event["token"]["beta"] == configured("ppo").beta
        assert event["token"]["updates"] == 4  # two epochs of two minibatches
    assert not plain("dpo").of("token") and not plain("reward").of("token")


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


def test_ppo_subtracts_beta_times_kl(plain):
    estimate, beta = plain("ppo").metric("objective/kl_estimate"), configured("ppo").beta
    for step, paid in plain("ppo").metric("objective/non_score_reward").items():
        assert paid == pytest.approx(-beta * estimate[step], abs=1e-6)


def test_ppo_uses_the_gold_reward_on_request(tmp_path, plain):
    gold = finished(tmp_path / "run", "ppo", reward_model="gold", steps=1)

    def halves(run: Run) -> float:
        """Whether the first rollout's 16 scores add up to a multiple of ½, as gold rewards do."""
        return 32 * run.metric("objective/scores")[1]

    assert halves(gold) == pytest.approx(round(halves(gold)), abs=1e-5)
    assert halves(plain("ppo")) != pytest.approx(round(halves(plain("ppo"))), abs=1e-3)
    assert gold.metric("eval/gold_reward")[0] == plain("ppo").metric("eval/gold_reward")[0]
