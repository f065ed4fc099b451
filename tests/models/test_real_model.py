"""SmolLM2-135M-Instruct from `align-core fetch smollm2`."""

from __future__ import annotations

import pytest

from align_core.config.model_index import SMOLLM2, fetched_folder
from align_core.data.encoding import encode_prompts
from align_core.models.loading import load_policy, load_tokenizer
from align_core.models.sampling import RandomDraw, sample

pytestmark = pytest.mark.skipif(
    not fetched_folder(SMOLLM2).is_dir(), reason="smollm2 is not here: align-core fetch smollm2"
)
PROMPT = (
    "<|im_start|>system\n"
    "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
    "<|im_start|>assistant\n"
)


def test_the_real_model_answers_through_its_template_and_ends():
    policy, tokenizer = load_policy(SMOLLM2), load_tokenizer(SMOLLM2)
    prompts = encode_prompts(
        tokenizer, [[{"role": "user", "content": "What is the capital of France?"}]]
    )
    assert tokenizer.decode(prompts.ids[0]) == PROMPT
    answer = sample(
        policy,
        prompts,
        RandomDraw(0, 1),
        max_new_tokens=16,
        end_ids=[tokenizer.eos_token_id],
        pad_id=tokenizer.pad_token_id,
        temperature=0,
    )
    assert tokenizer.decode(answer.ids()[0]) == "The capital of France is Paris.<|im_end|>"
    assert tokenizer.tokenize("\n\n12") == ["ĊĊ", "1", "2"]
