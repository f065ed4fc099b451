"""The rows of the GPU's benchmark, its count of operations, and its bundle."""

from __future__ import annotations

import ast
import json
import subprocess
from pathlib import Path

import pytest
import torch

from benchmarks import gpu, gpu_parts
from benchmarks.real_model_sides import operation_counter

IN_LAYERS = 2 * (2 * 16 * 16 + 2 * 16 * 8 + 3 * 16 * 32)  # weights of the tiny model
IN_OUTPUT_LAYER = 16 * 1024
CPU = torch.device("cpu")
SIZES = gpu_parts.Sizes(**gpu.TINY_SIZES)
MEASURED = {"seconds", "tokens", "operations", "memory", "tokens_per_second", "share"}


def row(part, precision="float32"):
    """The row of a part of the tiny model, at a matrix rate of 10⁹."""
    return gpu_parts.measured(part, gpu_parts.Case(gpu.TINY["tiny"], precision, SIZES, CPU), 1e9)


@pytest.mark.parametrize(
    "name, parameters",
    # V·h + L·(2h² + 2h·kv + 3h·i + 2h) + h, tied; Qwen2 has biases of h + 2kv in each layer
    [
        ("135M", 49152 * 576 + 30 * (2 * 576**2 + 2 * 576 * 192 + 3 * 576 * 1536 + 1152) + 576),
        (
            "0.5B",
            151936 * 896
            + 24 * (2 * 896**2 + 2 * 896 * 128 + 3 * 896 * 4864 + 1792 + 896 + 256)
            + 896,
        ),
    ],
)
def test_the_shapes_are_those_of_the_models(name, parameters):
    case = gpu_parts.Case(gpu.SHAPES[name], "float32", SIZES, torch.device("meta"))
    model = case.model()
    assert parameters in (134_515_008, 494_032_768)  # as their weight files have
    assert sum(p.numel() for p in model.parameters()) == parameters


def test_operations_are_counted():
    x, weight = torch.randn(3, 5, requires_grad=True), torch.randn(7, 5)
    with operation_counter() as counter:
        product = torch.nn.functional.linear(x, weight)
    assert counter.total == 2 * 3 * 5 * 7
    with counter:
        product.sum().backward()
    assert counter.total == 2 * (2 * 3 * 5 * 7), "the gradient of x is another such product"


def test_sampling_is_measured():
    measured = row("sampling")
    assert measured.keys() == MEASURED
    (seconds,) = measured["seconds"]
    assert measured["tokens"] == 4 * 4
    assert measured["tokens_per_second"] == 16 / seconds
    assert measured["share"] == measured["operations"] / seconds / 1e9
    # The layers read 4 + 3 tokens of four texts; the output layer predicts four of each.
    linear = 2 * (4 * 7 * IN_LAYERS + 4 * 4 * IN_OUTPUT_LAYER)
    assert linear <= measured["operations"] < 1.1 * linear, "the rest is attention"


def test_ppo_is_measured_from_the_first_rollout_on():
    measured = row("PPO, LoRA", "bfloat16")
    assert measured.keys() == MEASURED | {"kl", "gold"}
    assert len(measured["seconds"]) == 1 and len(measured["kl"]) == len(measured["gold"]) == 3
    assert measured["kl"][0] == 0 < measured["kl"][-1]
    assert 0 < measured["gold"][0] < 4
    assert measured["operations"] > 0 and measured["memory"] > 0


def test_dpo_is_measured():
    measured = row("DPO, all weights")
    assert measured.keys() == MEASURED
    assert measured["tokens"] == 2 * 2 * (4 + 4)
    # Products for four texts of eight tokens, seven of them predicted: the reference's one, and of
    # each trained weight three. TRL computes the logits again for their gradient.
    linear = 2 * (4 * (4 * 8) * IN_LAYERS + 5 * (4 * 7) * IN_OUTPUT_LAYER)
    assert linear <= measured["operations"] < 1.1 * linear


def test_a_part_that_fails_leaves_the_others(tmp_path, monkeypatch):
    def fails(case):
        raise torch.OutOfMemoryError("expected a\nlarger | device")

    def works(case):
        return {"seconds": [0.5, 0.25, 1.0], "tokens": 8, "operations": 5e8, "memory": 9.0}

    monkeypatch.setattr(gpu_parts, "PARTS", {"sampling": fails, "PPO": works})
    monkeypatch.setattr(gpu_parts, "matrix_rate", lambda device: 2e9)
    out = tmp_path / "out.json"
    results = gpu.measure(gpu.TINY, gpu.TINY_SIZES, [out])
    assert json.loads(out.read_text()) == results
    failed, measured = gpu.described(results).splitlines()[-4:-2]
    assert (
        failed == "| tiny | float32 | sampling | OutOfMemoryError: expected a" + " | –" * 5 + " |"
    )
    assert measured == "| tiny | float32 | PPO | 0.5 | 16 | 9 | 0.500 | – | – |"


def test_a_bundle_is_complete_and_small(tmp_path, monkeypatch):
    def pip(command, check):
        wheels = Path(command[command.index("--dest") + 1])
        wheels.mkdir()
        (wheels / "a.whl").write_bytes(bytes(10**6))

    monkeypatch.setattr(subprocess, "run", pip)
    folder = tmp_path / "there"
    assert "cd there && python3 -m pip install --no-index" in gpu.bundle(folder)
    assert {path.name for path in (folder / gpu.TOKENIZER).iterdir()} == {
        *("config.json", "generation_config.json", "tokenizer.json", "tokenizer_config.json")
    }
    for path in (folder / "benchmarks").iterdir():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module.startswith("benchmarks."):
                assert (folder / f"{node.module.replace('.', '/')}.py").exists(), node.module
    with pytest.raises(SystemExit, match="expected a new folder"):
        gpu.bundle(folder)
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    monkeypatch.setattr(gpu, "LIMIT", size)
    with pytest.raises(SystemExit, match=r"expected less than \d MB, got \d\.\d MB$"):
        gpu.bundle(tmp_path / "other")
