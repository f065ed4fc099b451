"""Parts of PPOTrainer by themselves, on values made by hand."""

from __future__ import annotations

import time
from collections import defaultdict
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import DefaultFlowCallback, LlamaForCausalLM, Trainer

from align_core.data.encoding import encode_prompts
from align_core.models.lora import lora_config
from align_core.models.reference import InitialWeights
from align_core.models.sampling import Responses
from align_core.trainers.ppo import trainer as module
from align_core.trainers.ppo.arguments import (
    add_value_weights,
    check_prompts,
    reference_of,
    room_of,
    separate_rewards,
)
from align_core.trainers.ppo.callbacks import LogsFirst
from align_core.trainers.ppo.checkpoints import PPOCheckpoints
from align_core.trainers.ppo.metrics import PPOMetrics
from align_core.trainers.ppo.phases import Phases
from align_core.trainers.ppo.prompts import Room
from align_core.trainers.ppo.rollouts import Episodes
from align_core.trainers.ppo.samples import Samples, SampleTables, check_best_metric
from align_core.trainers.ppo.scores import check_scalar
from align_core.trainers.ppo.trainer import PPOTrainer
from tests import toy
from tests.trainers.small_ppo import PROMPTS, made

DATA = Dataset.from_dict({"prompt": PROMPTS})


def ignored(data, columns) -> None:
    """A check of rewards that any columns pass."""


def test_trunk_states_are_those_of_prompts_and_responses():
    prompt, response = torch.ones(2, 3, 4), torch.zeros(2, 5, 4)
    states = Episodes.trunk_states.fget
    joined = states(SimpleNamespace(prompt_trunk=prompt, trunk=response))
    assert joined[..., 0].tolist() == [[1] * 3 + [0] * 5] * 2
    assert states(SimpleNamespace(prompt_trunk=None, trunk=None)) is None
    assert states(SimpleNamespace(prompt_trunk=prompt, trunk=None)) is None


def test_an_optimiser_of_the_policy_gets_the_weights_of_the_values():
    policy, values = torch.nn.Linear(2, 2), torch.nn.Linear(2, 1)
    for model in (
        SimpleNamespace(value_model=values, value_head=None),
        SimpleNamespace(value_model=None, value_head=values),
    ):
        optimizer = torch.optim.SGD(policy.parameters(), lr=0.1)
        for _ in range(2):  # the second time they are there
            add_value_weights((optimizer, None), model)
        assert [group["params"] for group in optimizer.param_groups] == [
            [*policy.parameters()],
            [*values.parameters()],
        ]


def test_the_columns_of_a_collator_are_its_own(tmp_path):
    """A collator of one's own may read any column; otherwise there is one with prompts."""
    data = Dataset.from_dict({"question": PROMPTS})
    room, most = Room(10, 4, 14), 2

    def collate(rows):
        return {"input_ids": toy.tokenizer()([row["question"] for row in rows])["input_ids"]}

    check_prompts(data, None, ignored, toy.tokenizer(), collate, room, most)
    calls = []

    def counted(rows):
        calls.append(rows)
        return collate(rows)

    check_prompts(data, None, ignored, toy.tokenizer(), counted, room, most)
    assert len(calls) == 1, "it may draw at random: only the first rows are read"
    read = []

    class Stream:
        def __iter__(self):
            for prompt in PROMPTS:
                read.append(prompt)
                yield {"prompt": prompt}

    check_prompts(Stream(), None, ignored, toy.tokenizer(), list, room, most)
    assert len(read) == 1 + most, "of a stream, the first row for its columns and the first rows"
    long = Dataset.from_dict({"prompt": ["the film"] * 2 + ["the film was good"]})
    with pytest.raises(ValueError, match="the film was good"):
        check_prompts(long, None, ignored, toy.tokenizer(), list, Room(3, 4, 14), most)
    with pytest.raises(ValueError, match="expected a column prompt .*, got question"):
        check_prompts(data, None, ignored, toy.tokenizer(), list, room, most)


def test_a_step_is_logged_after_it_is_decided_and_before_other_callbacks(tmp_path):
    first, second = made(tmp_path).callback_handler.callbacks[:2]
    assert isinstance(first, DefaultFlowCallback) and isinstance(second, LogsFirst)


