"""Scripts for TRL's PPO run after a change of their import alone."""

from __future__ import annotations

import json

import pytest
import torch
from datasets import Dataset, DatasetDict
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, GPT2Config

from align_core import PPOConfig, PPOTrainer
from align_core.data.encoding import Prompts
from align_core.models.loading import save_model
from tests import toy
from tests.ports.ported import PROMPTS, history, rows
from tests.ports.scripts import backend, gpt2, runner, study, tldr, validation

IDS = toy.tokenizer()(PROMPTS)["input_ids"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Folders with a policy, a reward model, an adapter of a reward model, and data."""
    root = tmp_path_factory.mktemp("models")
    save_model(toy.policy(), toy.tokenizer(), root / "policy")
    save_model(toy.reward_model(), toy.tokenizer(), root / "reward")
    base = AutoModelForSequenceClassification.from_pretrained(root / "reward")
    toy.adapted(base, task_type="SEQ_CLS").save_pretrained(root / "adapter")
    splits = {"train": rows(), "validation": rows(prompt=PROMPTS[:2])}
    DatasetDict(splits).save_to_disk(root / "data")
    return root


def test_a_script_with_flags_as_ppo_tldr(folders, tmp_path, capsys):
    trainer = tldr.main(
        f"""--dataset_name {folders / "data"} --dataset_test_split validation
        --learning_rate 1e-3 --output_dir {tmp_path / "out"} --per_device_train_batch_size 1
        --gradient_accumulation_steps 4 --total_episodes 8 --num_ppo_epochs 1
        --sft_model_path {folders / "policy"} --reward_model_path {folders / "reward"}
        --local_rollout_forward_batch_size 4 --missing_eos_penalty 1.0 --stop_token eos
        --response_length 4 --eval_strategy steps --eval_steps 1 --use_cpu --report_to none
        --save_strategy no""".split()
    )
    assert history(trainer, "objective/kl")[0] < 1e-6
    assert len(history(trainer, "eval_objective/scores")) == 2
    assert "model response" in capsys.readouterr().out
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.equal(toy.outputs(kept), toy.outputs(trainer.policy))


def test_a_validation_run_with_adapters_and_bf16(folders, tmp_path):
    parts = [str(folders / name) for name in ("policy", "reward", "adapter")]
    trainer = validation.main(*parts, rows(), str(tmp_path / "out"))
    assert history(trainer, "episode") == [4, 8]
    adapter = json.loads((tmp_path / "out" / "adapter_config.json").read_text())
    assert adapter["base_model_name_or_path"] == parts[0]


def test_a_job_with_its_own_collator_whose_padding_ends_texts(folders, tmp_path):
    models = str(folders / "policy"), str(folders / "reward")
    trainer = runner.main(*models, rows(), str(tmp_path / "out"))
    read = trainer.latest.episodes
    prompts = Prompts(read.prompt_ids, read.prompt_mask).real()
    assert sorted(prompts) == sorted(IDS), "without padding"
    assert {path.name for path in (tmp_path / "out").glob("checkpoint-*")} == {
        "checkpoint-2",
        "checkpoint-4",
    }


def test_a_study_that_subclasses(tmp_path):
    models = toy.policy(), toy.policy(), toy.reward_model(), toy.reward_model()
    data = Dataset.from_dict({"input_ids": IDS})
    trainer, scores = study.main(toy.tokenizer(), *models, data, str(tmp_path))
    assert scores == history(trainer, "objective/scores") and len(scores) == 3
    assert trainer.facts == {"stop": 0, "reward": "LlamaForSequenceClassification", "total": 3}
    assert history(trainer, "study/episodes")[:3] == [4, 8, 12]


def test_a_backend_keeps_a_whole_value_model_beside_an_adapter(tmp_path, capsys):
    config = {
        "folder": str(tmp_path),
        "ppo": {
            "use_cpu": True,
            "per_device_train_batch_size": 4,
            "num_ppo_epochs": 1,
            "total_episodes": 8,
            "response_length": 4,
            "learning_rate": 1e-3,
            "report_to": "none",
            "save_strategy": "no",
        },
        "lora": {"r": 2, "target_modules": ["q_proj"], "task_type": "CAUSAL_LM"},
    }
    models = toy.policy(), toy.reward_model(), toy.reward_model()
    trainer = backend.main(config, toy.tokenizer(), *models, Dataset.from_dict({"input_ids": IDS}))
    assert "2 batches of 4" in capsys.readouterr().out
    kept = AutoModelForSequenceClassification.from_pretrained(tmp_path / "value")
    assert torch.equal(toy.outputs(kept), toy.outputs(trainer.value_model))


def test_gpt2_with_a_module_as_reward(tmp_path, capsys):
    size = {"n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 64}
    config = GPT2Config(vocab_size=14, eos_token_id=0, bos_token_id=0, pad_token_id=1, **size)
    trainer = gpt2.main(config, toy.tokenizer(), rows(), str(tmp_path / "out"))
    assert "8 updates, 4 episodes each" in capsys.readouterr().out
    assert trainer.state.global_step == 8 and history(trainer, "objective/kl")[0] < 1e-6
    read = trainer.latest.episodes
    model, unended = trainer.reward_model.eval(), 1.0 * ~read.ended
    for row, prompt in enumerate(Prompts(read.prompt_ids, read.prompt_mask).real()):
        ids = torch.tensor([prompt + read.tokens[row][read.mask[row]].tolist()])
        with torch.no_grad():
            score = model.score(model.transformer(ids).last_hidden_state)[0, -1, 0]
        assert read.scores[row].item() == pytest.approx((score - unended[row]).item(), abs=1e-5)
    kept = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert torch.equal(toy.outputs(kept), toy.outputs(trainer.policy))


# The tests of TRL 1.12's trainer, on the toy language.


def of_trl(tmp_path, **changes):
    """[PAD] with models that were not resized, and prompts that end with the end token."""
    tokenizer = toy.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    data = Dataset.from_dict(
        {
            "input_ids": [[*ids, 0] for ids in IDS],
            "attention_mask": [[1] * (len(i) + 1) for i in IDS],
        }
    )
    arguments = {"report_to": "none", "use_cpu": True, "response_length": 8, "learning_rate": 1e-3}
    arguments |= {"per_device_train_batch_size": 4, "num_ppo_epochs": 2, "save_strategy": "no"}
    parts = {"ref_model": toy.policy(), "peft_config": None} | {
        name: changes.pop(name) for name in ("ref_model", "peft_config") if name in changes
    }
    return PPOTrainer(
        args=PPOConfig(output_dir=str(tmp_path), **arguments | changes),
        processing_class=tokenizer,
        model=toy.policy(),
        reward_model=toy.reward_model(),
        value_model=toy.reward_model(),
        train_dataset=data,
        eval_dataset=data,
        **parts,
    )


@pytest.mark.parametrize("adapter", [False, True])
def test_policy_and_value_model_move(tmp_path, adapter):
    config = LoraConfig(r=32, lora_alpha=16, lora_dropout=0.05, bias="none", task_type="CAUSAL_LM")
    parts = {"ref_model": None, "peft_config": config} if adapter else {}
    trainer = of_trl(tmp_path, num_train_epochs=1, **parts)
    of_values, of_policy = toy.reward_model(), toy.policy()
    trainer.train()
    pairs = zip(of_values.parameters(), trainer.model.value_model.parameters(), strict=True)
    assert any(not torch.equal(before, after) for before, after in pairs)
    if adapter:
        lora = [p for name, p in trainer.model.policy.named_parameters() if "lora_B" in name]
        assert any(p.abs().sum() > 0 for p in lora)
    else:
        pairs = zip(of_policy.parameters(), trainer.model.policy.parameters(), strict=True)
        assert any(not torch.equal(before, after) for before, after in pairs)


def test_ratios_do_not_vary_without_a_learning_rate(tmp_path):
    """This includes a minibatch of 6 in pieces of at most 4."""
    trainer = of_trl(
        tmp_path,
        learning_rate=0.0,
        gradient_accumulation_steps=3,
        num_mini_batches=2,
        num_ppo_epochs=1,
        total_episodes=12,
        num_sample_generations=0,
    )
    trainer.train()
    assert history(trainer, "val/ratio_var")[-1] == pytest.approx(0.0, abs=1e-12)
