"""Token ids of texts: the places of padding and end token, and the labels."""

from __future__ import annotations

import pytest
import torch

from align_core.data.encoding import (
    Prompts,
    encode,
    encode_demonstrations,
    encode_pairs,
    encode_prompts,
    pad_responses,
)
from tests.toy import WORDS, tokenizer

END, PAD = 0, 1
CHAT = (
    "{% for m in messages %}"
    "{{ ' a ' if m['role'] == 'user' else ' the ' }}{{ m['content'] }}"
    "{% if m['role'] == 'assistant' %}<end>{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %} the{% endif %}"
)


def ids(text: str) -> list[int]:
    return [WORDS.index(word) for word in text.split()]


def chatty():
    made = tokenizer()
    made.chat_template = CHAT
    return made


def message(role: str, content: str) -> list[dict[str, str]]:
    return [{"role": role, "content": content}]


def test_prompts_are_padded_on_the_left():
    encoded = encode_prompts(tokenizer(), ["the film was", "a"])
    assert encoded.ids.tolist() == [ids("the film was"), [PAD, PAD, *ids("a")]]
    assert encoded.mask.tolist() == [[1, 1, 1], [0, 0, 1]]


def test_prompts_repeat_and_slice_in_step():
    encoded = encode_prompts(tokenizer(), ["the film", "a"]).repeat(2)
    assert encoded.ids.tolist() == [ids("the film")] * 2 + [[PAD, *ids("a")]] * 2
    for rows in (slice(1, 3), torch.tensor([1, 2])):
        part = encoded[rows]
        assert isinstance(part, Prompts)
        assert part.ids.tolist() == [ids("the film"), [PAD, *ids("a")]]
        assert part.mask.tolist() == [[1, 1], [0, 1]]


def test_responses_are_padded_on_the_right_and_keep_their_end_token():
    tokens, mask = pad_responses([[5, END], [END], [5, 6, 7]], pad=END)
    assert tokens.tolist() == [[5, END, END], [END, END, END], [5, 6, 7]]
    assert mask.dtype == torch.bool
    assert mask.tolist() == [[True, True, False], [True, False, False], [True, True, True]]


@pytest.mark.parametrize("ended", [True, False])
def test_only_ended_texts_have_an_end_token(ended):
    prompt, completion = encode(tokenizer(), "the film", " was good .", ended)
    assert prompt == ids("the film")
    assert completion == ids("was good .") + [END] * ended


def test_an_existing_end_token_is_not_doubled():
    assert encode(tokenizer(), "the", " film<end>")[1] == [*ids("film"), END]


def test_an_empty_completion_still_ends():
    assert encode(tokenizer(), "the film", "")[1] == [END]


def test_a_conversation_goes_through_the_chat_template():
    prompt = message("user", "was the film good")
    encoded = encode_prompts(chatty(), [prompt])
    assert encoded.ids.tolist() == [ids("a was the film good the")]
    before, after = encode(chatty(), prompt, message("assistant", "dull"))
    assert before == encoded.ids[0].tolist()
    assert after == [*ids("dull"), END]


def test_text_prompts_do_not_go_through_the_chat_template():
    assert encode_prompts(chatty(), ["the film"]).ids.tolist() == [ids("the film")]


def test_only_the_completion_of_a_demonstration_is_learnt():
    rows = encode_demonstrations(
        tokenizer(), [{"prompt": "the film", "completion": " was good ."}] * 2
    )
    assert rows.column_names == ["input_ids", "labels"]
    assert len(rows) == 2
    assert rows[0]["input_ids"] == [*ids("the film was good ."), END]
    assert rows[0]["labels"] == [-100, -100, *ids("was good ."), END]


def test_pairs_keep_whether_their_texts_ended():
    texts = {"prompt": "the film", "chosen": " was good", "rejected": " was"}
    cut = {**texts, "chosen_ended": True, "rejected_ended": False}
    whole, torn = encode_pairs(tokenizer(), [texts, cut])
    assert whole == {
        "prompt_ids": ids("the film"),
        "chosen_ids": [*ids("was good"), END],
        "rejected_ids": [*ids("was"), END],
    }
    assert torn == {**whole, "rejected_ids": ids("was")}
