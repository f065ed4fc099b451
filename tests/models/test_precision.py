"""Linear modules in bfloat16: what is rounded, what is stored, and when it is chosen."""

from __future__ import annotations

import pytest
import torch
from peft import get_peft_model

from align_core.models import lora, precision
from align_core.models.lora import lora_config
from align_core.models.precision import default_precision, use_bfloat16
from tests import toy


def adapted():
    torch.manual_seed(0)
    model = toy.policy()
    return get_peft_model(model, lora_config(model, 4, "CAUSAL_LM", 1)).eval()


def test_a_linear_module_rounds_its_operands_and_its_result():
    torch.manual_seed(0)
    linear = torch.nn.Linear(64, 8).requires_grad_(False)
    x, weight, bias = torch.randn(5, 64), linear.weight.clone(), linear.bias.clone()
    use_bfloat16(linear)
    exact = x.bfloat16().double() @ weight.bfloat16().double().T + bias.bfloat16().double()
    assert linear(x).dtype == torch.float32
    torch.testing.assert_close(linear(x).double(), exact, rtol=2**-8, atol=1e-6)
    assert not torch.allclose(linear(x), x @ weight.T + bias, rtol=1e-5, atol=1e-6)


def test_frozen_weights_are_stored_in_bfloat16_and_trained_ones_in_float32():
    model = adapted()
    embeddings = model.get_input_embeddings().weight
    use_bfloat16(model)
    dtypes = {name: p.dtype for name, p in model.named_parameters()}
    base = {name for name in dtypes if "proj" in name and "lora" not in name}
    assert {dtypes[name] for name in base} == {torch.bfloat16}
    assert model.get_output_embeddings().weight.dtype == torch.bfloat16
    assert model.get_input_embeddings().weight is embeddings and embeddings.dtype == torch.float32
    others = dtypes.keys() - base - {"base_model.model.lm_head.weight"}
    assert {dtypes[name] for name in others} == {torch.float32}


def test_outputs_are_close_and_a_policy_without_its_adapter_is_its_reference():
    before, model = toy.outputs(adapted()), adapted()
    use_bfloat16(model)
    with model.disable_adapter():
        reference = toy.outputs(model)
    assert torch.equal(toy.outputs(model), reference), "a new adapter changes nothing"
    assert 1e-5 < (reference - before).abs().max() < 0.02 * before.abs().max()


def test_gradients_reach_the_trained_weights():
    model = adapted()
    use_bfloat16(model)
    model(input_ids=torch.tensor([[2, 3, 6]])).logits.square().sum().backward()
    trained = {name: p for name, p in model.named_parameters() if "lora_B" in name}
    assert all(p.grad.dtype == torch.float32 and p.grad.abs().sum() > 0 for p in trained.values())


def test_a_scalar_head_stays_in_float32():
    model = toy.reward_model().requires_grad_(False)
    use_bfloat16(model)
    assert model.score.weight.dtype == torch.float32
    assert model.model.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("capabilities", "seconds", "largest", "expected"),
    [
        ({"amx_bf16": True}, 0.2, 1000, "bfloat16"),
        ({"avx512_bf16": True, "amx_bf16": False}, 0.8, 1000, "bfloat16"),
        ({"avx512_bf16": True, "amx_bf16": False}, 0.9, 1000, "float32"),
        ({"avx512_bf16": False, "avx512_f": True}, 0.2, 1000, "float32"),
        ({"amx_bf16": True}, 0.2, 10**8, "float32"),
    ],
)
def test_bfloat16_is_used_for_large_models_on_processors_that_are_faster_with_it(
    monkeypatch, capabilities, seconds, largest, expected
):
    """`seconds` of a product in bfloat16, which takes 1 s in float32."""
    times = {torch.bfloat16: seconds, torch.float32: 1.0}
    monkeypatch.setattr(precision, "_seconds", lambda x, weight: times[x.dtype])
    precision._is_faster.cache_clear()
    monkeypatch.setattr(precision.torch.cpu, "get_capabilities", lambda: capabilities)
    monkeypatch.setattr(lora, "LARGE_MODEL", largest)
    assert default_precision(toy.policy(), torch.device("cpu")) == expected
    precision._is_faster.cache_clear()


def test_the_time_of_a_product_is_that_of_the_fastest(monkeypatch):
    """Ten products: each takes a second longer than the one before; the first takes one."""
    clock = iter([0, 1, 1, 3, 3, 6, 6, 10, 10, 15, 15, 21, 21, 28, 28, 36, 36, 45, 45, 55])
    monkeypatch.setattr(precision.time, "perf_counter", lambda: next(clock))
    assert precision._seconds(torch.ones(2, 3), torch.ones(4, 3)) == 1
    assert next(clock, None) is None
