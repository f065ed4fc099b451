"""KTO, χPO, SimPO and ORPO against plain arithmetic, text by text."""

from __future__ import annotations

from math import exp, log
from statistics import mean
from types import SimpleNamespace

import pytest
import torch
from datasets import Dataset

from align_core.data.encoding import encode_ratings
from align_core.data.preference_files import ratings_of
from align_core.objectives import chipo_loss, kto_loss, orpo_loss, simpo_loss
from align_core.trainers.chipo import ChiPOTrainer
from align_core.trainers.kto import KTOTrainer
from align_core.trainers.orpo import ORPOTrainer
from align_core.trainers.simpo import SimPOTrainer
from align_core.trainers.texts import PairTrainer, ReferenceTrainer, TextTrainer, sums
from tests import toy
from tests.trainers.small_trainers import arguments, history, rated_pairs
from tests.trainers.test_dpo_losses import log_probability, sigma
from tests.trainers.test_dpo_trunk import PAIRS

BETA = 0.5
RATINGS = [
    {"prompt_ids": [2, 4], "completion_ids": [5, 6, 7, 0], "label": True},
    {"prompt_ids": [3], "completion_ids": [7, 8, 9], "label": False},
    {"prompt_ids": [3, 4, 6], "completion_ids": [8, 0], "label": False},
]


def t(*values):
    return torch.tensor(values, dtype=torch.float32)


def test_the_loss_of_kto_by_hand():
    # σ(0.5 · (1 − 0.2)) = σ(0.4) and σ(0.5 · (0.2 + 2)) = σ(1.1)
    losses = kto_loss(t(1.0, -2.0), torch.tensor([True, False]), t(0.2).squeeze(), BETA)
    assert losses.tolist() == pytest.approx([1 - sigma(0.4), 1 - sigma(1.1)])


def test_the_loss_of_simpo_by_hand():
    # −log σ(2 · (−1 + 1.5) − 0.3) = −log σ(0.7)
    assert simpo_loss(t(-1.0), t(-1.5), 2.0, 0.3).tolist() == pytest.approx([-log(sigma(0.7))])


def test_the_loss_of_orpo_by_hand():
    # probabilities of a token ½ and ¼ have odds 1 and ⅓, so the odds ratio is 3: σ(log 3) = ¾
    (loss,) = orpo_loss(t(log(0.5)), t(log(0.25)), 0.1).tolist()
    assert loss == pytest.approx(log(2) - 0.1 * log(0.75))
    (finite,) = orpo_loss(t(0.0), t(-1.0), 0.1).tolist()  # a text that is certain
    assert abs(finite) < 1


def test_the_loss_of_chipo_by_hand():
    # φ(2) − φ(½) = 2 + log 2 − ½ + log 2 = 1.5 + log 4; the second pair is the first, exchanged
    up, down = t(log(2.0), log(0.5)), t(log(0.5), log(2.0))
    margin = BETA * (1.5 + log(4))
    losses = [-log(sigma(margin)), -log(sigma(-margin))]
    assert chipo_loss(up, down, BETA, 20.0).tolist() == pytest.approx(losses)
    assert chipo_loss(up, up, BETA, 20.0).tolist() == pytest.approx([log(2)] * 2)
    # z is at most e²⁰ in its own term of φ
    (large,) = chipo_loss(t(25.0), t(0.0), 1e-8, 20.0).tolist()
    assert large == pytest.approx(-log(sigma(1e-8 * (exp(20) + 25 - 1))), rel=1e-5)
    # z = e³⁰ overflows nothing; beyond the clip the loss is constant, on both sides.
    far = t(30.0, -30.0, 300.0, log(2.0)).requires_grad_()
    losses = chipo_loss(far, t(0.0, 300.0, 0.0, log(0.5)), BETA, 4.0)
    ends = [-log(sigma(4)), -log(sigma(-4)), -log(sigma(4)), -log(sigma(margin))]
    assert losses.tolist() == pytest.approx(ends, abs=1e-6)
    losses.sum().backward()
    # d/d log z of β·φ is β·(z + 1)
    slope = -sigma(-margin) * BETA * (2 + 1)
    assert far.grad.tolist() == pytest.approx([0, 0, 0, slope], abs=1e-6)


