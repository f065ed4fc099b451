"""Runs of scripts: their logs, saved files, resumes and attributes."""

from __future__ import annotations

import shutil
import sys
from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch
from transformers import GenerationConfig, HfArgumentParser, TrainerCallback, TrainingArguments
from trl import LogCompletionsCallback, TrlParser
from trl.models.utils import unwrap_model_for_generation

from align_core import PPOConfig, PPOTrainer
from tests import toy
from tests.ports.ported import PROMPTS, Scorer, history, made, rows, trained


def test_each_rollout_is_logged_before_the_callbacks_at_its_end(tmp_path):
    seen = []

    class Recorder(TrainerCallback):
        def on_step_end(self, args, state, control, **_):
            seen.append((state.global_step, len(state.log_history), state.episode))

    trainer = trained(tmp_path, callbacks=[Recorder()], num_ppo_epochs=2)
    assert seen == [(2, 1, 4), (4, 2, 8)]
    assert history(trainer, "episode") == [4, 8]
    assert history(trainer, "learning_rate") == [7.5e-4, 2.5e-4], "at the logged step"
    assert history(trainer, "grad_norm")[0] > 0


class Sampling(TrainerCallback):
    """Generates a text, by the policy and as TRL's callbacks do, and logs a metric of its own."""

    trainer = None

    def on_optimizer_step(self, args, state, control, model, **_):
        prompt = {"input_ids": torch.tensor([[2, 4, 6]]), "attention_mask": torch.ones(1, 3)}
        greedy = {"max_new_tokens": 6, "do_sample": False, "pad_token_id": 1}
        alone = toy.policy()
        alone.load_state_dict(model.policy.state_dict())
        expected = alone.generate(**prompt, **greedy)
        assert torch.equal(model.policy.generate(**prompt, **greedy), expected)
        with unwrap_model_for_generation(self.trainer.model, self.trainer.accelerator) as unwrapped:
            assert torch.equal(unwrapped.generate(**prompt, **greedy), expected)
        assert model.is_gradient_checkpointing
        self.trainer.log({"eval/of_callback": 1.0})


def test_a_callback_generates_and_logs_within_a_rollout(tmp_path):
    """Layers that are computed again do not use the cache, but only in updates; the metrics of the
    rollout are logged at its end, and not with the callback's."""
    callback = Sampling()
    value_model = Scorer()  # a module whose trunk has such layers
    settings = {"num_ppo_epochs": 2, "gradient_checkpointing": True, "value_model": value_model}
    trainer = made(tmp_path, callbacks=[callback], **settings)
    callback.trainer = trainer
    trainer.train()
    own, of_rollouts = (
        [entry for entry in trainer.state.log_history if name in entry]
        for name in ("eval/of_callback", "objective/scores")
    )
    assert [set(entry) for entry in own] == 4 * [{"eval/of_callback", "epoch", "step"}]
    assert len(of_rollouts) == 2 and all(
        entry["lr"] == entry["learning_rate"] and entry["eps"] >= 0 for entry in of_rollouts
    )


def test_half_a_run_between_logs_and_an_epoch_between_checkpoints(tmp_path):
    trainer = trained(tmp_path, total_episodes=16, logging_steps=0.5, save_strategy="epoch")
    assert history(trainer, "episode") == [8, 16]
    saved = {path.name for path in (tmp_path / "out").glob("checkpoint-*")}
    assert saved == {f"checkpoint-{rollout}" for rollout in (1, 2, 3, 4)}, "4 prompts a rollout"


def test_a_run_resumes_from_any_form_of_the_path(tmp_path):
    settings = {"num_ppo_epochs": 2, "save_strategy": "steps", "save_steps": 1}
    whole = trained(tmp_path, max_steps=3, **settings)
    out = tmp_path / "out"
    assert {path.name for path in out.glob("checkpoint-*")} == {"checkpoint-2", "checkpoint-4"}
    (out / "checkpoint-2").rename(tmp_path / "renamed")
    for path in (f"{tmp_path}/renamed/", tmp_path / "renamed"):
        shutil.rmtree(out)
        again = made(tmp_path, max_steps=3, **settings)
        again.train(resume_from_checkpoint=path)
        for ours, theirs in zip(again.model.parameters(), whole.model.parameters(), strict=True):
            assert torch.equal(ours, theirs)
    with pytest.raises(ValueError, match="a checkpoint of PPO, with ppo.safetensors, got"):
        made(tmp_path).train(resume_from_checkpoint=tmp_path)
    with pytest.raises(ValueError, match="the end of a rollout of 5 steps, got .*, from step 2"):
        made(tmp_path, num_ppo_epochs=5).train(resume_from_checkpoint=tmp_path / "renamed")


