"""Prompts of scripts: with [PAD], BOS, masks, collators, tools, or from a stream."""

from __future__ import annotations

import pytest
import torch
from datasets import Dataset, DatasetDict, IterableDataset
from transformers import DataCollatorWithPadding, LlamaForCausalLM

from align_core.data.chat import answer_text
from align_core.data.encoding import Prompts, encode_prompts
from align_core.models.logprobs import response_outputs
from align_core.models.rewards import score
from align_core.trainers.ppo.prompts import columns_of, encoded, prompts_of
from align_core.trainers.ppo.rows import RolloutBatches, StreamedRows
from tests import families, toy
from tests.ports.ported import PROMPTS, history, made, rows, trained

IDS = [[2, 4], [3, 5], [2, 5, 6, 13], [13, 3, 4]]  # of PROMPTS


def with_pad():
    tokenizer = toy.tokenizer()
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id == 14, "the embeddings of the toy models end at row 13"
    return tokenizer


def test_a_padding_token_without_an_embedding_changes_nothing(tmp_path):
    """The same rollouts, scores and KL as with a padding token that has one."""
    parts = {"reward": toy.reward_model(), "learning_rate": 1e-2}
    one, two = (
        trained(tmp_path, tokenizer=tokenizer, value_model=toy.reward_model(), **parts)
        for tokenizer in (toy.tokenizer(), with_pad())
    )
    for name in ("objective/scores", "objective/kl", "loss/value_avg"):
        assert history(one, name) == history(two, name)
    assert history(two, "objective/kl")[1] > 0
    pads = []
    for trainer in (one, two):
        trainer.save_model(str(tmp_path / "kept"))
        pads.append(LlamaForCausalLM.from_pretrained(tmp_path / "kept").config.pad_token_id)
    assert pads == [1, None], "a model with an id beyond its embeddings cannot be loaded"


def test_the_forward_pass_of_a_padded_text_never_reads_padding():
    model = toy.policy()
    prompts = Prompts(torch.tensor([[99, 2, 4], [2, 5, 6]]), torch.tensor([[0, 1, 1], [1, 1, 1]]))
    tokens, mask = torch.tensor([[8, 99], [7, 9]]), torch.tensor([[True, False], [True, True]])
    logits, _ = response_outputs(model, prompts, tokens, mask)
    alone = model(input_ids=torch.tensor([[2, 4, 8]])).logits[0, 1]
    torch.testing.assert_close(logits[0, 0], alone, atol=1e-5, rtol=0)


def test_plain_prompts_begin_with_the_bos_token(tmp_path):
    tokenizer = families.llama3()
    tokenizer.pad_token = "</s>"
    (ids,) = encode_prompts(tokenizer, ["the film"]).ids.tolist()
    assert ids[0] == tokenizer.bos_token_id != ids[1]


def test_padding_without_a_mask_does_not_belong_to_the_prompt():
    tokenizer = toy.tokenizer()
    for side in ("left", "right"):
        tokenizer.padding_side = side
        padded = [{"input_ids": ids} for ids in tokenizer(PROMPTS, padding=True)["input_ids"]]
        assert len({len(row["input_ids"]) for row in padded}) == 1
        assert prompts_of(padded, list, tokenizer) == IDS


def test_a_column_may_have_what_the_chat_template_returns():
    tokenizer = with_chat_template()
    data = rows(n=[0]).map(
        lambda _: {"input_ids": tokenizer.apply_chat_template(CHAT, add_generation_prompt=True)}
    )
    assert data[0]["input_ids"] == {"input_ids": [3, 4, 2], "attention_mask": [1, 1, 1]}
    assert prompts_of(list(data), list, tokenizer) == [[3, 4, 2]]


def test_a_row_may_lack_a_column():
    columns = columns_of([{"prompt": "a"}, {"prompt": "b", "answer": 3}])
    assert columns == {"answer": [None, 3]}


def test_the_output_of_a_collator_is_read_in_place_of_the_columns(tmp_path):
    """Its padded `input_ids` are read; the column `prompt` is only for a reward function."""
    tokenizer = toy.tokenizer()

    def collate(rows):
        ids = tokenizer([row["prompt"] for row in rows], padding=True, return_tensors="pt")
        return {"input_ids": ids["input_ids"]}

    others = [{"prompt": prompt, "input_ids": [9, 9, 9]} for prompt in PROMPTS]
    assert prompts_of(others, collate, tokenizer) == IDS
    assert prompts_of(others, list, tokenizer) == [[9, 9, 9]] * 4
    seen = []

    def reward(prompts, completions, **_):
        seen.extend(prompts)
        return [0.0] * len(prompts)

    trained(tmp_path, data=rows(), data_collator=collate, reward=reward, total_episodes=4)
    assert sorted(seen) == sorted(tokenizer.batch_decode(IDS))
    with pytest.raises(ValueError, match="data_collator: expected a batch with input_ids, got ids"):
        made(tmp_path, data_collator=lambda rows: {"ids": rows})
    columns = rows(prompt=PROMPTS, input_ids=IDS)
    with pytest.raises(ValueError, match="data_collator: .*, got ValueError: .*`prompt`"):
        made(tmp_path, data=columns, data_collator=DataCollatorWithPadding(tokenizer))


CHAT = [{"role": "user", "content": "a film"}]


def with_chat_template():
    tokenizer = toy.tokenizer()
    tokenizer.chat_template = (
        "{% if tools %}{{ tools[0].function.name }} {% endif %}"
        "{% for m in messages %}{{ m.content }} {% endfor %}"
        "{% if enable_thinking %}dull {% endif %}"
        "{% if add_generation_prompt %}the{% endif %}"
    )
    return tokenizer


