"""The inputs of models for a task's prompts, and the scale of a task's reward."""

import numpy as np
import pytest

from align_core.config.errors import ConfigError
from align_core.data.encoding import encode_prompts
from align_core.models.prompts import check_prompts, model_inputs, rows_with_model_inputs
from align_core.models.reward_scale import BATCH, TEXTS, reward_scale
from align_core.models.sampling import RandomDraw, sample
from align_core.tasks import Task
from tests import toy

TEMPLATE = "{% for m in messages %}{{ m.content }} . {% endfor %}"


class Films(Task):
    name = title = explanation = "films"
    max_new_tokens = 6
    reward_std = 2.0

    def prompts(self, split):
        return {"train": ["the film", "a plot", "the"], "probe": ["film"], "heldout": ["plot"]}[
            split
        ]

    def model_input(self, prompt, chat):
        return [{"role": "user", "content": prompt}] if chat else prompt

    def parts(self, prompts, completions, **columns):
        return {
            "length": [0.5 * len(text) for text in completions],
            "ended": [-1.0 * ended for ended in columns["ended"]],
            "same": [3.0] * len(completions),
        }

    def reward(self, prompts, completions, **columns):
        parts = self.parts(prompts, completions, **columns)
        return [sum(of) for of in zip(*parts.values(), strict=True)]


class Flat(Films):
    def parts(self, prompts, completions, **columns):
        return {"json": [0.0] * len(completions), "ends": [1.0] * len(completions)}


def test_prompts_are_messages_if_the_tokenizer_has_a_chat_template():
    plain, chat = toy.tokenizer(), toy.tokenizer()
    chat.chat_template = TEMPLATE
    message = [{"role": "user", "content": "film"}]
    assert model_inputs(plain, Films(), ["film"]) == ["film"]
    assert model_inputs(chat, Films(), ["film"]) == [message]
    rows = [
        {"prompt": "film", "chosen": " a", "rejected": " b", "chosen_ended": False},
        {"prompt": "", "completion": " a text"},
        {"prompt": message, "completion": message},
    ]
    assert rows_with_model_inputs(plain, Films(), rows) == rows
    assert rows_with_model_inputs(chat, Films(), rows) == [
        {"prompt": message, "chosen": "a", "rejected": "b", "chosen_ended": False},
        *rows[1:],
    ]


def test_all_too_long_prompts_are_reported_at_once():
    policy, tokenizer = toy.policy(), toy.tokenizer()
    check_prompts(Films(), policy, tokenizer)
    policy.config.max_position_embeddings = 7  # less 6 of the completion: one token
    with pytest.raises(ConfigError) as refused:
        check_prompts(Films(), policy, tokenizer)
    assert [line.text for line in refused.value.lines] == [
        f"the prompt {prompt!r} of films: expected at most 1 tokens (the model's 7 positions minus "
        "max_new_tokens, 6), got 2"
        for prompt in ("the film", "a plot")
    ]


def test_the_scale_gives_reference_samples_their_standard_deviation():
    policy, tokenizer, task = toy.policy(), toy.tokenizer(), Films()
    scale = reward_scale(task, policy, tokenizer)
    assert scale == reward_scale(task, policy, tokenizer)
    points = []
    for batch in range(TEXTS // BATCH):  # the prompts alternate: the film, a plot, the, the film, …
        prompts = [task.prompts("train")[i % 3] for i in range(batch * BATCH, (batch + 1) * BATCH)]
        encoded = encode_prompts(tokenizer, prompts)
        how = {"max_new_tokens": 6, "end_ids": [tokenizer.eos_token_id]}
        drawn = sample(policy, encoded, RandomDraw(batch, BATCH), pad_id=1, **how)
        texts = tokenizer.batch_decode(drawn.ids(), skip_special_tokens=True)
        points += task.reward(prompts, texts, ended=drawn.ended.tolist())
    assert len(points) == 256
    assert np.std(points) * scale == pytest.approx(2.0, abs=1e-9)


def test_a_reward_that_does_not_vary_is_refused_by_the_names_of_its_parts():
    with pytest.raises(ConfigError) as refused:
        reward_scale(Flat(), toy.policy(), toy.tokenizer())
    (line,) = refused.value.lines
    assert line.text == (
        "films: expected a reward that varies, got a standard deviation of 0 over 256 texts of the "
        "reference: reward/json, reward/ends"
    )
