"""In every family, the upper layers give the results of full passes, or full passes are made."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    GemmaConfig,
    GemmaForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from align_core.data.encoding import Prompts
from align_core.models.frozen_trunk import frozen_trunk
from align_core.models.logprobs import response_outputs, upper_states
from align_core.models.lora import linear_names
from align_core.models.precision import use_bfloat16
from align_core.models.sampling import RandomDraw, sample
from tests import toy

WORDS = 40
SIZES = {
    "vocab_size": WORDS,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
}
FAMILIES = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(num_key_value_heads=1, **SIZES)),
    "qwen2": lambda: Qwen2ForCausalLM(Qwen2Config(num_key_value_heads=1, **SIZES)),
    "gemma": lambda: GemmaForCausalLM(GemmaConfig(head_dim=16, num_key_value_heads=1, **SIZES)),
    "gpt-neox": lambda: GPTNeoXForCausalLM(GPTNeoXConfig(**SIZES)),
}


def adapted(model, layers=(2, 3)):
    """The model with an adapter on these layers that changes its outputs."""
    torch.manual_seed(1)
    adapter = LoraConfig(
        r=4,
        target_modules=linear_names(model) - {"out_proj"},  # PEFT refuses this module of Mamba
        layers_to_transform=list(layers),
        task_type="CAUSAL_LM",
    )
    policy = get_peft_model(model, adapter).eval()
    for name, parameter in policy.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.3)
    return policy


def policy_of(family: str):
    torch.manual_seed(0)
    return adapted(FAMILIES[family]())


# Prompts and responses of several lengths: padding on the left, between and on the right.
PROMPTS = Prompts(
    torch.tensor([[1, 1, 5, 6], [7, 8, 9, 10], [1, 1, 1, 3]]),
    torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 1]]),
)
TOKENS = torch.tensor([[11, 12, 13], [14, 1, 1], [15, 16, 1]])
MASK = torch.tensor([[True, True, True], [True, False, False], [True, True, False]])


def trunk_states(frozen):
    """Trunk states of the texts, computed in one pass without samples."""
    attention = torch.cat([PROMPTS.mask, MASK.long()], 1)
    return frozen.states(
        input_ids=torch.cat([PROMPTS.ids, TOKENS], 1),
        attention_mask=attention,
        position_ids=(attention.cumsum(1) - 1).clamp(min=0),
    )


@pytest.mark.parametrize("family", FAMILIES)
def test_upper_layers_agree_with_full_passes(family):
    policy = policy_of(family)
    frozen = frozen_trunk(policy)
    assert frozen.depth == 2
    kept = trunk_states(frozen)
    for context in (policy.disable_adapter, torch.enable_grad):
        with context():
            logits, states = response_outputs(policy, PROMPTS, TOKENS, MASK, hidden=True)
            ours = upper_states(frozen, kept, PROMPTS, TOKENS, MASK)
        torch.testing.assert_close(ours[MASK], states[MASK], atol=2e-5, rtol=0)
        torch.testing.assert_close(frozen.head(ours)[MASK], logits[MASK], atol=2e-5, rtol=0)


def test_gradients_of_the_adapter_are_those_of_a_full_pass():
    policy = policy_of("llama")
    frozen = frozen_trunk(policy)
    logits, _ = response_outputs(policy, PROMPTS, TOKENS, MASK)
    logits[MASK].square().sum().backward()
    whole = {n: p.grad.clone() for n, p in policy.named_parameters() if p.grad is not None}
    policy.zero_grad()
    states = upper_states(frozen, trunk_states(frozen), PROMPTS, TOKENS, MASK)
    frozen.head(states)[MASK].square().sum().backward()
    upper = {n: p.grad for n, p in policy.named_parameters() if p.grad is not None}
    assert upper.keys() == whole.keys() and len(whole) == 2 * 7 * 2
    for name, gradient in whole.items():
        torch.testing.assert_close(upper[name], gradient, atol=1e-5, rtol=1e-4)


def test_sampling_keeps_the_trunk_states_of_its_texts():
    """Texts end at different times; the model never read the last token of a text."""
    policy = policy_of("llama")
    frozen = frozen_trunk(policy)
    drawn = sample(policy, PROMPTS.repeat(20), RandomDraw(3, 60), max_new_tokens=6,
                   end_ids=range(12), pad_id=1, frozen=frozen)  # fmt: skip
    assert len({*drawn.mask.sum(1).tolist()}) == 6
    kept = drawn.trunk_states
    batch = PROMPTS.repeat(20), drawn.tokens, drawn.mask
    _, states = response_outputs(policy, *batch, hidden=True)
    ours = upper_states(frozen, kept, *batch)
    torch.testing.assert_close(ours[drawn.mask], states[drawn.mask], atol=2e-5, rtol=0)
    few = torch.tensor([0, 2])  # the prompts are cut to their longest
    ours = upper_states(frozen, kept[few], batch[0][few], drawn.tokens[few], drawn.mask[few])
    torch.testing.assert_close(ours[drawn.mask[few]], states[few][drawn.mask[few]], atol=2e-5,
                               rtol=0)  # fmt: skip


def test_precision_and_later_changes_of_the_adapter_are_followed():
    policy = policy_of("llama")
    frozen = frozen_trunk(policy)
    before = upper_states(frozen, trunk_states(frozen), PROMPTS, TOKENS, MASK)
    use_bfloat16(policy)
    for name, parameter in policy.named_parameters():
        if "lora_A" in name:
            torch.nn.init.normal_(parameter)
    _, states = response_outputs(policy, PROMPTS, TOKENS, MASK, hidden=True)
    ours = upper_states(frozen, trunk_states(frozen), PROMPTS, TOKENS, MASK)
    # A flipped rounding of one product is 2⁻⁹ of it.
    torch.testing.assert_close(ours[MASK], states[MASK], atol=0.05, rtol=0)
    assert (ours - before)[MASK].abs().max() > 0.5


def gpt2():
    return GPT2LMHeadModel(GPT2Config(vocab_size=WORDS, n_embd=32, n_layer=4, n_head=2))


def mamba():
    return MambaForCausalLM(
        MambaConfig(vocab_size=WORDS, hidden_size=32, num_hidden_layers=4, state_size=4)
    )


@pytest.mark.parametrize("family", [gpt2, mamba])
def test_a_model_that_cannot_be_split_makes_full_passes(family):
    """GPT-2 adds positions to its inputs. A state-space model may be split if it agrees."""
    policy = adapted(family())
    frozen = frozen_trunk(policy)
    assert family is mamba or frozen is None
    if frozen is not None:
        _, states = response_outputs(policy, PROMPTS, TOKENS, MASK, hidden=True)
        ours = upper_states(frozen, trunk_states(frozen), PROMPTS, TOKENS, MASK)
        torch.testing.assert_close(ours[MASK], states[MASK], atol=2e-5, rtol=0)


def test_no_trunk_is_frozen_if_lower_weights_are_trained():
    torch.manual_seed(0)
    assert frozen_trunk(FAMILIES["llama"]()) is None
    assert frozen_trunk(adapted(FAMILIES["llama"](), layers=range(4))) is None
    policy = policy_of("llama")
    policy.get_output_embeddings().weight.requires_grad_(True)
    assert frozen_trunk(policy) is None
    assert frozen_trunk(toy.policy().requires_grad_(False)) is None


def test_a_soft_cap_of_the_logits_is_no_linear_output_layer():
    policy = policy_of("llama")
    policy.get_base_model().config.final_logit_softcapping = 30.0
    assert frozen_trunk(policy) is None
