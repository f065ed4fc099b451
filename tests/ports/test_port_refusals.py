"""What would fail in the middle of a run, or after it, is refused in one line at construction."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    HfArgumentParser,
    RobertaConfig,
    RobertaForSequenceClassification,
)
from trl import TrlParser

from align_core import PPOConfig, PPOTrainer
from align_core.data.encoding import encode_prompts
from align_core.models.loading import positions
from align_core.models.logprobs import response_states
from tests import toy
from tests.ports.ported import PROMPTS, Scorer, history, made, rows, trained
from tests.ports.scripts import critic

TOPICS = rows(prompt=PROMPTS, topic=["art"] * 4)


def of_topic(completions, topic, **_):
    return [float(name == "art") for name in topic]


def of_nothing_else(prompts, completions, completion_ids, trainer_state):
    return [0.0] * len(prompts)


@pytest.mark.parametrize(
    ("reward", "parts", "message"),
    [
        (of_topic, {"data": rows()}, r"of train_dataset \(none\), got .*argument: 'topic'"),
        (of_nothing_else, {"data": TOPICS}, r"train_dataset \(topic\), .*keyword argument 'topic'"),
        (
            of_topic,
            {"data": TOPICS, "eval_dataset": {"own": rows()}},
            r"eval_dataset\['own'\] \(none\), got .*argument: 'topic'",
        ),
    ],
)
def test_a_function_fits_the_columns(tmp_path, reward, parts, message):
    """A list of rewards is checked, too."""
    line = f"^reward_model {reward.__name__}: expected a function of prompts, .*{message}$"
    with pytest.raises(TypeError, match=line):
        made(tmp_path, reward=[toy.reward, reward], **parts)
    fitting = {"data": rows()} if reward is of_nothing_else else {"data": TOPICS}
    made(tmp_path, reward=reward, **fitting)


SMALL = {
    "vocab_size": 14,
    "hidden_size": 16,
    "intermediate_size": 16,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_labels": 1,
    "pad_token_id": 1,
}
ENCODERS = [(BertForSequenceClassification, BertConfig, 8)]
ENCODERS += [(RobertaForSequenceClassification, RobertaConfig, 10)]


@pytest.mark.parametrize(("kind", "config", "most"), ENCODERS)
def test_a_reward_model_has_room_for_prompt_and_response(tmp_path, kind, config, most):
    """Both have 8 positions: RoBERTa counts its own from 2 on. The prompts have up to 4 tokens."""
    model = kind(config(**SMALL, max_position_embeddings=most))
    assert positions(model) == 8
    with torch.no_grad():
        model(torch.full((1, 8), 3))
        with pytest.raises((IndexError, RuntimeError)):
            model(torch.full((1, 9), 3))
    parts = {"reward": model, "stop_token": None}
    trained(tmp_path, response_length=4, total_episodes=4, **parts)
    with pytest.raises(ValueError, match="prompts of at most 3 tokens .*_length, 5.*, got 4"):
        made(tmp_path, response_length=5, **parts)
    with pytest.raises(ValueError, match="response_length got 8, expected less than 8, the pos"):
        made(tmp_path, response_length=8, **parts)


def test_a_policy_that_could_not_be_saved_is_refused(tmp_path):
    """transformers saves no temperature without `do_sample`, and Trainer has changed the config."""
    model = toy.policy()
    model.generation_config.temperature = 0.6
    with pytest.raises(
        ValueError, match="generation_config that can be saved, .*`do_sample=True`"
    ) as e:
        made(tmp_path, model=model)
    assert "\n" not in str(e.value)
    model.generation_config.do_sample = True
    made(tmp_path, model=model).save_model()


class Pooling(Scorer):
    def score(self, states):
        return super().score(states).mean(1)


class Narrow(Scorer):
    def __init__(self):
        super().__init__()
        self.head = nn.Linear(8, 1)


@pytest.mark.parametrize(
    ("kind", "got"),
    [(Pooling, r"shape \[2, 1\] for 2 texts of 2 tokens"), (Narrow, "RuntimeError")],
)
def test_a_value_module_gives_a_number_at_every_token(tmp_path, kind, got):
    line = f"value_model {kind.__name__}: expected a number at every token, got {got}"
    with pytest.raises(ValueError, match=line):
        made(tmp_path, value_model=kind())


@pytest.mark.parametrize("shares", [False, True])
def test_a_critic_on_a_whole_language_model_is_trained(tmp_path, shares):
    policy = toy.policy()
    backbone = policy if shares else toy.policy(3)
    data, output = rows(input_ids=toy.tokenizer()(PROMPTS)["input_ids"]), str(tmp_path)
    before = toy.outputs(backbone)
    trainer = critic.main(toy.tokenizer(), policy, backbone, toy.reward_model(), data, output)
    assert history(trainer, "objective/kl")[0] < 1e-6
    stored = torch.load(tmp_path / "critic.pt")
    assert torch.equal(stored["1.weight"], trainer.value_model.mlp[1].weight)
    assert torch.equal(toy.outputs(backbone), before) != shares, "the optimiser has only the head"


def test_the_states_of_a_whole_language_model_are_those_of_its_trunk():
    policy, mask = toy.policy(), torch.tensor([[True, True], [True, False]])
    batch = encode_prompts(toy.tokenizer(), PROMPTS[:2]), torch.tensor([[8, 0], [9, 1]]), mask
    whole, own = response_states(policy, *batch), response_states(policy.model, *batch)
    torch.testing.assert_close(whole[mask], own[mask], atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("setting", "use"),
    [
        ("warmup_ratio", "warmup_steps, which below 1 is a share"),
        ("overwrite_output_dir", "nothing, output_dir is always written to"),
        ("non_eos_penalty", "missing_eos_penalty"),
        ("truncate_token", "stop_token"),
    ],
)
def test_settings_of_older_scripts_name_their_replacements(tmp_path, setting, use):
    with pytest.raises(TypeError, match=f"^PPOConfig has no setting {setting}: use {use}"):
        PPOConfig(output_dir=str(tmp_path), **{setting: 1})


@pytest.mark.parametrize("parser", [HfArgumentParser, TrlParser])
@pytest.mark.parametrize(
    ("flags", "use"),
    [
        (["--batch_size", "8"], "batch_size: use per_device_train_batch_size times gradient_acc"),
        (["--mini-batch-size", "8"], "mini_batch_size: use num_mini_batches"),
        (["--no_cuda"], "no_cuda: use use_cpu"),
    ],
)
def test_flags_of_older_scripts_name_their_replacements(tmp_path, parser, flags, use):
    given = ["--output_dir", str(tmp_path), "--use_cpu", *flags]
    with pytest.raises(TypeError, match=f"^PPOConfig has no setting {use}"):
        parser(PPOConfig).parse_args_into_dataclasses(given)


@pytest.mark.parametrize(
    ("method", "use"),
    [
        ("predict", r"evaluate\(dataset, metric_key_prefix='test'\) for metrics, or rollout"),
        ("evaluation_loop", r"evaluate\(dataset\)"),
        ("prediction_step", r"rollout\(prompts\)"),
        ("hyperparameter_search", "a loop that makes a trainer for each PPOConfig"),
    ],
)
def test_methods_of_trainer_that_do_not_fit_name_their_replacements(tmp_path, method, use):
    line = f"^PPOTrainer.{method} belongs to Trainer: expected {use}"
    with pytest.raises(TypeError, match=line):
        getattr(made(tmp_path), method)(rows())


def test_the_other_methods_of_trainer_work(tmp_path):
    trainer = made(tmp_path, eval_dataset=rows())
    trainer.create_optimizer_and_scheduler(2)
    metrics = trainer.train().metrics
    trainer.log_metrics("train", metrics)
    trainer.save_metrics("train", metrics)
    trainer.save_state()
    files = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"train_results.json", "all_results.json", "trainer_state.json"} <= files
    test = trainer.evaluate(rows(), None, "test")
    own = trainer.evaluate()
    assert test["test_objective/scores"] == own["eval_objective/scores"]
    assert [*trainer.get_test_dataloader(rows())][0]["input_ids"].tolist()[0] == [1, 1, 2, 4]
    assert trainer.tokenizer is trainer.processing_class


@pytest.mark.parametrize("argument", ["compute_metrics", "model_init"])
def test_arguments_of_trainer_name_their_replacements(tmp_path, argument):
    with pytest.raises(TypeError, match=f"^PPOTrainer has no argument {argument}: use "):
        PPOTrainer(args=PPOConfig(output_dir=str(tmp_path)), **{argument: None})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fp16": True}, "^fp16 got True, expected False on a CPU; use bf16=True$"),
        ({"load_best_model_at_end": True}, "^load_best_.*=True: expected an eval_s.*, got 'no'$"),
        ({"save_strategy": "best"}, "^save_strategy='best': expected an eval_strategy.*, got 'no'"),
        ({"eval_on_start": True}, "^eval_dataset: expected prompts for eval_on_start=True, got N"),
        ({"eval_strategy": "steps"}, "^eval_dataset: expected prompts for eval_strategy='steps'"),
        ({"debug": "underflow_overflow"}, "^debug got 'underflow_overflow', expected nothing"),
        (
            {"value_model": toy.reward_model().requires_grad_(False)},
            "^value_model: expected trainable weights, got none; ",
        ),
    ],
)
def test_settings_that_would_fail_or_do_nothing_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message) as e:
        made(tmp_path, **settings)
    assert "\n" not in str(e.value)


def test_save_strategy_best_keeps_the_highest_score_by_default(tmp_path):
    sets = {"eval_dataset": rows(), "eval_strategy": "steps", "eval_steps": 1}
    trainer = made(tmp_path, save_strategy="best", **sets)
    assert trainer.args.metric_for_best_model == "objective/scores"
    trainer.train()
    assert trainer.state.best_metric == max(history(trainer, "eval_objective/scores"))


@pytest.mark.parametrize("name", ["PPOv2Config", "PPOv2Trainer"])
def test_names_of_older_imports_say_the_new_ones(name):
    import align_core

    with pytest.raises(
        ImportError, match=f"{name} belongs to TRL 0.11: it is {name.replace('v2', '')}"
    ):
        getattr(align_core, name)


def test_a_saved_model_has_a_card_with_the_names_that_were_given(tmp_path):
    trainer = trained(tmp_path, save_strategy="steps", save_steps=1)
    card = tmp_path / "out" / "README.md"
    assert not card.exists()
    assert "| β | 0.05 |" in (tmp_path / "out" / "checkpoint-1" / "README.md").read_text("utf-8")
    trainer.save_model(str(tmp_path / "kept"))
    text = (tmp_path / "kept" / "README.md").read_text(encoding="utf-8")
    assert "# kept" not in text and "| β | 0.05 |" in text
    trainer.create_model_card(model_name="mine", dataset_name="ann/prompts")
    trainer.save_model()
    assert "# mine" in card.read_text(encoding="utf-8") and "ann/prompts" in card.read_text()