def test_the_latest_rollout_has_its_beta_and_the_updates_before_it(tmp_path):
    """Three rollouts of four updates, at β = 0.2."""
    trainer = made(tmp_path, kl_coef=0.2)
    trainer.train()
    assert (trainer.latest.beta, trainer.latest.update) == (0.2, 8)


def test_only_the_likeliest_token_is_drawn_with_a_top_k_of_one(tmp_path):
    trainer = made(tmp_path, top_k=1)
    rows = [{"prompt": "the film"}] * 16
    drawn = trainer._episodes(rows, range(16), 16, seed=1, score=trainer.score).tokens
    assert (drawn == drawn[0]).all()


def test_a_response_leaves_room_for_a_prompt():
    """The policy has 64 positions, the reward model 32."""
    models = toy.policy(), None, LlamaForCausalLM(toy.config(max_position_embeddings=32))
    assert room_of(SimpleNamespace(response_length=31), *models) == Room(1, 31, 14)
    with pytest.raises(ValueError, match="response_length got 32, expected less than 32"):
        room_of(SimpleNamespace(response_length=32), *models)


def test_there_is_a_table_of_samples_in_a_rollout_at_most(tmp_path):
    for tables, rollouts in {1: 3, 2: 1, 10: 1}.items():  # of three rollouts
        settings = {"num_sample_generations": tables, "eval_dataset": DATA}
        callbacks = made(tmp_path, **settings).callback_handler.callbacks
        assert [one._rollouts for one in callbacks if isinstance(one, SampleTables)] == [rollouts]


def test_tables_come_in_the_first_of_every_few_rollouts():
    """Two or three rollouts a table, four updates a rollout."""
    steps, trainer = [], SimpleNamespace(generate_completions=lambda sampling: steps.append(step))
    args = SimpleNamespace(updates_per_rollout=4)
    for rollouts, expected in {2: [4, 12, 20], 3: [4, 16]}.items():
        tables = SampleTables(trainer, rollouts)
        for step in range(4, 25, 4):
            tables.on_step_end(args, SimpleNamespace(global_step=step), None)
        assert steps == expected
        steps.clear()


def test_an_adapter_is_merged_if_another_one_is_asked_for(tmp_path):
    for adapted, config, merged in ((1, 1, True), (1, 0, False), (0, 1, False), (0, 0, False)):
        model = toy.adapted(toy.policy()) if adapted else toy.policy()
        peft_config = LoraConfig(r=2, task_type="CAUSAL_LM") if config else None
        assert made(tmp_path, model=model, peft_config=peft_config).was_merged == merged


class Trunk(torch.nn.Module):
    """A module with these attributes."""

    def __init__(self, **attributes) -> None:
        super().__init__()
        for name, value in attributes.items():
            setattr(self, name, value)


def test_a_module_needs_its_trunk_and_its_head():
    part = torch.nn.Linear(2, 2)
    check_scalar(Trunk(base_model_prefix="trunk", trunk=part, score=part), "reward_model")
    for attributes in (
        {"base_model_prefix": "trunk", "trunk": part},
        {"base_model_prefix": "trunk", "score": part},
        {"trunk": part, "score": part},
    ):
        with pytest.raises(TypeError, match="base_model_prefix, .*and score, .*got Trunk"):
            check_scalar(Trunk(**attributes), "reward_model")


def test_the_micro_batches_of_a_rollout_are_learned_in_their_order(tmp_path, monkeypatch):
    trainer, rollouts = made(tmp_path), []
    trainer.get_train_dataloader()
    trainer._rollout = lambda rows: rollouts.append([row["prompt"] for row in rows])
    monkeypatch.setattr(module, "epochs", lambda *_: ["first", "second", "third"])
    order = [trainer._prepare_inputs([1, 0]) for _ in range(4)]
    assert order == ["first", "second", "third", "first"]
    assert rollouts == [[PROMPTS[1], PROMPTS[0]]] * 2


