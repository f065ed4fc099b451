"""A short PPO run on the toy language, alone or as one of several processes."""

from __future__ import annotations

from datasets import Dataset
from safetensors.torch import save_file

from align_core import PPOConfig, PPOTrainer
from align_core.models.sharding import local_shard, unsharded
from tests import toy

SCORED: list[str] = []  # the prompts of the texts that this process has scored


def reward(prompts, completions, **columns) -> list[float]:
    SCORED.extend(prompts)
    return toy.reward(prompts, completions, **columns)


def made(folder: str, batch_size: int) -> PPOTrainer:
    prompts = ["the film", "a plot", "the plot was never", "never"]
    return PPOTrainer(
        PPOConfig(
            output_dir=f"{folder}/out",
            use_cpu=True,
            report_to="none",
            disable_tqdm=True,
            save_strategy="steps",
            save_steps=1,
            logging_steps=1,
            per_device_train_batch_size=batch_size,
            num_ppo_epochs=2,
            num_mini_batches=2,
            total_episodes=48,
            response_length=6,
            learning_rate=1e-3,
            kl_target=0.1,
            kl_horizon=48,
            sync_ref_model=True,
            ref_model_sync_steps=1,
            seed=0,
        ),
        toy.tokenizer(),
        toy.policy(),
        toy.policy(1),
        reward,
        Dataset.from_dict({"prompt": prompts}),
        toy.reward_model(),
        eval_dataset={
            "three": Dataset.from_dict({"prompt": prompts[1:]}),
            "one": Dataset.from_dict({"prompt": prompts[:1]}),
        },
    )


def train(folder: str, batch_size: int, resumed: bool = False) -> None:
    """Save the run's model and, with its last metrics, its final weights: `end.safetensors`.

    The metrics include those of an evaluation, the number of texts that this process scored for
    it, and the shares of the weights and of the optimiser's moments that this process holds. With
    `resumed`, a second trainer first repeats the run from its checkpoint after one rollout.
    """
    trainer = made(folder, batch_size)
    trainer.train()
    if resumed:
        trainer = made(folder, batch_size)
        trainer.train(resume_from_checkpoint=f"{folder}/out/checkpoint-4")
    trainer.save_model(f"{folder}/model")
    SCORED.clear()
    evaluated = trainer.evaluate()
    here = sum(local_shard(p).numel() for p in trainer.model.parameters())
    moments = sum(local_shard(s["exp_avg"]).numel() for s in trainer.optimizer.state.values())
    with unsharded(trainer.model):
        weights = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    if trainer.is_world_process_zero():
        logged = [entry for entry in trainer.state.log_history if "objective/kl" in entry]
        facts = {**logged[-1], **evaluated, "scored": len(SCORED)}
        metrics = {name: str(value) for name, value in facts.items()}
        total = sum(p.numel() for p in weights.values())
        metrics |= {"held": str(here / total), "moments": str(moments / total)}
        save_file(weights, f"{folder}/end.safetensors", metrics)