def test_checkpointed_layers_give_the_same_weights_for_less_memory(tmp_path):
    """Each layer runs forwards once more in the backward pass, without dropout."""
    ends, passes = [], []
    for setting in ({}, {"gradient_checkpointing": True}):
        model, count = toy.policy(), [0]
        layer = model.model.layers[0]
        layer.self_attn.register_forward_pre_hook(
            lambda module, _, count=count: count.__setitem__(0, count[0] + torch.is_grad_enabled())
        )
        trainer = trained(tmp_path, model=model, value_model=toy.reward_model(), **setting)
        assert not layer.self_attn.training
        ends.append([p.detach().clone() for p in trainer.model.parameters()])
        passes.append(count[0])
    for ours, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-7, rtol=0)
    assert passes[1] == 2 * passes[0] > 0


def test_the_attributes_that_scripts_read(tmp_path):
    args = PPOConfig(
        output_dir=str(tmp_path / "out"),
        use_cpu=True,
        per_device_train_batch_size=4,
        gradient_accumulation_steps=2,
        num_mini_batches=2,
        total_episodes=20,
    )
    sizes = args.batch_size, args.local_batch_size, args.mini_batch_size, args.local_mini_batch_size
    assert sizes == (8, 8, 4, 4)
    assert (args.micro_batch_size, args.num_total_batches) == (4, 3)
    value_model = toy.reward_model()
    trainer = made(tmp_path, reward=toy.reward, value_model=value_model, ref_model=toy.policy(2))
    assert trainer.policy_model is trainer.model.policy
    assert trainer.value_model is value_model and trainer.reward_model is toy.reward
    assert trainer.ref_model is trainer.reference
    assert (trainer.stop_token_id, trainer.state.episode) == (0, 0)
    assert made(tmp_path, stop_token_id=[3, 8]).ends == [3, 8]
    names = "local_seed", "local_dataloader_batch_size", "model_adapter_name", "ref_adapter_name"
    assert [getattr(trainer, name) for name in names] == [trainer.args.seed, 4, None, None]


def test_the_sizes_of_a_trainer_are_those_that_were_set(tmp_path):
    """8 episodes in 2 minibatches of 4, which are passed 2 at a time."""
    args = made(
        tmp_path,
        per_device_train_batch_size=2,
        gradient_accumulation_steps=4,
        num_mini_batches=2,
        total_episodes=20,
    ).args
    assert (args.local_batch_size, args.local_mini_batch_size, args.micro_batch_size) == (8, 4, 2)
    assert args.num_total_batches == 3  # ceil(20 / 8)


class WithOwnOptimizer(PPOTrainer):
    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        self.local_seed = 7
        self.rollouts = num_training_steps
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=1.0)
        share = lambda step: 1 - step / num_training_steps  # noqa: E731
        self.lr_scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, share)


class WithChangedOptimizer(PPOTrainer):
    def create_optimizer_and_scheduler(self, num_training_steps: int) -> None:
        super().create_optimizer_and_scheduler(num_training_steps)
        self.rollouts = num_training_steps


@pytest.mark.parametrize("kind", [WithOwnOptimizer, WithChangedOptimizer])
def test_an_optimizer_and_schedule_of_a_subclass_count_rollouts(tmp_path, kind):
    """2 rollouts of 2 updates each: the rate halves after the first."""
    trainer = trained(tmp_path, cls=kind, num_ppo_epochs=2)
    assert trainer.rollouts == 2
    full = 1.0 if kind is WithOwnOptimizer else trainer.args.learning_rate
    rates = [group["lr"] for group in trainer.optimizer.param_groups]
    assert rates == [0.0] * len(rates)
    assert history(trainer, "lr") == pytest.approx([full, full / 2])


def test_settings_that_were_written_can_be_read(tmp_path):
    """TrainingArguments would write `stop_token` as a secret."""
    settings = {"output_dir": str(tmp_path), "use_cpu": True, "kl_coef": 0.3}
    for stop in ("eos", None):
        args = PPOConfig(**settings, stop_token=stop)
        again = PPOConfig(**args.to_dict())
        (tmp_path / "args.json").write_text(args.to_json_string())
        parser = HfArgumentParser(PPOConfig)
        (read,) = parser.parse_json_file(str(tmp_path / "args.json"), allow_extra_keys=True)
        for other in (again, read):
            assert (other.stop_token, other.kl_coef) == (stop, 0.3)


