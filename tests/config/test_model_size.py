"""The number of parameters in files made by hand, and the evaluation that it allows."""

from __future__ import annotations

import json
import math
import struct

import pytest

from align_core.config import model_size
from align_core.config.model_size import FULL_SIZE, EvaluationSize, evaluation_size, parameters


def weights(*shapes: tuple[int, ...]) -> bytes:
    """A safetensors file with tensors of these shapes, all zeros."""
    header, end = {}, 0
    for n, shape in enumerate(shapes):
        start, end = end, end + 4 * math.prod(shape)
        header[f"weight {n}"] = {"dtype": "F32", "shape": shape, "data_offsets": [start, end]}
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    return struct.pack("<Q", len(text)) + text + bytes(end)


@pytest.fixture
def model(tmp_path):
    """model(name, file=content, …) is the path of a model's folder with these files."""

    def made(name, **files):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "config.json").write_text('{"model_type": "llama"}')
        for file, content in files.items():
            (folder / file.replace("_dot_", ".")).write_bytes(content)
        return str(folder)

    return made


def test_the_parameters_of_all_weight_files_are_counted(model):
    two = {"a_dot_safetensors": weights((2, 3), (4,)), "b_dot_safetensors": weights((5,), ())}
    assert parameters(model("safe", **two, notes_dot_txt=b"x" * 99)) == 2 * 3 + 4 + 5 + 1
    assert parameters(model("pickled", pytorch_model_dot_bin=b"x" * 21)) == 10, "two bytes each"
    assert parameters(model("none")) == 0
    assert parameters("nowhere") is None
    broken = {"a_dot_safetensors": b"\0\0"}
    assert parameters(model("broken", **broken)) is None


def test_an_adapter_has_the_parameters_of_its_base_too(model):
    base = model("base", a_dot_safetensors=weights((7,)))

    def adapter(name, of):
        config = json.dumps({"base_model_name_or_path": of}).encode()
        files = {"adapter_config_dot_json": config, "adapter_model_dot_safetensors": weights((2,))}
        return model(name, **files)

    assert parameters(adapter("adapted", base)) == 7 + 2
    assert parameters(adapter("lost", "nowhere")) is None
    itself = adapter("itself", str(base).replace("base", "itself"))
    assert parameters(itself) is None


def test_an_evaluation_has_the_most_texts_that_the_work_allows(monkeypatch):
    """Texts times tokens times parameters are at most those of 24 texts of 40 tokens of 140 M."""
    work = 24 * 40 * 140e6
    sizes = (FULL_SIZE, EvaluationSize(32, 2, 512), EvaluationSize(12, 2, 512))
    smallest = EvaluationSize(8, 2, 512)
    assert EvaluationSize(64, 4, 1024) == FULL_SIZE
    for size, smaller in zip(sizes, (*sizes[1:], smallest), strict=True):
        largest = work / size.texts / 40
        for count, expected in ((largest, size), (largest * 1.001, smaller)):
            monkeypatch.setattr(model_size, "parameters", lambda model, count=count: count)
            assert evaluation_size("model", 40) == expected
    for count in (1e12, None):
        monkeypatch.setattr(model_size, "parameters", lambda model, count=count: count)
        assert evaluation_size("model", 40) == smallest