def test_the_seed_of_a_rollout_is_a_function_of_seed_step_and_turn():
    trainer = SimpleNamespace(args=SimpleNamespace(seed=3), state=SimpleNamespace(global_step=5))
    seeds = [PPOTrainer._rollout_seed(trainer, *turn) for turn in ((), (0,), (2,))]
    assert seeds == [3 * 1_000_003 + 5, 3 * 1_000_003 + 5, 3 * 1_000_003 + 5 + 2 * 500_009]


def test_the_reference_is_the_given_model_or_the_policy_as_it_is():
    args, other, policy = SimpleNamespace(device="cpu"), toy.policy(1), toy.policy()
    copied = reference_of(policy, None, False, args)
    assert copied is not policy and not any(p.requires_grad for p in copied.parameters())
    assert torch.equal(toy.outputs(copied), toy.outputs(policy))
    adapted = toy.adapted(toy.policy())
    new = get_peft_model(toy.policy(), lora_config(toy.policy(), 4, "CAUSAL_LM"))
    for given in (policy, adapted):
        for is_new in (True, False):
            assert reference_of(given, other, is_new, args) is other
    assert reference_of(new, None, True, args) is None, "the policy without its adapter"
    for is_new in (True, False):  # a new one that changes the outputs, as PiSSA does
        assert isinstance(reference_of(adapted, None, is_new, args), InitialWeights)
    with pytest.raises(TypeError, match="ref_model: expected a causal language model, or None, go"):
        reference_of(policy, torch.nn.Linear(1, 1), False, args)
    small = LlamaForCausalLM(toy.config(vocab_size=13))
    with pytest.raises(ValueError, match="ref_model: expected the 14 tokens .*, got 13; ref_model"):
        reference_of(policy, small, False, args)


def test_a_trunk_is_shared_with_a_reference_that_is_the_policy_itself(tmp_path):
    """With another model as the reference, nothing is shared."""
    for reference in (None, toy.policy(1)):
        config = lora_config(toy.policy(), 4, "CAUSAL_LM", layers=1)
        trainer = made(tmp_path, peft_config=config, ref_model=reference)
        trainer._rollout([{"prompt": prompt} for prompt in PROMPTS])
        assert trainer.model.frozen is not None
        assert (trainer.latest.episodes.trunk is None) == (reference is not None)
        assert (trainer.latest.episodes.kl.mean() > 1e-3) == (reference is not None)


def test_only_a_reward_that_is_the_value_model_is_copied():
    model, value_model = toy.reward_model(), toy.reward_model(2)
    assert separate_rewards(model, value_model) is model and separate_rewards(None, None) is None
    first, second = separate_rewards([model, value_model], value_model)
    assert first is model and second is not value_model
    assert not any(p.requires_grad for p in second.parameters())
    assert torch.equal(toy.outputs(second), toy.outputs(value_model))


def test_an_entry_has_the_means_over_processes_and_over_the_steps_since_the_last_one():
    """Two steps with losses that sum to 5, and a metric of 1 and 2; all processes have 10 more."""
    entries = []
    state = SimpleNamespace(global_step=3, episode=96)
    trainer = SimpleNamespace(
        control=SimpleNamespace(should_log=True),
        state=state,
        args=SimpleNamespace(device="cpu"),
        accelerator=SimpleNamespace(reduce=lambda means, how: means + 10),
        step_facts={"grad_norm": None, "learning_rate": 0.1},
        began=time.perf_counter() - 48.5,
        store_flos=lambda: None,
        log=entries.append,
        _metrics=defaultdict(list, {"objective/kl": [1.0, 2.0]}),
        _tr_loss=torch.tensor(5.0),
        _total_loss_scalar=1.0,
        _globalstep_last_logged=1,
    )
    PPOMetrics.log_step(trainer)
    PPOMetrics.log_step(trainer)
    assert entries == [
        {
            **{"loss": 7.5, "objective/kl": 11.5, "learning_rate": 0.1, "lr": 0.1},
            **{"eps": 1, "episode": 96},
        }
    ]
    assert (trainer._tr_loss, trainer._total_loss_scalar, dict(trainer._metrics)) == (0, 16, {})
    trainer.control.should_log, state.global_step = False, 4
    PPOMetrics.log_step(trainer)
    assert len(entries) == 1


