"""Policies of scripts: with adapters, in 16 bits, with other states, or of old TRL."""

from __future__ import annotations

import copy

import pytest
import torch
from peft import LoraConfig, PeftModel, PromptTuningConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    JambaConfig,
    JambaForCausalLM,
    Lfm2Config,
    Lfm2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    TrainerCallback,
)

from align_core import PPOConfig, PPOTrainer
from align_core.models.loading import ModelError, save_model
from align_core.models.lora import lora_config
from align_core.models.reference import InitialWeights
from align_core.trainers.ppo.schedules import by_rollout
from tests import toy
from tests.ports.ported import history, made, rows, trained

LORA = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")


def same(a, b, atol: float = 1e-5) -> bool:
    return torch.allclose(toy.outputs(a), toy.outputs(b), atol=atol, rtol=0)


@pytest.fixture
def base(tmp_path):
    """The folder of a base model."""
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "base")
    return str(tmp_path / "base")


def given(base: str) -> PeftModel:
    """A base with an adapter that changes its outputs."""
    return toy.adapted(AutoModelForCausalLM.from_pretrained(base))


def test_the_reference_of_a_trained_adapter_is_the_given_policy(tmp_path, base):
    model = given(base)
    before = copy.deepcopy(model)
    trainer = trained(tmp_path, model=model)
    first, second = history(trainer, "objective/kl")
    assert first < 1e-6 < second
    assert trainer.ref_model is None
    with trainer.reference.restored():
        assert same(trainer.policy, before)
    assert not same(trainer.policy, before)
    trainer.save_model(str(tmp_path / "kept"))
    loaded = PeftModel.from_pretrained(
        AutoModelForCausalLM.from_pretrained(base), tmp_path / "kept"
    )
    assert same(loaded, trainer.policy)
    assert loaded.peft_config["default"].base_model_name_or_path == base


def test_the_frozen_layers_below_a_trained_adapter_are_computed_once(tmp_path):
    """Policy and reference share these states, and differ only in the last layer."""
    model = get_peft_model(toy.policy(), lora_config(toy.policy(), 4, "CAUSAL_LM", layers=1))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    trainer = trained(tmp_path, model=model)
    assert trainer.model.frozen is not None
    first, second = history(trainer, "objective/kl")
    assert first < 1e-6 < second


def test_a_common_start_changes_nothing_if_layers_are_computed_again(tmp_path):
    """In the first update the policy is the sampled one, and both runs end alike."""
    start = "the film was a plot never the film a "  # nine tokens are worth a pass
    data = rows(prompt=[start + end for end in ("film", "plot", "the plot", "never a film")])
    ends = []
    for checkpointing in (False, True):
        adapter = lora_config(toy.policy(), 4, "CAUSAL_LM", layers=1)
        parts = {"peft_config": adapter, "activation_checkpointing": checkpointing}
        torch.manual_seed(0)  # of the new adapter
        trainer = trained(tmp_path, data=data, learning_rate=1e-2, **parts)
        assert trainer.model.frozen is not None
        assert history(trainer, "policy/approxkl_avg")[0] < 1e-10
        ends.append([p.detach().clone() for p in trainer.model.parameters()])
    for ours, theirs in zip(*ends, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", ["pissa", "olora"])
def test_the_reference_of_an_adapter_with_a_part_of_the_base_is_the_given_policy(tmp_path, kind):
    """PiSSA and OLoRA take a part out of the base, so that it is another model without them."""
    config = LoraConfig(
        r=2, target_modules=["q_proj"], task_type="CAUSAL_LM", init_lora_weights=kind
    )
    trainer = made(tmp_path, peft_config=config)
    assert isinstance(trainer.reference, InitialWeights)
    with trainer.policy.disable_adapter():
        assert not same(trainer.policy, toy.policy(), atol=1e-3)
    assert same(trainer.policy, toy.policy())
    trainer.train()
    first, second = history(trainer, "objective/kl")
    assert first < 1e-6 < second
    with trainer.reference.restored():
        assert same(trainer.policy, toy.policy())
    assert made(tmp_path, peft_config=LORA).reference is None


def test_an_existing_adapter_is_merged_before_a_new_one_is_added(tmp_path, base):
    """The reference is the given policy, and the saved model loads without the adapter."""
    model = given(base)
    before = copy.deepcopy(model)
    trainer = trained(tmp_path, model=model, peft_config=LORA)
    assert history(trainer, "objective/kl")[0] < 1e-6
    with trainer.policy.disable_adapter():
        assert same(trainer.policy, before)
    trainer.save_model(str(tmp_path / "kept"))
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "kept")
    assert same(loaded, trainer.policy) and not same(loaded, before)
    assert not (tmp_path / "kept" / "adapter_config.json").exists()


