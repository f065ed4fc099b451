"""Damaged files of a model, each refused in one line that names the file."""

from __future__ import annotations

import json
import struct

import pytest

from align_core.config import model_files, model_index
from align_core.config.errors import ConfigError
from align_core.config.model_files import damage, safetensors_header
from align_core.config.model_size import parameters
from align_core.config.run_config import resolve
from align_core.models.loading import ModelError, load_policy, save_model
from tests import toy

FILE, INDEX = "model.safetensors", "model.safetensors.index.json"


def shards(names: object) -> str:
    return json.dumps({"weight_map": names})


# what is written into which file (None: it is removed), and the line about it
DAMAGES = {
    "empty": (FILE, b"", "model.safetensors has 0 bytes, expected weights in safetensors"),
    "five bytes": (FILE, 5, "model.safetensors has 5 bytes, expected weights in safetensors"),
    "within the header": (FILE, 500, "model.safetensors: .* another format or a file that is cut"),
    "within the weights": (FILE, -1, r"model.safetensors has \d+ bytes, expected \d+: it is cut"),
    "other bytes": (FILE, b"\xff" * 64, "model.safetensors: expected weights in safetensors, got"),
    "a list": (
        FILE,
        b"\x02" + 7 * b"\0" + b"[]",
        "model.safetensors: .*in safetensors, got a header that is not valid",
    ),
    "nested": (FILE, b"\x20\x4e" + 6 * b"\0" + b"[" * 20_000, "model.safetensors: .*got a header"),
    "no weights": (FILE, None, "it has no weights, expected model.safetensors"),
    "config": ("config.json", b"{", "config.json: expected JSON: .*line 1"),
    "config is a list": ("config.json", b"[]", "config.json: expected a JSON object"),
    "config is not text": ("config.json", b"\xff\xfe", "config.json: .*"),
    "generation": ("generation_config.json", b"", "generation_config.json: expected JSON: "),
    "a shard": (
        INDEX,
        shards({"a": "model-2.safetensors"}),
        f"{INDEX} names model-2.safetensors, ",
    ),
    "no map": (INDEX, "{}", f"{INDEX} has no weight_map"),
    "a wrong map": (INDEX, shards([]), f"{INDEX} has no weight_map"),
}


@pytest.fixture
def folder(tmp_path):
    save_model(toy.policy(), toy.tokenizer(), tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.parametrize("kind", DAMAGES)
def test_a_damaged_model_is_refused_before_and_while_it_is_loaded(folder, kind):
    assert damage(folder) is None and parameters(str(folder)) == toy.policy().num_parameters()
    name, content, line = DAMAGES[kind]
    file = folder / name
    if content is None:
        file.unlink()
    elif isinstance(content, int):
        file.write_bytes(file.read_bytes()[:content])
    else:
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    (message,) = model_index.model_errors("--model", str(folder))
    with pytest.raises(ConfigError, match=line) as resolved:
        resolve("ppo", "reviews", model=str(folder))
    assert len(resolved.value.lines) == 1
    with pytest.raises(ValueError, match=line) as loaded:  # ModelError is one
        load_policy(str(folder))
    for text in (str(message), str(loaded.value)):
        assert "\n" not in text and "Traceback" not in text
    assert parameters(str(folder)) in (None, 0, toy.policy().num_parameters())


def test_an_adapter_needs_weights_of_its_own(folder, tmp_path):
    base = load_policy(str(folder))
    save_model(toy.adapted(base), toy.tokenizer(), tmp_path / "adapter")
    assert damage(tmp_path / "adapter") is None
    (tmp_path / "adapter" / "adapter_model.safetensors").unlink()
    assert damage(tmp_path / "adapter") == "it has no weights, expected adapter_model.safetensors"
    (tmp_path / "adapter" / "adapter_config.json").write_text("{")
    assert damage(tmp_path / "adapter").startswith("adapter_config.json: expected JSON")
    with pytest.raises(ModelError, match="adapter_config.json cannot be read"):
        load_policy(str(tmp_path / "adapter"))


def test_the_header_has_the_shape_of_each_tensor(folder):
    header = safetensors_header(folder / FILE)
    assert header["model.norm.weight"]["shape"] == [32] and "__metadata__" not in header


def test_a_file_may_have_no_weights_and_as_large_a_header_as_the_format_allows(
    tmp_path, monkeypatch
):
    """Eight bytes with the length of the header, and the header itself."""
    file = tmp_path / FILE
    file.write_bytes(struct.pack("<Q", 2) + b"{}")
    monkeypatch.setattr(model_files, "_MAX_HEADER", 2)
    assert safetensors_header(file) == {}
    monkeypatch.setattr(model_files, "_MAX_HEADER", 1)
    with pytest.raises(ValueError, match="another format or a file that is cut off"):
        safetensors_header(file)
    monkeypatch.undo()
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="another format or a file that is cut off"):
        safetensors_header(file)
    file.write_bytes(struct.pack("<Q", 2) + b"{} ")
    with pytest.raises(ValueError, match="has 11 bytes, expected 10: it is cut off or damaged"):
        safetensors_header(file)


def test_pickled_weights_are_never_read(folder):
    """They may contain code; torch.load would create the file."""
    pickled = b"cbuiltins\nopen\n(S'%s'\nS'w'\ntR." % str(folder / "executed").encode()
    (folder / "pytorch_model.bin").write_bytes(pickled)
    assert load_policy(str(folder)).num_parameters() == toy.policy().num_parameters()
    (folder / FILE).unlink()
    line = "it has no weights, expected model.safetensors, got pytorch_model.bin, which is not read"
    assert damage(folder) == line
    with pytest.raises(ModelError, match=line):
        load_policy(str(folder))
    assert not (folder / "executed").exists()
