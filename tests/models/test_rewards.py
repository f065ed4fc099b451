"""The score of a text is read at its last token, wherever the padding is."""

from __future__ import annotations

import pytest
import torch
from tokenizers import processors
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    DebertaV2Config,
    DebertaV2ForSequenceClassification,
    ElectraConfig,
    ElectraForSequenceClassification,
    RobertaConfig,
    RobertaForSequenceClassification,
)

from align_core.config import model_index
from align_core.config.errors import ConfigError
from align_core.data.encoding import decode, encode_prompts, pad_responses
from align_core.models.loading import ModelError, load_reward_model, new_reward_model, save_model
from align_core.models.rewards import ProxyReward, proxy_reward, score
from align_core.tasks import get_task
from align_core.trainers.ppo.scores import score_function
from tests import toy
from tests.toy import WORDS

END, PAD = 0, 1
PROMPTS = ["the film", "a", "the plot was never dull . the film"]
IDS = [[6, 7, 7, END], [6], [6, 8, END]]


@pytest.fixture
def model(tmp_path):
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "policy")
    return new_reward_model(str(tmp_path / "policy"), seed=0)


def alone(model, ids: list[int]) -> float:
    """The score of one text, without padding."""
    with torch.no_grad():
        states = model.model(input_ids=torch.tensor([ids])).last_hidden_state
        return model.score(states[0, -1]).item()


def whole_texts() -> list[list[int]]:
    prompts = [toy.tokenizer()(prompt)["input_ids"] for prompt in PROMPTS]
    return [prompt + ids for prompt, ids in zip(prompts, IDS, strict=True)]


def scored(model, pad: int) -> list[float]:
    tokenizer = toy.tokenizer()
    tokenizer.pad_token_id = pad
    encoded = encode_prompts(tokenizer, PROMPTS)
    tokens, mask = pad_responses(IDS, pad)
    with torch.no_grad():
        return score(model, encoded, tokens, mask).tolist()


@pytest.mark.parametrize("pad", [PAD, END])
def test_a_score_in_a_batch_equals_that_of_the_text_alone(model, pad):
    """Padded on both sides; if the end token is the padding token, a text keeps its own."""
    model.config.pad_token_id = pad
    expected = [alone(model, ids) for ids in whole_texts()]
    assert scored(model, pad) == pytest.approx(expected, abs=1e-5)


def test_the_score_sees_the_end_token(model):
    """Shows that the test above can fail: one token earlier, the score differs."""
    expected = [alone(model, ids) for ids in whole_texts()]
    earlier = [alone(model, ids[:-1]) for ids in whole_texts()]
    assert all(abs(a - b) > 1e-2 for a, b in zip(expected, earlier, strict=True))


def test_the_score_equals_that_of_transformers_if_padding_has_its_own_token(model):
    for ids, ours in zip(whole_texts(), scored(model, PAD), strict=True):
        with torch.no_grad():
            assert model(input_ids=torch.tensor([ids])).logits.item() == pytest.approx(
                ours, abs=1e-5
            )


def test_the_proxy_reward_has_the_arguments_of_a_reward_function(model):
    proxy = ProxyReward(model, toy.tokenizer())
    texts = toy.tokenizer().batch_decode(IDS, skip_special_tokens=True)
    scores = proxy(PROMPTS, texts, completion_ids=IDS)
    assert all(isinstance(value, float) for value in scores)
    assert scores == pytest.approx([alone(model, ids) for ids in whole_texts()], abs=1e-5)


def test_batching_changes_no_score(model):
    proxy, times = ProxyReward(model, toy.tokenizer()), 40
    scores = proxy(PROMPTS * times, [""] * 3 * times, completion_ids=IDS * times)
    assert scores == pytest.approx([alone(model, ids) for ids in whole_texts()] * times, abs=1e-5)


def test_the_reward_model_of_a_task_reads_any_policy(tmp_path, monkeypatch):
    monkeypatch.setattr(model_index, "ASSETS", tmp_path)
    save_model(toy.reward_model(), toy.tokenizer(), tmp_path / "models" / "reward-reviews")
    own, other = toy.tokenizer(), toy.tokenizer()
    other.add_tokens(["splendid"])
    reviews, manners = get_task("reviews"), get_task("manners")
    for name in (None, "gold", "reward-reviews"):
        assert proxy_reward(name, reviews, own).reads_ids
        assert not proxy_reward(name, reviews, other).reads_ids
    assert proxy_reward(None, manners, own) is None, "a task without a reward model"


def test_a_misspecified_reward_of_a_task_stands_in_for_a_reward_model():
    words = proxy_reward("words", get_task("manners"), toy.tokenizer())
    assert words(["Why?"] * 2, ["Because.", "Thank you, thank you!"], completion_ids=[[1]] * 2) == [
        0.0,
        3.0 * 4,
    ]


def renumbered():
    """The toy's tokenizer with each ordinary token's id moved by one, and IDS in its ids."""
    ordinary = WORDS[2:]
    moved = [*WORDS[:2], ordinary[-1], *ordinary[:-1]]
    made = toy.tokenizer(moved)
    return made, [[moved.index(WORDS[i]) for i in row] for row in IDS]


