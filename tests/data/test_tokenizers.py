"""Prompts and completions with the tokenizers of other model families."""

from __future__ import annotations

import pytest

from align_core.config.errors import ConfigError
from align_core.data.chat import turn_end
from align_core.data.encoding import (
    beginning,
    decode,
    encode,
    encode_demonstrations,
    encode_pairs,
    encode_prompts,
)
from tests import families

PLAIN = [families.gpt, families.llama2, families.llama3, families.bert]
BORDERS = [
    ("A: ", "Paris"),
    ("A: ", " Paris"),
    ("A:", " Paris"),
    ("A", ": Paris"),
    ("the fi", "lm was good"),
    ("What is the capital of France?", " It is Paris."),
    ("What is the capital of France?\n", "Paris"),
]


def question(content: str = "What is the capital of France?") -> list[dict[str, str]]:
    return [{"role": "user", "content": content}]


def answer(content: str = "Paris.") -> list[dict[str, str]]:
    return [{"role": "assistant", "content": content}]


@pytest.mark.parametrize("make", PLAIN)
@pytest.mark.parametrize(("prompt", "completion"), BORDERS)
def test_prompt_and_completion_have_the_tokens_of_the_whole_text(make, prompt, completion):
    tokenizer = make()
    before, after = encode(tokenizer, prompt, completion)
    assert before + after == tokenizer(prompt + completion)["input_ids"] + [tokenizer.eos_token_id]
    assert before == tokenizer(prompt)["input_ids"][: len(before)]


def test_no_space_between_prompt_and_completion_is_added_or_lost():
    tokenizer = families.llama2()
    with_space, without = (encode(tokenizer, "A:", text)[1] for text in (" Paris", "Paris"))
    assert with_space != without
    assert tokenizer.decode(tokenizer("A:")["input_ids"] + without[:-1]) == "<s> A:Paris"


@pytest.mark.parametrize("make", PLAIN)
def test_the_texts_of_a_pair_share_a_prompt(make):
    """ "B" and "B:" may be different tokens: the prompt ends before the first difference."""
    tokenizer, end = make(), [make().eos_token_id]
    pair = {"prompt": "A: Paris. B", "chosen": ": Rome.", "rejected": "erlin"}
    (row,) = encode_pairs(tokenizer, [pair])
    for side in ("chosen", "rejected"):
        whole = tokenizer(pair["prompt"] + pair[side])["input_ids"] + end
        assert row["prompt_ids"] + row[f"{side}_ids"] == whole


@pytest.mark.parametrize("make", [families.llama2, families.llama3])
def test_plain_text_has_one_beginning_token_and_no_end_token(make):
    tokenizer = make()
    bos, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    assert beginning(tokenizer) == [bos]
    encoded = encode_prompts(tokenizer, ["the film", "<s>the film"])
    for ids, mask in zip(encoded.ids.tolist(), encoded.mask.tolist(), strict=True):
        real = ids[-sum(mask) :]
        assert real[0] == bos and real.count(bos) == 1 and end not in real
    row = encode_demonstrations(tokenizer, [{"prompt": "", "completion": "the film"}])[0]
    assert row["input_ids"] == [*tokenizer("the film")["input_ids"], end]


def test_a_tokenizer_that_ends_its_texts_does_not_end_a_prompt():
    tokenizer = families.byte_level(["<s>", "</s>"], eos_token="</s>")
    tokenizer.backend_tokenizer.post_processor = families.processors.TemplateProcessing(
        single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 1)]
    )
    tokenizer.pad_token = "</s>"
    (ids,) = encode_prompts(tokenizer, ["the film"]).ids.tolist()
    assert [*ids, 1] == tokenizer("the film")["input_ids"]


def test_no_beginning_is_added_to_a_rendered_conversation():
    tokenizer = families.llama3()
    tokenizer.chat_template = "{{ bos_token }}" + families.CHAT_ML
    tokenizer.pad_token = "</s>"
    (ids,) = encode_prompts(tokenizer, [question()]).ids.tolist()
    assert ids.count(tokenizer.bos_token_id) == 1
    tokenizer.chat_template = families.CHAT_ML
    (ids,) = encode_prompts(tokenizer, [question()]).ids.tolist()
    assert tokenizer.bos_token_id not in ids


