"""Each method's builder makes a trainer of the run's own models, data and settings."""

from __future__ import annotations

from dataclasses import replace

import pytest
from datasets import Dataset

from align_core.config.methods import methods
from align_core.config.run_config import resolve
from align_core.data.encoding import encode_demonstrations, encode_ratings
from align_core.models.rewards import for_samples
from align_core.trainers.common import QUIET, Setup
from tests import toy
from tests.trainers.small_trainers import pairs
from tests.training.films import Films

STEPS, TEXTS = 6, 8
SAID = [
    {"prompt": "the film", "completion": " was good", "label": n % 2 == 0} for n in range(TEXTS)
]


def data(method) -> Dataset:
    writer = toy.tokenizer()
    return {
        "demonstrations": lambda: encode_demonstrations(writer, SAID),
        "ratings": lambda: encode_ratings(writer, SAID),
        "pairs": lambda: pairs(TEXTS),
        "rollouts": lambda: Dataset.from_dict({"prompt": Films().prompts("train")}),
    }[method.learns_from]()


def setup(tmp_path, method) -> Setup:
    makes_policy = method.makes == "policy"
    settings = {"steps": STEPS, "batch_size": TEXTS}
    if method.learns_from == "rollouts":
        settings["reward_model"] = "gold"
    config = resolve(method.name, "reviews", **settings)
    return Setup(
        config=config,
        task=Films(),
        tokenizer=toy.tokenizer(),
        model=toy.policy() if makes_policy else toy.reward_model(),
        reference=toy.policy() if makes_policy else None,
        data=data(method),
        gold=for_samples(toy.reward, [0]),
        proxy=None,
        arguments=QUIET
        | {
            "output_dir": str(tmp_path),
            "max_steps": STEPS * method.updates_per_step(TEXTS),
            "learning_rate": 1e-3,
            "per_device_train_batch_size": TEXTS,
            "seed": 5,
        },
    )


@pytest.mark.parametrize("name", methods())
def test_a_trainer_has_the_models_and_the_settings_of_its_run(name, tmp_path):
    method = methods()[name]
    made = setup(tmp_path, method)
    trainer = method.builder()(made)
    own = getattr(trainer.model, "policy", trainer.model)  # PPO's has the value model beside it
    assert own is made.model
    assert trainer.processing_class is made.tokenizer
    assert (trainer.args.max_steps, trainer.args.seed) == (made.arguments["max_steps"], 5)
    assert trainer.args.learning_rate == 1e-3
    if "beta" in method.options:
        assert trainer.beta == made.config.beta
    if method.learns_from == "pairs" and method.reference and method.makes == "policy":
        reference = getattr(trainer, "ref_model", None) or trainer.reference
        assert reference is made.reference


def test_only_some_losses_of_dpo_assume_flipped_labels(tmp_path):
    for loss, smoothing in {"sigmoid": 0.0, "robust": 0.1, "exo_pair": 1e-3}.items():
        made = setup(tmp_path, methods()["dpo"])
        made = replace(made, config=made.config.model_copy(update={"loss": loss}))
        trainer = methods()["dpo"].builder()(made)
        assert (trainer.args.loss_type, trainer.args.label_smoothing) == ([loss], smoothing)


def test_a_batch_of_online_dpo_counts_pairs(tmp_path):
    trainer = methods()["online-dpo"].builder()(setup(tmp_path, methods()["online-dpo"]))
    assert trainer.args.per_device_train_batch_size == 2 * TEXTS
    assert trainer.args.num_generations == 2
