"""Sampled texts and their divergence, compared with plain sums over the vocabulary."""

from __future__ import annotations

import itertools

import pytest
import torch
from peft import get_peft_model
from transformers import LlamaForCausalLM

from align_core.data.encoding import encode_prompts
from align_core.evaluation import evaluator as evaluator_module
from align_core.evaluation.intervals import bootstrap_rows, ci95_of_mean
from align_core.models.logprobs import response_outputs
from align_core.models.lora import lora_config
from align_core.models.sampling import Interrupted
from align_core.objectives import token_logprobs
from tests import toy
from tests.evaluation.toy_evaluator import PROMPTS, evaluator


def logits_of(model, evaluation) -> list[torch.Tensor]:
    """The logits [T, V] from which each text was sampled, from one forward pass for each text."""
    rows = []
    for prompt, ids in zip(
        evaluation.policy.prompts, evaluation.policy.completion_ids, strict=True
    ):
        encoded = encode_prompts(toy.tokenizer(), [prompt])
        with torch.no_grad():
            logits, _ = response_outputs(
                model, encoded, torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.bool)
            )
        rows.append(logits[0].double().log_softmax(-1))
    return rows


def test_a_policy_does_not_diverge_from_itself():
    evaluate = evaluator(toy.policy(0))
    evaluation = evaluate(toy.policy(0))
    assert evaluation.policy.completions == evaluation.reference.completions
    assert evaluation.kl.abs().max() < 1e-5 and (evaluation.kl >= 0).all()
    metrics = evaluate.metrics(evaluation)
    assert metrics["eval/win_rate"] == 0.5, "every text ties with the reference's"
    assert metrics["eval/gold_reward"] == metrics["eval/gold_reward_reference"]
    assert metrics["eval/proxy_reward"] == pytest.approx(0, abs=1e-9)


def test_equal_weights_are_sampled_once_and_others_again():
    calls = []

    def gold(prompts, completions, completion_ids):
        calls.append(1)
        return toy.reward(prompts, completions, completion_ids)

    evaluate, policy = evaluator(toy.policy(0), gold=gold), toy.policy(0)
    evaluate(policy)
    assert len(calls) == 1
    with torch.no_grad():
        policy.get_output_embeddings().weight[5] += 3.0
    evaluation = evaluate(policy)
    assert len(calls) == 2
    assert evaluation.policy.completions != evaluation.reference.completions


def test_kl_and_entropy_equal_plain_sums_over_the_vocabulary():
    policy, reference = toy.policy(0), toy.policy(1)
    evaluation = evaluator(reference)(policy)
    assert len({len(ids) for ids in evaluation.policy.completion_ids}) > 1, (
        "the test needs padded texts"
    )
    for row, (logp, ref_logp) in enumerate(
        zip(logits_of(policy, evaluation), logits_of(reference, evaluation), strict=True)
    ):
        p = logp.exp()
        assert evaluation.kl[row].item() == pytest.approx(
            (p * (logp - ref_logp)).sum().item(), abs=1e-5
        )
        assert evaluation.entropy[row].item() == pytest.approx(-(p * logp).sum().item(), abs=1e-5)
    assert evaluation.kl.dtype == torch.float64
    assert evaluation.kl.min() > 0.01


def test_log_probabilities_are_those_of_the_texts():
    policy, reference = toy.policy(0), toy.policy(1)
    evaluation = evaluator(reference)(policy)
    for model, kept in ((policy, evaluation.logp), (reference, evaluation.ref_logp)):
        for ids, logits, row in zip(
            evaluation.policy.completion_ids, logits_of(model, evaluation), kept, strict=True
        ):
            expected = token_logprobs(logits, torch.tensor(ids)).tolist()
            assert row == pytest.approx(expected, abs=1e-5)


def test_length_counts_the_end_token_and_no_padding():
    evaluation = evaluator(toy.policy(1))(toy.policy(0))
    assert evaluation.length.tolist() == [len(ids) for ids in evaluation.policy.completion_ids]
    assert any(ids[-1] == 0 for ids in evaluation.policy.completion_ids)


def test_the_same_seed_gives_the_same_numbers():
    policy, reference = toy.policy(0), toy.policy(1)
    first, again, other = (evaluator(reference, seed=seed)(policy) for seed in (3, 3, 4))
    assert first.policy.completion_ids == again.policy.completion_ids
    assert torch.equal(first.kl, again.kl)
    assert first.logp == again.logp
    assert first.policy.completion_ids != other.policy.completion_ids


def test_evaluating_twice_changes_nothing():
    evaluate, policy = evaluator(toy.policy(1)), toy.policy(0)
    assert evaluate.metrics(evaluate(policy)) == evaluate.metrics(evaluate(policy))


def test_evaluation_does_not_use_the_random_state_of_training():
    policy, evaluate = toy.policy(0), evaluator(toy.policy(1))
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    evaluate(policy)
    assert torch.equal(torch.rand(3), expected)


def test_a_text_does_not_depend_on_its_batch():
    policy, reference = toy.policy(0), toy.policy(1)
    together = evaluator(reference)(policy)
    for row, prompt in enumerate(PROMPTS):
        alone = evaluator(reference, [prompt])(policy)
        rows = slice(4 * row, 4 * row + 4)
        assert alone.policy.completion_ids == together.policy.completion_ids[rows]
        assert alone.reference.completion_ids == together.reference.completion_ids[rows]
        torch.testing.assert_close(alone.kl, together.kl[rows], atol=1e-5, rtol=0)