def test_tools_and_arguments_reach_the_chat_template():
    tokenizer = with_chat_template()
    plain = {"prompt": CHAT, "tools": None, "chat_template_kwargs": None}
    tool = {"type": "function", "function": {"name": "plot"}}
    given = {"prompt": CHAT, "tools": [tool], "chat_template_kwargs": {"enable_thinking": True}}
    texts = []
    for row in (plain, given):
        ids = encoded(tokenizer, [CHAT], [row]).real()
        texts += tokenizer.batch_decode(ids)
    assert [text.split() for text in texts] == [
        ["a", "film", "the"],
        ["plot", "a", "film", "dull", "the"],
    ]
    assert columns_of([given]) == {
        "tools": [[tool]],
        "chat_template_kwargs": [{"enable_thinking": True}],
    }, "reward functions receive them, too"


def test_an_answer_may_begin_in_the_prompt():
    tokenizer = with_chat_template()
    begun = [*CHAT, {"role": "assistant", "content": "the plot was"}]
    (ids,) = encoded(tokenizer, [begun], [{"prompt": begun}]).real()
    assert tokenizer.decode(ids).split() == ["a", "film", "the", "plot", "was"]
    assert answer_text(tokenizer, begun, [{"role": "assistant", "content": " dull"}]).split() == [
        "dull"
    ]


def test_a_reward_model_reads_the_same_prompts_as_the_policy(tmp_path):
    """The prompts include "dull", token 10, from the arguments of the chat template."""
    model, thinking = toy.reward_model(), {"enable_thinking": True}
    data = rows(prompt=[CHAT] * 4, chat_template_kwargs=[thinking] * 4)
    parts = {"tokenizer": with_chat_template(), "data": data, "reward": model}
    read = trained(tmp_path, total_episodes=4, **parts).latest.episodes
    assert (read.prompt_ids == 10).any(1).all()
    prompts = Prompts(read.prompt_ids, read.prompt_mask)
    with torch.no_grad():
        expected = score(model, prompts, read.tokens, read.mask)
    torch.testing.assert_close(read.scores, expected, atol=1e-6, rtol=0)


def stream() -> IterableDataset:
    return IterableDataset.from_generator(lambda: ({"prompt": prompt} for prompt in PROMPTS[:3]))


def test_a_stream_is_read_in_order_and_then_again_from_its_start(tmp_path):
    numbered = StreamedRows(stream())
    assert [numbered[i]["prompt"] for i in (0, 1, 5)] == [PROMPTS[0], PROMPTS[1], PROMPTS[2]]
    with pytest.raises(LookupError, match="row 6 of the stream or later, got 2"):
        numbered[2]
    batches = RolloutBatches(rows=None, size=2, rollouts=2, repeats=2, seed=0)
    assert list(batches) == [[0, 1], [0, 1], [2, 3], [2, 3]]
    seen = []

    def reward(prompts, completions, **_):
        seen.extend(prompts)
        return [0.0] * len(prompts)

    trained(tmp_path, data=stream(), reward=reward, max_steps=2, total_episodes=None)
    assert seen == [*PROMPTS[:3], *PROMPTS[:3], *PROMPTS[:2]]
    with pytest.raises(ValueError, match="expected max_steps or total_episodes for a stream"):
        made(tmp_path, data=stream(), total_episodes=None)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "expected a data set with a column prompt or input_ids, got None"),
        (Dataset.from_dict({"prompt": []}), "expected one row or more, got none"),
        (rows(text=PROMPTS), r"or input_ids, got text; data.rename_column\('text', 'prompt'\)"),
        (rows(prompt=["the", ""]), "prompts of one token or more, got 0: ''"),
        (rows(prompt=["the film " * 31]), r"at most 60 tokens \(the positions .*got 6[23]: 'the"),
        (rows(input_ids=[[1, 1]]), r"prompts of one token or more, got 0: \[\]"),
        (
            rows(input_ids=[[2, 14]]),
            r"prompts of tokens below 14, the policy's vocabulary, got 14: ",
        ),
        (rows(input_ids=[[[2, 4]]]), r"input_ids: expected a list of .*, got shape \[1, 2\]"),
        (
            rows(input_ids=["the film"]),
            "input_ids: expected a list of token ids .*, got 'the film'",
        ),
        (DatasetDict(train=rows(), test=rows()), "expected a data set, got a dict of train, test"),
        (({"prompt": "a"} for _ in PROMPTS), "got a generator; IterableDataset.from_generator"),
        (rows(prompt=["the", None]), "prompt: expected text or messages, got nothing"),
        (rows(prompt=[["the film"]]), r"prompt: expected text or messages, got \['the film'\]"),
        (["the film"], r"expected a data set of rows, got \['the film'\]"),
    ],
)
def test_data_without_usable_prompts_is_refused_at_construction(tmp_path, data, message):
    from tests.ports import ported

    with pytest.raises(ValueError, match=message):
        if data is None:
            ported.PPOTrainer(
                ported.PPOConfig(output_dir=str(tmp_path), use_cpu=True),
                toy.tokenizer(),
                toy.policy(),
                None,
                toy.reward,
                None,
            )
        made(tmp_path, data=data)


def test_texts_have_no_arguments_of_a_chat_template():
    tokenizer = with_chat_template()
    rows_of = [{"prompt": prompt, "chat_template_kwargs": {"a": 1}} for prompt in PROMPTS]
    for prompts in (PROMPTS, IDS):
        assert encoded(tokenizer, prompts, rows_of).real() == IDS