@pytest.mark.parametrize("stored", [False, True])
def test_a_step_of_chipo_equals_plain_arithmetic(tmp_path, stored):
    """Without a separate reference and with the reference's stored log-probabilities."""
    logps = {"ref_chosen_logps": -9.0, "ref_rejected_logps": -8.0}
    rows = [pair | (logps if stored else {}) for pair in PAIRS[:2]]
    few = arguments(tmp_path, max_steps=1, per_device_train_batch_size=2)
    models = toy.policy(0), toy.tokenizer(), Dataset.from_list(rows)
    made = ChiPOTrainer(*models, reference=toy.policy(1), beta=BETA, **few)
    with torch.no_grad():
        policy, reference = log_probability(toy.policy(0)), log_probability(toy.policy(1))
        loss = made.compute_loss(made.model, {"rows": rows}).item()
    ratios, expected = [], []
    for row in rows:
        two = [
            policy(row["prompt_ids"], row[f"{side}_ids"])
            - (row.get(f"ref_{side}_logps") or reference(row["prompt_ids"], row[f"{side}_ids"]))
            for side in ("chosen", "rejected")
        ]
        chosen, rejected = (exp(ratio) + ratio for ratio in two)
        expected.append(-log(sigma(max(-20, min(20, BETA * (chosen - rejected))))))
        ratios.append(two)
    assert loss == pytest.approx(mean(expected), abs=1e-4)
    made._recorded.clear()
    shown = []
    made.example_listener = shown.append
    made.train()
    scores = [[example[side]["score"] for side in ("chosen", "rejected")] for example in shown]
    first = [BETA * ratio for ratio in ratios[0]], [BETA * ratio for ratio in ratios[1]]
    assert any(scores == [pytest.approx(two, abs=1e-4)] for two in first)
    for name, column in zip(("chosen", "rejected"), zip(*ratios, strict=True), strict=True):
        assert history(made, f"rewards/{name}") == pytest.approx([BETA * mean(column)], abs=1e-4)
    assert history(made, "rewards/accuracies") == [mean(c > r for c, r in ratios)]
    margin = BETA * mean(c - r for c, r in ratios)
    assert history(made, "rewards/margins") == pytest.approx([margin], abs=1e-4)
    for batch in ([1.0, 2.0], [4.0], []):
        made.record(width=t(*batch))
    made.log({})
    assert history(made, "width") == [(1.5 + 4) / 2], "the mean of the batches' means"


def test_the_loss_of_chipo_is_clipped_at_twice_the_largest_reward():
    """Ratios of e⁵⁰ and e⁻⁵⁰: 2 · 10 nats at most, of the paper's R_max."""
    sides = {"chosen": t(50.0), "rejected": t(-50.0)}
    trainer = SimpleNamespace(
        _side_log_ratios=lambda model, rows, side: sides[side],
        record_rewards=lambda *_: None,
        record=lambda **_: None,
        show_pair=lambda *_: None,
        beta=BETA,
    )
    loss = ChiPOTrainer.compute_loss(trainer, None, {"rows": []}).item()
    assert loss == pytest.approx(log(1 + exp(-20.0)), rel=1e-3)


def kto(tmp_path, rows=RATINGS, reference=None, **changes):
    data = rows if isinstance(rows, Dataset) else Dataset.from_list(rows)
    if reference is None and not changes.get("lora_r"):
        reference = toy.policy(1)
    made = KTOTrainer(
        toy.policy(0),
        toy.tokenizer(),
        data,
        reference=reference,
        beta=BETA,
        **arguments(tmp_path, **{"max_steps": 1, "per_device_train_batch_size": 3, **changes}),
    )
    return made


def test_the_rarer_label_of_kto_weighs_more(tmp_path):
    """One desirable text and two others: 2 and 1, so that both sides weigh 2; and the other way."""
    others = [{**row, "label": not row["label"]} for row in RATINGS]
    assert kto(tmp_path).weights == (2.0, 1.0)
    assert kto(tmp_path, others).weights == (1.0, 2.0)
    assert kto(tmp_path, [*others, others[-1]]).weights == (1.0, 3.0)
    alike = [{**row, "label": True} for row in RATINGS]
    assert kto(tmp_path, alike).weights == (1.0, 3.0), "of another text there is none"


@pytest.mark.parametrize("exchanged", [False, True])
def test_a_step_of_kto_equals_plain_arithmetic(tmp_path, exchanged):
    """With policy and reference exchanged, the estimate of the KL has the other sign."""
    models = toy.policy(0), toy.policy(1)
    trained, other = models[::-1] if exchanged else models
    made = kto(tmp_path, reference=other)
    made.model.load_state_dict(trained.state_dict())
    with torch.no_grad():
        policy, reference = log_probability(trained), log_probability(other)
        loss = made.compute_loss(made.model, {"rows": RATINGS}).item()
    prompts = [row["prompt_ids"] for row in RATINGS]
    texts = [row["completion_ids"] for row in RATINGS]

    def ratio(prompt, text):
        return policy(prompt, text) - reference(prompt, text)

    turned = [texts[1], texts[2], texts[0]]
    estimate = mean(map(ratio, prompts, turned))
    assert abs(estimate) > 0.1
    kl = max(0, estimate)
    expected = []
    for prompt, text, row in zip(prompts, texts, RATINGS, strict=True):
        sign = 1 if row["label"] else -1
        # One desirable text and two others: it weighs twice.
        expected.append(
            (2 if row["label"] else 1) * (1 - sigma(sign * BETA * (ratio(prompt, text) - kl)))
        )
    assert loss == pytest.approx(mean(expected), abs=1e-5)


