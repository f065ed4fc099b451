"""A language of a dozen words, and models so small that each test can create them."""

from __future__ import annotations

import torch
from peft import get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import (
    LlamaConfig,
    LlamaForCausalLM,
    LlamaForSequenceClassification,
    PreTrainedTokenizerFast,
)

from align_core.models.lora import lora_config

WORDS = "<end> <pad> the a film plot was is good bad dull fine . never".split()


def tokenizer(words: list[str] = WORDS) -> PreTrainedTokenizerFast:
    """A tokenizer in which each word, with its leading space, is a token."""
    vocabulary = {WORDS[0]: 0, WORDS[1]: 1}
    vocabulary |= {"▁" + word: i for i, word in enumerate(words) if i > 1}
    core = Tokenizer(models.WordLevel(vocabulary, unk_token=WORDS[1]))
    core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    core.decoder = decoders.Metaspace(prepend_scheme="never")
    core.add_special_tokens(list(WORDS[:2]))
    return PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token=WORDS[0], pad_token=WORDS[1], padding_side="left"
    )


def config(**changes) -> LlamaConfig:
    return LlamaConfig(
        **{
            "vocab_size": len(WORDS),
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "max_position_embeddings": 64,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": 0,
            "pad_token_id": 1,
            **changes,
        }
    )


def policy(seed: int = 0) -> LlamaForCausalLM:
    torch.manual_seed(seed)
    model = LlamaForCausalLM(config()).eval()
    # With random weights all models are nearly uniform; this makes them differ.
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def reward_model(seed: int = 1) -> LlamaForSequenceClassification:
    torch.manual_seed(seed)
    return LlamaForSequenceClassification(config(num_labels=1)).eval()


def reward(prompts, completions, completion_ids=None, **_) -> list[float]:
    """1 nat for each "good", −1 for each "bad", and −2 if the text did not end."""
    ids = completion_ids or [[0]] * len(completions)
    return [
        text.split().count("good") - text.split().count("bad") - 2.0 * (row[-1:] != [0])
        for text, row in zip(completions, ids, strict=True)
    ]


def outputs(model) -> torch.Tensor:
    """The outputs of a model for one text."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([[2, 3, 6, 7, 0]])).logits


def adapted(model, seed: int = 0, task_type: str = "CAUSAL_LM"):
    """The model with an adapter that changes its outputs."""
    torch.manual_seed(seed)
    made = get_peft_model(model, lora_config(model, 4, task_type)).eval()
    for name, parameter in made.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return made