@pytest.mark.parametrize("make", [families.gpt, families.llama2, families.llama3])
@pytest.mark.parametrize("completion", [" Paris.", "Paris.", "  Paris", ": Paris", ""])
def test_a_decoded_completion_equals_the_written_one(make, completion):
    tokenizer = make()
    before, after = encode(tokenizer, "the film", completion)
    assert decode(tokenizer, [before], [after]) == [completion]


def test_an_answer_ends_with_the_end_of_its_turn():
    tokenizer = families.qwen()
    end = tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert turn_end(tokenizer) == end != tokenizer.eos_token_id
    own = tokenizer("Paris.")["input_ids"]
    for text in (answer(), "Paris."):
        for ended in (True, False):
            before, after = encode(tokenizer, question(), text, ended)
            assert before == encode_prompts(tokenizer, [question()]).ids[0].tolist()
            assert after == own + [end] * ended
    assert encode(tokenizer, "A:", " Paris")[1][-1] == tokenizer.eos_token_id


@pytest.mark.parametrize("make", [families.gpt, families.qwen])
def test_a_template_without_an_end_of_turn_gets_the_end_token_of_texts(make):
    tokenizer = make()
    tokenizer.chat_template = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
    assert turn_end(tokenizer) is None
    assert encode(tokenizer, question(), answer())[1][-1] == tokenizer.eos_token_id


def test_a_generation_prompt_that_opens_thoughts_precedes_only_the_answer():
    tokenizer = families.thinking()
    row = {"prompt": question(), "chosen": answer(), "rejected": answer("It is Rome.")}
    (pair,) = encode_pairs(tokenizer, [row])
    prompt = tokenizer.decode(pair["prompt_ids"])
    assert prompt.endswith("<|im_start|>assistant\n<think>\n")
    texts = [tokenizer.decode(pair[f"{side}_ids"]) for side in ("chosen", "rejected")]
    assert texts == ["Paris.<|im_end|>", "It is Rome.<|im_end|>"]


def test_a_template_that_writes_an_answer_elsewhere_is_named():
    tokenizer = families.qwen()
    tokenizer.name_or_path = "hub/odd"
    tokenizer.chat_template = (
        "{% for m in messages %}({{ m.role }}){{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}<reply>{% endif %}"
    )
    with pytest.raises(
        ConfigError, match="hub/odd: expected a chat template that begins"
    ) as refused:
        encode(tokenizer, question(), answer())
    assert len(refused.value.lines) == 1


@pytest.mark.parametrize(
    ("template", "problem"),
    [
        (None, "expected a model with a chat template"),
        ("{{ raise_exception('Alternate the roles!') }}", "refuses a conversation of user: Alter"),
        ("{{ messages[0]['tool_calls'][3].x }}", "refuses a conversation of user"),
        ("{{ 1 / 0 }}", "refuses a conversation of user: division by zero"),
        ("{% for n in range(10**9) %}{% endfor %}", "refuses a conversation of user: Range too"),
        ("", "expected a chat template that writes each message, got '' for the user's 'What"),
        ("Hello", "expected a chat template that writes each message, got 'Hello' for the user's"),
    ],
)
def test_a_conversation_that_the_template_refuses_is_one_line(template, problem):
    tokenizer = families.gpt()
    tokenizer.chat_template = template
    for read in (
        lambda: encode_prompts(tokenizer, [question()]),
        lambda: encode(tokenizer, question(), answer()),
    ):
        with pytest.raises(ConfigError, match=problem) as refused:
            read()
        assert len(refused.value.lines) == 1


def test_a_template_may_leave_out_thoughts_but_no_answer():
    tokenizer = families.qwen()
    tokenizer.chat_template = families.CHAT_ML.replace(
        "m.content", "m.content.split('</think>')[-1]"
    )
    assert encode(tokenizer, question(), answer("<think>Hm.</think>Paris.")) == encode(
        tokenizer, question(), answer()
    )
    tokenizer.chat_template = families.CHAT_ML.replace("m.content", "m.content if loop.first")
    with pytest.raises(ConfigError, match="for the assistant's 'Paris.'"):
        encode(tokenizer, question(), answer())