def test_a_pair_is_a_text_of_each_label(tmp_path):
    pair = {
        "prompt": "the film",
        "chosen": " was good",
        "rejected": " was",
        "rejected_ended": False,
    }
    rows = encode_ratings(toy.tokenizer(), ratings_of(pair))
    assert rows["label"] == [True, False]
    assert [ids[-1] == 0 for ids in rows["completion_ids"]] == [True, False], "one was cut"


@pytest.mark.parametrize("lora", [{}, {"lora_r": 4}])
def test_kto_raises_the_desirable_texts_over_the_others(tmp_path, lora):
    pairs = rated_pairs(32)
    rows = encode_ratings(toy.tokenizer(), [one for pair in pairs for one in ratings_of(pair)])
    few = {"max_steps": 24, "per_device_train_batch_size": 16, "learning_rate": 1e-2, **lora}
    made = kto(tmp_path, rows, None if lora else toy.policy(0).requires_grad_(False), **few)
    made.train()
    margins, kl = history(made, "rewards/margins"), history(made, "kl")
    assert abs(margins[0]) < 1e-4 and kl[0] < 1e-4, "the policy begins at its reference"
    assert mean(margins[-3:]) > 0.3
    trained = {name for name, p in made.model.named_parameters() if p.requires_grad}
    assert all(("lora" in name) == bool(lora) for name in trained)


@pytest.mark.parametrize(
    ("kind", "options"),
    [(SimPOTrainer, {"scale": 2.0, "margin": 0.3}), (ORPOTrainer, {"odds_weight": 0.1})],
)
def test_a_step_without_a_reference_equals_plain_arithmetic(tmp_path, kind, options):
    few = arguments(tmp_path, max_steps=1, per_device_train_batch_size=2)
    data = Dataset.from_list(PAIRS[:2])
    made = kind(toy.policy(), toy.tokenizer(), data, **options, **few)
    with torch.no_grad():
        policy = log_probability(toy.policy())
        loss = made.compute_loss(made.model, {"rows": PAIRS[:2]}).item()
    expected = []
    for pair in PAIRS[:2]:
        chosen, rejected = (
            policy(pair["prompt_ids"], pair[side]) / len(pair[side])
            for side in ("chosen_ids", "rejected_ids")
        )
        if kind is SimPOTrainer:
            expected.append(-log(sigma(2.0 * (chosen - rejected) - 0.3)))
        else:
            odds = [exp(x) / (1 - exp(x)) for x in (chosen, rejected)]
            expected.append(-chosen - 0.1 * log(sigma(log(odds[0] / odds[1]))))
    assert loss == pytest.approx(mean(expected), abs=1e-5)
    made.train()
    for name in ("loss", "logps/chosen", "logps/rejected", "rewards/accuracies"):
        assert len(history(made, name)) == 1


def test_equal_texts_are_no_success():
    """Two pairs: in the first, both texts are as likely."""
    recorded, logps = {}, {"chosen": [t(-1, -3), t(-1)], "rejected": [t(-2, -2), t(-9, -1)]}
    trainer = SimpleNamespace(
        token_logps=lambda model, rows, completions: logps[completions[0]],
        record=lambda **metrics: recorded.update(metrics),
        show_pair=lambda rows: None,
        losses=lambda chosen, rejected: sums(chosen) - sums(rejected),
    )
    rows = [{"chosen_ids": "chosen", "rejected_ids": "rejected"}]
    loss = PairTrainer.compute_loss(trainer, None, {"rows": rows})
    assert loss.item() == mean([-4 + 4, -1 + 10])
    assert recorded["rewards/accuracies"].tolist() == [False, True]
    assert recorded["logps/chosen"].tolist() == [-4, -1]
    assert recorded["logps/rejected"].tolist() == [-4, -10]


def test_a_batch_of_one_label_has_no_margin():
    for chosen, rejected, names in (
        (t(1, 3), t(2), {"rewards/chosen", "rewards/rejected", "rewards/margins"}),
        (t(1, 3), t(), {"rewards/chosen", "rewards/rejected"}),
        (t(), t(2), {"rewards/chosen", "rewards/rejected"}),
    ):
        recorded = {}
        trainer = SimpleNamespace(beta=BETA, record=lambda made=recorded, **new: made.update(new))
        ReferenceTrainer.record_rewards(trainer, chosen, rejected)
        assert recorded.keys() == names
    assert recorded["rewards/rejected"].tolist() == [1.0]


def test_the_first_pair_is_shown_with_its_scores():
    shown = []
    trainer = SimpleNamespace(
        processing_class=toy.tokenizer(), show=lambda example: shown.append(example())
    )
    TextTrainer.show_pair(trainer, PAIRS[:2], t(0.5, -1.5))
    assert shown == [
        {
            "prompt": toy.tokenizer().decode([2, 4]),
            "chosen": {"text": " plot was is", "score": 0.5},
            "rejected": {"text": " good", "score": -1.5},
        }
    ]