def test_parsers_take_the_flags_of_ported_scripts(tmp_path, capsys):
    flags = f"""--output_dir {tmp_path} --use_cpu --sft_model_path a --reward_model_path b
        --learning_rate 3e-6 --per_device_train_batch_size 1 --gradient_accumulation_steps 64
        --total_episodes 30000 --missing_eos_penalty 1.0 --stop_token eos --response_length 53
        --local_rollout_forward_batch_size 16 --num_sample_generations 10 --dataset_num_proc 2
        --num_ppo_epochs 1 --num_mini_batches 4 --gradient_checkpointing False --kl_coef 0.1
        --exp_name ppo_tldr""".split()
    for parser in (HfArgumentParser, TrlParser):
        (args,) = parser(PPOConfig).parse_args_into_dataclasses(flags)
        assert (args.sft_model_path, args.reward_model_path) == ("a", "b")
        assert (args.dataset_num_proc, args.local_rollout_forward_batch_size) == (2, 16)
        assert args.run_name == "ppo_tldr"
        assert args.counted_in_updates(10).sampling_batch_size == 16
    with pytest.raises(SystemExit):
        HfArgumentParser(PPOConfig).parse_args(["--help"])
    printed = " ".join(capsys.readouterr().out.split())
    assert "The maximum number of tokens of a response." in printed
    of_trainer = {field.name for field in fields(TrainingArguments)}
    own = [field for field in fields(PPOConfig) if field.name not in of_trainer and field.init]
    assert own and all(field.metadata.get("help") for field in own)


def test_samples_of_the_evaluation_data_are_printed_during_and_after_a_run(tmp_path, capsys):
    data = rows(prompt=PROMPTS[:2])

    def reward(prompts, completions, **_):
        return [len(text) / 7 for text in completions]

    settings = {"num_sample_generations": 2, "reward": reward}
    trainer = made(tmp_path, eval_dataset=data, **settings)
    trainer.train()
    assert capsys.readouterr().out.count("model response") == 2
    table = trainer.generate_completions()
    assert [row["query"].split() for row in table] == [["the", "film"], ["a", "plot"]]
    assert set(table[0]) == {"query", "model response", "score"}
    sampled = trainer._samples(list(data))  # the noise is fixed: these are the texts of the table
    ids = [row[real].tolist() for row, real in zip(sampled.tokens, sampled.mask, strict=True)]
    texts = trainer.processing_class.batch_decode(ids, skip_special_tokens=True)
    assert [row["model response"] for row in table] == texts != ["", ""]
    assert [row["score"] for row in table] == [round(score, 3) for score in sampled.scores.tolist()]
    assert made(tmp_path).generate_completions() == []
    assert len(made(tmp_path, eval_dataset=rows(prompt=PROMPTS[:1])).generate_completions()) == 1


def test_trackers_get_the_table_of_samples(tmp_path, monkeypatch):
    calls = []
    library = SimpleNamespace(log=calls.append, Table=lambda dataframe: dataframe)
    monkeypatch.setitem(sys.modules, "trackio", library)
    trainer = made(tmp_path, eval_dataset=rows(prompt=PROMPTS[:2]))
    trainer.generate_completions()
    assert calls == []
    trainer.args.report_to = ["tensorboard", "trackio"]
    table = trainer.generate_completions()
    (call,) = calls
    assert call["completions"].to_dict("records") == [{"step": 0, **row} for row in table]


def test_evaluation_sets_by_name_and_the_callback_of_trl(tmp_path):
    sets = {"first": rows(prompt=PROMPTS[:2]), "second": rows(prompt=PROMPTS[2:])}
    trainer = made(tmp_path, eval_dataset=sets)
    metrics = trainer.evaluate()
    assert {"eval_first_objective/scores", "eval_second_objective/kl"} <= set(metrics)
    with pytest.raises(ValueError, match="eval_dataset: expected a data set for evaluate"):
        made(tmp_path).evaluate()
    with pytest.raises(ValueError, match="expected first, second, got the name 'third'"):
        trainer.evaluate("third")
    for wrong, got in (
        (rows(x=PROMPTS), "or input_ids, got x"),
        ([], "got none"),
        ("a", "got the"),
    ):
        with pytest.raises(ValueError, match=f"^eval_dataset: expected .*{got}"):
            made(tmp_path, eval_dataset=rows()).evaluate(wrong)
    with pytest.raises(
        ValueError, match=r"eval_dataset\['text'\]: expected a column prompt .*, got x"
    ):
        made(tmp_path, eval_dataset={"prompt": rows(), "text": rows(x=PROMPTS)})
    trainer = made(tmp_path, eval_dataset=rows(), eval_strategy="steps", eval_steps=1)
    callback = LogCompletionsCallback(trainer, GenerationConfig(max_new_tokens=2))
    trainer.add_callback(callback)
    trainer.train()
    assert len(callback.table) == 2 * len(PROMPTS)
