"""Every loss of DPO against its formula, from log-probabilities added up token by token."""

from __future__ import annotations

from math import exp, log

import pytest
import torch
from datasets import Dataset

from align_core.config.methods import DPO_LOSSES
from align_core.trainers import dpo
from tests import toy
from tests.trainers.small_trainers import arguments
from tests.trainers.test_dpo_trunk import PAIRS, made

BETA, FLIPPED, EPSILON, TAU = 0.5, 0.1, 1e-3, 0.05


def sigma(x):
    return 1 / (1 + exp(-x))


# c and r are log(π/π_ref) of the chosen and the rejected text, c_mean and r_mean per token.
OF_A_PAIR = {
    "sigmoid": lambda c, r, *_: -log(sigma(BETA * (c - r))),
    "hinge": lambda c, r, *_: max(0, 1 - BETA * (c - r)),
    "ipo": lambda c, r, c_mean, r_mean: (c_mean - r_mean - 1 / (2 * BETA)) ** 2,
    "robust": lambda c, r, *_: (
        ((FLIPPED - 1) * log(sigma(BETA * (c - r))) + FLIPPED * log(sigma(BETA * (r - c))))
        / (1 - 2 * FLIPPED)
    ),
    "exo_pair": lambda c, r, *_: (
        sigma(BETA * (c - r)) * log(sigma(BETA * (c - r)) / (1 - EPSILON))
        + sigma(BETA * (r - c)) * log(sigma(BETA * (r - c)) / EPSILON)
    ),
    "nca_pair": lambda c, r, *_: (
        -log(sigma(BETA * c)) - 0.5 * log(sigma(-BETA * c)) - 0.5 * log(sigma(-BETA * r))
    ),
    "bco_pair": lambda c, r, *_: -log(sigma(BETA * c)) - log(sigma(-BETA * r)),
    "sppo_hard": lambda c, r, *_: (c - 1 / (2 * BETA)) ** 2 + (r + 1 / (2 * BETA)) ** 2,
    "apo_zero": lambda c, r, *_: 1 - sigma(BETA * c) + sigma(BETA * r),
    "apo_down": lambda c, r, *_: sigma(BETA * c) + 1 - sigma(BETA * (c - r)),
    "discopop": lambda c, r, *_: (
        (1 - sigma(BETA * (c - r) / TAU)) * -log(sigma(BETA * (c - r)))
        + sigma(BETA * (c - r) / TAU) * exp(-BETA * (c - r))
    ),
    "sigmoid_norm": lambda c, r, c_mean, r_mean: -log(sigma(BETA * (c_mean - r_mean))),
}


def by_hand(loss, policy, reference, pairs):
    """The mean loss of the pairs, given (log π, log π_ref) as functions of a prompt and a text."""
    own, other = ([(of(p, c), of(p, r)) for p, c, r in pairs] for of in (policy, reference))
    if loss == "aot":
        ours = sorted(c - r for c, r in own)
        theirs = sorted(c - r for c, r in other)
        gaps = [a - b for a, b in zip(ours, theirs, strict=True)]
        return sum(-log(sigma(BETA * gap)) for gap in gaps) / len(gaps)
    ratios = [(a[0] - b[0], a[1] - b[1]) for a, b in zip(own, other, strict=True)]
    if loss == "aot_unpaired":
        chosen, rejected = (sorted(column) for column in zip(*ratios, strict=True))
        gaps = [c - r for c, r in zip(chosen, rejected, strict=True)]
        return sum(-log(sigma(BETA * gap)) for gap in gaps) / len(gaps)
    losses = [
        OF_A_PAIR[loss](c, r, c / len(chosen), r / len(rejected))
        for (c, r), (_, chosen, rejected) in zip(ratios, pairs, strict=True)
    ]
    return sum(losses) / len(losses)


def log_probability(model):
    """log π(text | prompt) of a model, one forward pass for each text."""

    def of(prompt, text):
        logp = model(input_ids=torch.tensor([prompt + text])).logits[0].log_softmax(-1)
        places = range(max(len(prompt), 1), len(prompt + text))
        return sum(logp[i - 1, (prompt + text)[i]].item() for i in places)

    return of


@pytest.fixture(scope="module", params=[True, False], ids=["frozen trunk", "two models"])
def trainer(request, tmp_path_factory):
    """A trainer whose policy and reference differ."""
    folder, rows = tmp_path_factory.mktemp("run"), PAIRS[:2]
    if request.param:
        trainer = made(folder, rows)
        assert trainer._passes is not None
        torch.manual_seed(1)
        for name, parameter in trainer.model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(parameter, std=0.3)
        return trainer
    models, few = (toy.policy(0), toy.policy(1)), {"per_device_train_batch_size": 2}
    data = Dataset.from_list(rows)
    return dpo.make_trainer(*models, toy.tokenizer(), data, beta=BETA, **arguments(folder, **few))


@torch.no_grad()
def test_each_loss_is_that_of_its_formula(trainer):
    batch = next(iter(trainer.get_train_dataloader()))
    pairs = [(row["prompt_ids"], row["chosen_ids"], row["rejected_ids"]) for row in PAIRS[:2]]
    policy = log_probability(trainer.model)
    if trainer.ref_model is None:
        with trainer.model.disable_adapter():
            cached = {
                (*p, -1, *y): log_probability(trainer.model)(p, y)
                for p, *texts in pairs
                for y in texts
            }

        def reference(prompt, text):
            return cached[(*prompt, -1, *text)]
    else:
        reference = log_probability(trainer.ref_model)
    for loss in {*DPO_LOSSES} - {"chipo"}:  # that one has a trainer of its own
        trainer.loss_types = [loss]
        trainer.label_smoothing = dpo.LABEL_SMOOTHING.get(loss, 0.0)
        ours = float(trainer.compute_loss(trainer.model, batch))
        assert ours == pytest.approx(by_hand(loss, policy, reference, pairs), abs=2e-4), loss
    trainer.loss_types, trainer.label_smoothing = ["sigmoid"], 0.0