def test_a_split_into_several_batches_changes_no_number():
    policy, reference = toy.policy(0), toy.policy(1)
    evaluation = evaluator(reference, samples=30)(policy)  # 90 texts, more than one batch
    few = evaluator(reference, PROMPTS[2:], samples=30)(policy)
    torch.testing.assert_close(evaluation.kl[60:], few.kl, atol=1e-5, rtol=0)


def test_the_reference_of_an_adapter_is_the_policy_without_it():
    torch.manual_seed(0)
    adapted = get_peft_model(policy := toy.policy(0), lora_config(policy, 4, "CAUSAL_LM"))
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    evaluation, apart = evaluator(None)(adapted), evaluator(toy.policy(0))(adapted)
    assert evaluation.reference.completions == apart.reference.completions
    assert evaluation.policy.completions != evaluation.reference.completions
    torch.testing.assert_close(evaluation.kl, apart.kl, atol=1e-6, rtol=0)
    assert evaluation.kl.mean() > 0.01


def test_an_adapter_on_the_last_layers_is_evaluated_from_its_frozen_trunk(monkeypatch):
    torch.manual_seed(0)
    policy = toy.policy(0)
    adapted = get_peft_model(policy, lora_config(policy, 4, "CAUSAL_LM", 1))
    first = evaluator(None, samples=10)
    asked, used = [], []
    divergence = evaluator_module.sequence_divergence
    monkeypatch.setattr(
        evaluator_module,
        "sequence_divergence",
        lambda *given: (used.append(given[4]), divergence(*given))[1],
    )
    at_start = first(adapted)
    assert used[0] is not None
    monkeypatch.setattr(evaluator_module, "frozen_trunk", asked.append)
    evaluator(toy.policy(1))(policy)
    assert asked == [], "a model beside the policy shares none of its layers"
    monkeypatch.undo()
    assert at_start.kl.max() < 1e-12
    assert at_start.policy is at_start.reference, "sampled once"
    for name, parameter in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    upper = first(adapted)
    monkeypatch.setattr(evaluator_module, "frozen_trunk", lambda policy: None)
    whole = evaluator(None, samples=10)(adapted)
    assert upper.policy.completions == whole.policy.completions
    assert upper.reference.completions == whole.reference.completions
    for name in ("kl", "entropy"):
        torch.testing.assert_close(getattr(upper, name), getattr(whole, name), atol=1e-5, rtol=0)
    assert upper.kl.mean() > 0.01
    for ours, theirs in zip(upper.ref_logp, whole.ref_logp, strict=True):
        assert ours == pytest.approx(theirs, abs=1e-5)


@pytest.mark.parametrize("training", [True, False])
def test_the_mode_of_the_policy_is_restored(training):
    policy = toy.policy(0).train(training)
    evaluator(toy.policy(1))(policy)
    assert policy.training is training


def test_a_gold_reward_receives_the_ids_which_show_whether_a_text_ended():
    evaluation = evaluator(toy.policy(1))(toy.policy(0))
    cut = torch.tensor([ids[-1] != 0 for ids in evaluation.policy.completion_ids])
    assert cut.any() and not cut.all()
    texts = evaluation.policy.completions
    words = torch.tensor([text.split().count("good") - text.split().count("bad") for text in texts])
    assert torch.equal(evaluation.policy.gold, words.double() - 2.0 * cut)


def test_interruption_stops_an_evaluation_at_any_time():
    policy = toy.policy(0).train()
    calls = itertools.count()
    evaluator(toy.policy(1), interrupted=lambda: next(calls) < 0)(policy)
    total = next(calls)
    assert total == 10 + 10 + 1, "ten tokens of each model, and a batch of divergences"
    for moment in (0, total // 2, total - 1):
        ticks = itertools.count()
        stopped = evaluator(
            toy.policy(1), interrupted=lambda ticks=ticks, at=moment: next(ticks) >= at
        )
        with pytest.raises(Interrupted):
            stopped(policy)
        assert policy.training


def test_a_model_with_more_outputs_than_its_tokenizer_has_tokens():
    """Many published models pad the size of their vocabulary."""
    torch.manual_seed(0)
    padded = LlamaForCausalLM(toy.config(vocab_size=16)).eval()
    evaluation = evaluator(padded)(padded)
    assert evaluation.kl.max() < 1e-5


def test_the_reference_moves_to_the_device_of_the_policy():
    class Elsewhere(LlamaForCausalLM):
        place = torch.device("meta")
        device = property(lambda self: self.place)

        def to(self, device):
            self.place = device
            return self

    reference = Elsewhere(toy.config()).eval()
    evaluation = evaluator(reference)(toy.policy(0))
    assert reference.place == torch.device("cpu") and len(evaluation.kl) == 4 * len(PROMPTS)


def test_intervals_of_one_sample_of_each_prompt():
    evaluate = evaluator(toy.policy(1), samples=1, subsets={"first": PROMPTS[:2]})
    evaluation = evaluate(toy.policy(0))
    expected = ci95_of_mean(bootstrap_rows(2), evaluation.policy.gold[:2].numpy())
    assert evaluate.metrics.intervals(evaluation)["eval/gold_reward_first_ci95"] == expected