class Restored:
    """A Trainer that restores its optimiser."""

    def _load_optimizer_and_scheduler(self, checkpoint):
        self.loaded = []


class WithCheckpoints(PPOCheckpoints, Restored):
    def _load_from_checkpoint(self, checkpoint):
        self.loaded.append(checkpoint)


def test_weights_that_deepspeed_overwrote_are_loaded_again():
    loaded = {}
    for checkpoint in ("folder", None):
        for deepspeed in (True, False):
            trainer = WithCheckpoints()
            trainer.is_deepspeed_enabled = deepspeed
            trainer._load_optimizer_and_scheduler(checkpoint)
            loaded[checkpoint, deepspeed] = trainer.loaded
    assert loaded.pop(("folder", True)) == ["folder"]
    assert loaded == {("folder", False): [], (None, True): [], (None, False): []}


def test_a_phase_has_the_first_prompt_and_its_text():
    """ " good" is 8 and " bad" 9; a prompt of a conversation is not shown."""
    tokenizer, heard = toy.tokenizer(), []
    prompts = encode_prompts(tokenizer, ["the film", "a plot"])
    tokens, ended = torch.tensor([[8, 0], [9, 0]]), torch.tensor([True, True])
    texts = Responses(tokens, torch.ones(2, 2, dtype=torch.bool), ended, torch.zeros(2, 2))
    phases = Phases(tokenizer)
    for each in (phases.write, lambda prompts: phases.score(prompts, texts)):
        each(prompts)  # nobody listens
    phases.update(4)
    phases.listener = lambda phase, **details: heard.append((phase, details))
    phases.write(prompts)
    phases.score(prompts, texts)
    phases.update(4)
    tokenizer.chat_template = "{{ messages }}"
    phases.score(prompts, texts)
    first = {"count": 2, "prompt": " the film", "text": " good"}
    assert heard == [
        ("writing", {"count": 2}),
        ("scoring", first),
        ("updating", {"count": 4}),
        ("scoring", first | {"prompt": ""}),
    ]


def test_an_optimiser_needs_no_weights_of_values_that_there_are_not():
    optimizer = torch.optim.SGD(torch.nn.Linear(2, 2).parameters(), lr=0.1)
    add_value_weights((optimizer, None), SimpleNamespace(value_model=None, value_head=None))
    assert len(optimizer.param_groups) == 1
    valued = SimpleNamespace(value_model=None, value_head=torch.nn.Linear(2, 1))
    add_value_weights((None, None), valued)


def test_the_entry_of_a_rollout_stays_the_last_one_of_its_step(monkeypatch):
    def evaluate(trainer):
        trainer.state.log_history.append("evaluation")
        return {}

    monkeypatch.setattr(Trainer, "_evaluate", evaluate)
    for log, after in (
        ([], ["evaluation"]),
        ([{"step": 4, "n": 1}], ["evaluation", {"step": 4, "n": 1}]),
        (
            [{"step": 4, "n": 1}, {"step": 4, "n": 2}],
            [{"step": 4, "n": 1}, "evaluation", {"step": 4, "n": 2}],
        ),
        ([{"step": 2, "n": 1}], [{"step": 2, "n": 1}, "evaluation"]),
    ):
        trainer = object.__new__(Samples)
        trainer.state = SimpleNamespace(log_history=log, global_step=4)
        assert trainer._evaluate() == {} and log == after


def test_the_best_metric_may_be_one_of_several_rewards():
    def check(metric, names, evaluation=None, strategy="epoch"):
        args = SimpleNamespace(eval_strategy=strategy, metric_for_best_model=metric)
        check_best_metric(args, evaluation, names)

    check("eval_rewards/tone/mean", ["length", "tone"])
    check("b_rewards/tone/mean", ["length", "tone"], {"a": None, "b": None})
    check("objective/kl", ["length"])
    check(None, ["length"])
    check("accuracy", ["length"], strategy="no")
    for metric, names in (("rewards/length/mean", ["length"]), ("accuracy", ["length", "tone"])):
        with pytest.raises(ValueError, match=f"metric_for_best_model got '{metric}', expected"):
            check(metric, names)