def test_initial_weights_are_restored_temporarily():
    layer = torch.nn.Linear(2, 1)
    layer.bias.requires_grad_(False)
    weight, first = layer.weight, layer.weight.detach().clone()
    reference = InitialWeights(layer)
    with torch.no_grad():
        weight.add_(1.0)
    for _ in range(2):
        with reference.restored():
            assert layer.weight is weight and torch.equal(weight, first)
        assert torch.equal(weight, first + 1.0)


def test_a_value_model_is_trained_whole_beside_an_adapter(tmp_path):
    value_model = toy.reward_model()
    before = {name: p.detach().clone() for name, p in value_model.named_parameters()}
    trainer = trained(tmp_path, peft_config=LORA, value_model=value_model)
    moved = {name for name, p in value_model.named_parameters() if not torch.equal(p, before[name])}
    assert trainer.value_model is value_model and moved == set(before)


REFUSED = {
    "frozen": (lambda: toy.policy().requires_grad_(False), "expected trainable weights, got none"),
    "prompts": (
        lambda: get_peft_model(
            toy.policy(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2)
        ),
        "an adapter of weights, such as LoRA, got PromptTuningConfig",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_policy_that_cannot_be_trained_is_refused(tmp_path, kind):
    policy, message = REFUSED[kind]
    with pytest.raises(ValueError, match=message):
        made(tmp_path, model=policy())
    with pytest.raises(
        TypeError, match="model: expected a causal language model, got Linear; Auto"
    ):
        made(tmp_path, model=torch.nn.Linear(1, 1))


def test_removed_names_are_refused_with_their_replacements(tmp_path):
    old = torch.nn.Module()
    old.v_head = torch.nn.Linear(2, 1)
    with pytest.raises(TypeError, match=r"v_head, as in TRL 0.11; docs/ppo.md, .Coming from TRL"):
        made(tmp_path, model=old)
    with pytest.raises(TypeError, match=r"step belongs to TRL 0.11: .*train\(\); docs/ppo.md"):
        made(tmp_path).step([], [], [])
    with pytest.raises(
        TypeError, match=r"generate belongs to TRL 0.11: expected rollout\(prompts\)"
    ):
        made(tmp_path).generate([])
    with pytest.raises(
        AttributeError, match=r"dataloader belongs to TRL: expected train\(\), or r"
    ):
        list(made(tmp_path).dataloader)
    with pytest.raises(ImportError, match="docs/ppo.md"):
        from align_core import AutoModelForCausalLMWithValueHead  # noqa: F401


def test_arguments_of_older_trainers_are_refused_with_their_new_names(tmp_path):
    with pytest.raises(TypeError, match="no argument policy: use model; no ref_policy: use ref_mo"):
        PPOTrainer(PPOConfig(output_dir=str(tmp_path)), policy=1, ref_policy=2)
    with pytest.raises(TypeError, match="no argument reward_funcs: use reward_model; docs/ppo.md"):
        PPOTrainer(PPOConfig(output_dir=str(tmp_path)), reward_funcs=[toy.reward])
    with pytest.raises(
        TypeError, match="processing_class: expected a tokenizer, got LlamaForCau.*md"
    ):
        PPOTrainer(PPOConfig(output_dir=str(tmp_path)), toy.policy(), toy.policy(1), None)


def test_weights_in_16_bits_give_a_warning(tmp_path):
    with pytest.warns(UserWarning, match="weights are bfloat16, .*dtype=torch.float32.*bf16=True"):
        made(tmp_path, model=toy.policy().bfloat16())


TINY = {
    "vocab_size": 14,
    "hidden_size": 32,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "eos_token_id": 0,
    "pad_token_id": 1,
    "bos_token_id": 2,
}
HYBRIDS = [
    (
        JambaForCausalLM,
        JambaConfig(
            **TINY,
            attn_layer_period=2,
            attn_layer_offset=1,
            expert_layer_period=2,
            expert_layer_offset=1,
            num_experts=2,
            mamba_d_state=4,
            mamba_dt_rank=4,
        ),
    ),
    (
        Lfm2ForCausalLM,
        Lfm2Config(**TINY, layer_types=["conv", "full_attention"], block_ff_dim=32),
    ),
]


@pytest.mark.parametrize(("kind", "config"), HYBRIDS)
def test_hybrid_models_sample_correctly_while_texts_leave_the_batch(tmp_path, kind, config):
    torch.manual_seed(0)
    model = kind(config).eval()
    settings = {"response_length": 6, "per_device_train_batch_size": 16, "total_episodes": 16}
    trainer = trained(tmp_path, model=model, **settings)
    assert 0 < history(trainer, "val/num_eos_tokens")[0] < 16
    assert history(trainer, "objective/kl")[0] < 1e-6
    assert history(trainer, "policy/approxkl_avg")[0] < 1e-8


def test_a_model_whose_state_is_lost_is_refused(tmp_path):
    torch.manual_seed(0)
    model = MambaForCausalLM(MambaConfig(**{**TINY, "state_size": 4}))
    with pytest.raises(ModelError, match="MambaConfig keeps no state in the cache"):
        made(tmp_path, model=model)


def test_a_given_schedule_counts_rollouts_as_in_trl(tmp_path):
    """Two rollouts of four updates; a straight line from 0.1 to 0 over two steps."""
    model, values = toy.policy(), toy.reward_model()
    optimizer = torch.optim.SGD([*model.parameters(), *values.parameters()], 0.1)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / 2)
    parts = {"model": model, "value_model": values, "optimizers": (optimizer, schedule)}
    trainer = made(tmp_path, **parts, num_ppo_epochs=2, num_mini_batches=2)
    updates = []

    class Noted(TrainerCallback):
        def on_optimizer_step(self, args, state, control, lr_scheduler=None, **_):
            updates.append(lr_scheduler.get_last_lr()[0])

    trainer.add_callback(Noted)
    trainer.train()
    assert trainer.args.num_total_batches == 2 and trainer.state.global_step == 8
    assert updates == pytest.approx([0.1] * 4 + [0.05] * 4)
    assert schedule.last_epoch == 2 == trainer.lr_scheduler.state_dict()["last_epoch"]
    evaluated = optimizer, torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer)
    assert by_rollout(evaluated, trainer) == evaluated
    assert by_rollout((None, None), trainer) == (None, None)


def test_the_reference_can_be_read_through_the_policy(tmp_path):
    trainer = trained(tmp_path, peft_config=LORA, learning_rate=1e-2)
    assert trainer.is_peft_model and trainer.train_dataset_len == len(trainer.train_dataset)
    with trainer.null_ref_context():
        assert same(trainer.policy, toy.policy())
    assert not same(trainer.policy, toy.policy())


def test_an_optimiser_of_the_policy_alone_gets_the_value_head_too(tmp_path):
    model = toy.policy()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    trainer = trained(tmp_path, model=model, optimizers=(optimizer, None))
    assert trainer.model.value_head.linear.weight.abs().sum() > 0
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    other = torch.optim.AdamW(toy.policy().parameters(), 1e-3)
    with pytest.raises(ValueError, match="an optimiser that also has the weights of value_model"):
        made(tmp_path, optimizers=(other, schedule))