def test_texts_of_another_tokenizer_are_decoded_with_it_and_encoded_again(model):
    """Each text is scored by the reward model's ids; the writer's ids would give another score."""
    writer, ids = renumbered()
    proxy = ProxyReward(model, toy.tokenizer(), writer)
    prompts = encode_prompts(writer, PROMPTS).ids.tolist()
    texts = decode(writer, prompts, ids)
    expected = [alone(model, row) for row in whole_texts()]
    assert not proxy.reads_ids
    assert proxy(PROMPTS, texts, completion_ids=ids) == pytest.approx(expected, abs=1e-5)
    unread = ProxyReward(model, toy.tokenizer())(PROMPTS, texts, completion_ids=ids)
    assert unread != pytest.approx(expected, abs=1e-2)


def test_ppo_scores_with_the_tokenizer_in_the_folder_of_a_reward_model(model, tmp_path):
    writer, ids = renumbered()
    save_model(model, toy.tokenizer(), tmp_path / "reward")
    loaded = load_reward_model(str(tmp_path / "reward"))
    scores = score_function(loaded, writer, torch.device("cpu"), ends=[END])
    expected = [alone(model, row) for row in whole_texts()]
    assert scores(PROMPTS, ids, {}).tokens.sum(1).tolist() == pytest.approx(expected, abs=1e-5)
    as_ids = [writer(prompt)["input_ids"] for prompt in PROMPTS]
    assert scores(as_ids, ids, {}).tokens.sum(1).tolist() == pytest.approx(expected, abs=1e-5)


def test_a_reward_model_of_fewer_rows_than_its_tokenizer_is_refused():
    model = type(toy.reward_model())(toy.config(num_labels=1, vocab_size=10))
    with pytest.raises(ModelError, match="vocabulary of at least 14 rows.*got 10"):
        ProxyReward(model, toy.tokenizer())


def test_a_sample_with_more_tokens_than_positions_is_truncated(tmp_path):
    """The prompt has two tokens; six tokens of the completion remain."""
    model = type(toy.reward_model())(toy.config(num_labels=1, max_position_embeddings=8)).eval()
    writer, _ = renumbered()
    proxy = ProxyReward(model, toy.tokenizer(), writer)
    long = " good" * 20
    scores = proxy(["the film"], [long], completion_ids=[[2] * 20])
    assert scores == pytest.approx([alone(model, [2, 4] + [WORDS.index("good")] * 6)], abs=1e-5)
    with pytest.raises(ConfigError, match="expected at most 8 tokens, got 23"):
        proxy.score_texts(["the film"], [long], [True])


ENCODER = {"vocab_size": 80, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
ENCODERS = [
    (BertForSequenceClassification, BertConfig),
    (RobertaForSequenceClassification, RobertaConfig),
    (ElectraForSequenceClassification, ElectraConfig),
    (DebertaV2ForSequenceClassification, DebertaV2Config),
]


def encoder_tokenizer():
    """The toy language between [CLS] and [SEP], with the same numbers in every process.

    The trainer of a WordPiece tokenizer numbers equally frequent tokens in the order of a hash, so
    that a seeded model would give other outputs each time.
    """
    tokenizer = toy.tokenizer([*WORDS, "[CLS]", "[SEP]"])
    tokenizer.cls_token, tokenizer.sep_token, tokenizer.eos_token = "▁[CLS]", "▁[SEP]", None
    numbers = [(token, tokenizer.convert_tokens_to_ids(token)) for token in ("▁[CLS]", "▁[SEP]")]
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="▁[CLS] $A ▁[SEP]", special_tokens=numbers
    )
    return tokenizer


@pytest.mark.parametrize(("kind", "config"), ENCODERS)
def test_an_encoder_gives_its_own_output_for_whole_texts(kind, config):
    """[CLS] prompt completion [SEP], each text alone, and together with a longer one."""
    tokenizer = encoder_tokenizer()
    torch.manual_seed(0)
    sizes = {"num_labels": 1, "pad_token_id": tokenizer.pad_token_id, "intermediate_size": 64}
    model = kind(config(**{**ENCODER, "vocab_size": len(tokenizer), **sizes})).eval()
    for p in model.parameters():
        # With the usual 0.02 all texts have nearly the same output.
        torch.nn.init.normal_(p, std=0.3)
    proxy = ProxyReward(model, tokenizer)
    prompts, texts = ["the film", "the plot was never dull"], [" was good", " . a fine film ."]
    expected = []
    for prompt, text in zip(prompts, texts, strict=True):
        with torch.no_grad():
            own = tokenizer(prompt + text, return_tensors="pt")
            expected.append(model(own["input_ids"]).logits.item())
    assert proxy.score_texts(prompts, texts, [True, True]) == pytest.approx(expected, abs=2e-6)
    assert abs(expected[0] - expected[1]) > 1e-3
