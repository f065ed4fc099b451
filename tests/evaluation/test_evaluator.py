"""Evaluations: KL, noise, rewards and sample texts."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from peft import get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

from align_core.data.encoding import encode_prompts
from align_core.evaluation import evaluator as evaluator_module
from align_core.evaluation.evaluator import Evaluator
from align_core.evaluation.text_pieces import text_pieces
from align_core.models.loading import lora_config
from align_core.models.logprobs import response_outputs
from align_core.models.sampling import Interrupted
from align_core.objectives import token_logprobs
from align_core.optimum import Frontier, ReferenceSamples
from tests import toy

PROMPTS = ["the film", "a", "the plot was never dull . the film"]


def proxy(prompts, completions, completion_ids) -> list[float]:
    """A reward that depends on the lengths of a text and its prompt."""
    return [
        10.0 + len(ids) + len(prompt) for prompt, ids in zip(prompts, completion_ids, strict=True)
    ]


def evaluator(reference=None, prompts=PROMPTS, **changes) -> Evaluator:
    return Evaluator(
        prompts,
        toy.tokenizer(),
        reference,
        **{
            "gold": toy.reward,
            "proxy": proxy,
            "stored": None,
            "max_new_tokens": 10,
            "seed": 0,
            "samples": 4,
            **changes,
        },
    )


def stored(prompts=PROMPTS) -> ReferenceSamples:
    shape = len(prompts), 4000
    rewards = np.random.default_rng(0).normal(size=shape)
    ones = np.ones(shape, np.uint8)
    return ReferenceSamples(list(prompts), ones[..., None], ones, ones > 0, rewards)


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
    at_start = first(adapted)
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


def test_reference_samples_have_a_mean_proxy_of_zero_and_the_policy_the_same_offset():
    evaluation = evaluator(toy.policy(1))(toy.policy(0))
    assert evaluation.reference.proxy.mean().item() == pytest.approx(0, abs=1e-9)
    raw, ref_raw = (
        torch.tensor(proxy(texts.prompts, texts.completions, texts.completion_ids)).double()
        for texts in (evaluation.policy, evaluation.reference)
    )
    torch.testing.assert_close(evaluation.policy.proxy, raw - ref_raw.mean(), atol=1e-9, rtol=0)
    again = evaluator(toy.policy(1))
    again(toy.policy(0))
    torch.testing.assert_close(again(toy.policy(0)).policy.proxy, evaluation.policy.proxy)


def test_without_a_reward_model_the_proxy_is_null():
    evaluate = evaluator(toy.policy(1), proxy=None)
    evaluation = evaluate(toy.policy(0))
    assert evaluate.metrics(evaluation)["eval/proxy_reward"] is None
    assert evaluate.samples(evaluation)[0]["policy"]["proxy_reward"] is None


def test_a_tie_counts_half():
    """The policy's texts have 2 wins, 1 tie and 1 loss against the reference's."""
    rewards = iter([[0.0, 0.0, 0.0, 0.0], [1.0, 2.0, 0.0, -5.0]])  # the reference is scored first
    evaluate = evaluator(toy.policy(1), ["the film"], gold=lambda *_, **__: next(rewards))
    metrics = evaluate.metrics(evaluate(toy.policy(0)))
    assert metrics["eval/win_rate"] == (2 + 0.5) / 4
    assert metrics["eval/gold_reward"] == -0.5


def test_metrics_are_means_and_the_frontier_gives_the_others():
    known = Frontier.of(stored().rewards)
    evaluate = evaluator(toy.policy(1), stored=stored())
    evaluation = evaluate(toy.policy(0))
    gold, ref_gold = evaluation.policy.gold.mean().item(), evaluation.reference.gold.mean().item()
    kl = evaluation.kl.mean().item()
    assert 0.05 < kl < 3
    assert evaluate.metrics(evaluation) == {
        "eval/gold_reward": gold,
        "eval/gold_reward_reference": ref_gold,
        "eval/proxy_reward": evaluation.policy.proxy.mean().item(),
        "eval/kl": kl,
        "eval/win_rate": pytest.approx(0.5 + 0.5 * wins_minus_losses(evaluation), abs=1e-12),
        "eval/gain": pytest.approx(known.gain(gold, ref_gold), abs=1e-12),
        "eval/gain_kl": known.gain_kl,
        "eval/frontier_efficiency": pytest.approx(known.efficiency(gold, ref_gold, kl), abs=1e-12),
        "eval/entropy": evaluation.entropy.mean().item(),
        "eval/length": evaluation.length.double().mean().item(),
        "eval/prompts": 3,
        "eval/samples": 4,
    }


def test_each_side_of_the_prompts_has_its_own_means():
    subsets = {"covered": [PROMPTS[1]], "uncovered": [PROMPTS[0], PROMPTS[2]], "none": []}
    evaluate = evaluator(toy.policy(1), subsets=subsets)
    evaluation = evaluate(toy.policy(0))
    metrics = evaluate.metrics(evaluation)
    overall = {"gold_reward": evaluation.policy.gold, "kl": evaluation.kl}
    overall["gold_reward_reference"] = evaluation.reference.gold
    for name, values in overall.items():
        # Four samples per prompt, in order: rows 4 to 7 are those of the second prompt.
        first, second, third = values.double().split(4)
        assert metrics[f"eval/{name}_covered"] == pytest.approx(second.mean().item())
        others = (first.sum() + third.sum()).item() / 8
        assert metrics[f"eval/{name}_uncovered"] == pytest.approx(others)
        assert metrics[f"eval/{name}_none"] is None
    plain = evaluator(toy.policy(1))
    assert plain.metrics(plain(toy.policy(0))).items() < metrics.items()


def test_intervals_are_of_means_over_resampled_prompts():
    """Compares with each metric computed from the texts of each resampled set of prompts."""
    known, subsets = Frontier.of(stored().rewards), {"covered": PROMPTS[:2], "none": []}
    evaluate = evaluator(toy.policy(1), stored=stored(), subsets=subsets)
    evaluation = evaluate(toy.policy(0))
    gold, ref_gold = evaluation.policy.gold.tolist(), evaluation.reference.gold.tolist()
    won = [
        (ours > theirs) + 0.5 * (ours == theirs)
        for ours, theirs in zip(gold, ref_gold, strict=True)
    ]

    def mean(values, prompts):
        return np.mean([values[4 * prompt + n] for prompt in prompts for n in range(4)])

    def half(redrawn):
        low, high = np.percentile(redrawn, [2.5, 97.5])
        return pytest.approx((high - low) / 2, abs=1e-6)

    draws = np.random.default_rng(0).integers(3, size=(1000, 3))
    gains = [known.select(d).gain(mean(gold, d), mean(ref_gold, d), known.gain_kl) for d in draws]
    of_two = np.random.default_rng(0).integers(2, size=(1000, 2))
    intervals = evaluate.intervals(evaluation)
    exact = {"eval/gain_kl", "eval/prompts", "eval/samples"}
    measured = set(evaluate.metrics(evaluation)) - exact
    assert {name.removesuffix("_ci95") for name in intervals} == measured
    assert intervals["eval/gold_reward_ci95"] == half([mean(gold, d) for d in draws])
    assert intervals["eval/kl_ci95"] == half([mean(evaluation.kl.tolist(), d) for d in draws])
    assert intervals["eval/win_rate_ci95"] == half([mean(won, d) for d in draws])
    assert intervals["eval/gain_ci95"] == half(gains)
    assert intervals["eval/gold_reward_covered_ci95"] == half([mean(gold, d) for d in of_two])
    assert intervals["eval/gold_reward_none_ci95"] is None


def wins_minus_losses(evaluation) -> float:
    return (evaluation.policy.gold - evaluation.reference.gold).sign().mean().item()


def test_gain_and_efficiency_use_only_prompts_with_a_known_optimum():
    known = stored([PROMPTS[2], "another prompt", PROMPTS[0]])
    evaluate = evaluator(toy.policy(1), stored=known)
    evaluation = evaluate(toy.policy(0))
    rows = torch.tensor([0, 1, 2, 3, 8, 9, 10, 11])  # four samples for the first and the third
    gold, ref_gold, kl = (
        values[rows].mean().item()
        for values in (evaluation.policy.gold, evaluation.reference.gold, evaluation.kl)
    )
    frontier = Frontier.of(known.rewards[[2, 0]])
    metrics = evaluate.metrics(evaluation)
    assert metrics["eval/gain"] == pytest.approx(frontier.gain(gold, ref_gold), abs=1e-12)
    efficiency = frontier.efficiency(gold, ref_gold, kl)
    assert metrics["eval/frontier_efficiency"] == pytest.approx(efficiency, abs=1e-12)
    unknown = evaluator(toy.policy(1), stored=stored(["another prompt"]))
    assert unknown.metrics(evaluation)["eval/gain"] is None


def test_without_a_frontier_gain_and_efficiency_are_null():
    evaluate = evaluator(toy.policy(1))
    metrics = evaluate.metrics(evaluate(toy.policy(0)))
    assert metrics["eval/gain"] is None and metrics["eval/frontier_efficiency"] is None


def test_shown_texts_are_the_first_samples_and_the_worst_of_the_reference_come_first():
    evaluate = evaluator(toy.policy(1))
    evaluation = evaluate(toy.policy(0))
    rows = sorted(range(0, 4 * len(PROMPTS), 4), key=lambda row: evaluation.reference.gold[row])
    assert rows != sorted(rows), "the test needs a changed order of prompts"
    shown = evaluate.samples(evaluation)
    assert [entry["prompt"] for entry in shown] == [PROMPTS[row // 4] for row in rows]
    assert len(evaluate.samples(evaluation, prompts=2)) == 2
    for entry, row in zip(shown, rows, strict=True):
        for side, texts in (("policy", evaluation.policy), ("reference", evaluation.reference)):
            assert entry[side]["text"] == texts.completions[row]
            assert entry[side]["gold_reward"] == texts.gold[row].item()
            assert entry[side]["proxy_reward"] == texts.proxy[row].item()
        tokens = entry["policy"]["tokens"]
        assert "".join(token["text"] for token in tokens) == entry["policy"]["text"]
        assert [token["logp"] for token in tokens] == evaluation.logp[row]
        assert [token["ref_logp"] for token in tokens] == evaluation.ref_logp[row]
        assert entry["policy"]["kl"] == evaluation.kl[row].item()


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


def byte_level() -> PreTrainedTokenizerFast:
    """A byte-level tokenizer with few merges, which splits non-ASCII characters into tokens."""
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=270,
        special_tokens=["<end>", "<pad>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(["the film was good . the plot was dull ."] * 4, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, eos_token="<end>", pad_token="<pad>")


TEXTS = [
    "the film was good .",
    " été à Zürich",
    "日本の首都は東京 .",
    "👍👩‍👩‍👧 fine",
    "é",
    "",
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("ended", [True, False])
def test_pieces_join_to_the_text(text, ended):
    tokenizer = byte_level()
    ids = tokenizer(text)["input_ids"] + [tokenizer.eos_token_id] * ended
    logp = [-float(i + 1) for i in range(len(ids))]
    ref_logp = [-2.0 * (i + 1) for i in range(len(ids))]
    tokens = text_pieces(tokenizer, ids, logp, ref_logp)
    assert "".join(piece["text"] for piece in tokens) == text
    assert sum(piece["logp"] for piece in tokens) == pytest.approx(sum(logp))
    assert sum(piece["ref_logp"] for piece in tokens) == pytest.approx(sum(ref_logp))
    assert all("\N{REPLACEMENT CHARACTER}" not in piece["text"] for piece in tokens)


def test_the_bytes_of_one_character_are_one_piece():
    tokenizer = byte_level()
    ids = tokenizer("a日b")["input_ids"]
    assert len(ids) == 5
    tokens = text_pieces(tokenizer, ids, [-1.0, -2.0, -3.0, -4.0, -5.0], [0.0] * 5)
    assert [piece["text"] for piece in tokens] == ["a", "日", "b"]
    assert [piece["logp"] for piece in tokens] == [-1.0, -9.0, -5.0]


def test_the_end_token_is_a_piece_without_text():
    tokenizer = byte_level()
    tokens = text_pieces(
        tokenizer, [*tokenizer("é")["input_ids"], 0], [-1.0, -1.0, -7.0], [0.0] * 3
    )
    assert tokens[-1] == {"text": "", "logp": -7.0, "ref_logp": 0.0}


@pytest.mark.parametrize("ended", [True, False])
def test_a_truncated_character_still_joins_to_the_text(ended):
    """A sample may end within a character, or contain bytes that form none."""
    tokenizer = byte_level()
    whole = tokenizer("a日b")["input_ids"]
    for ids in (whole[:3], whole[:2] + whole[4:], whole[2:], [*whole[1:3], *whole[1:3], whole[4]]):
        ids = ids + [tokenizer.eos_token_id] * ended
        tokens = text_pieces(tokenizer, ids, [-1.0] * len(ids), [-1.0] * len(ids))
        text = tokenizer.decode(ids, skip_special_tokens=True)
        assert "".join(piece["text"] for piece in tokens) == text
        assert sum(piece["logp"] for piece in tokens) == -len(ids)
