"""The content hash and the number of parameters of a model, read from its files."""

from __future__ import annotations

import json
import shutil

import pytest
from peft import get_peft_model

from align_core.config import model_index, model_size
from align_core.config.digests import model_digest
from align_core.config.model_size import FULL_SIZE, EvaluationSize, evaluation_size, parameters
from align_core.models.loading import load_policy
from align_core.models.lora import lora_config
from tests import toy


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "model"
    toy.policy(0).save_pretrained(folder)
    toy.tokenizer().save_pretrained(folder)
    return folder


def test_a_copy_of_a_model_is_the_same_model(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "copy")
    (tmp_path / "copy" / "README.md").write_text("of no importance")
    assert model_digest(str(tmp_path / "copy")) == model_digest(str(saved))


def test_other_weights_or_another_tokenizer_or_template_make_another_model(saved):
    hashes = [model_digest(str(saved))]
    (saved / "chat_template.jinja").write_text("{{ messages }}")
    hashes.append(model_digest(str(saved)))
    words = json.loads((saved / "tokenizer_config.json").read_text())
    (saved / "tokenizer_config.json").write_text(json.dumps(words | {"padding_side": "right"}))
    hashes.append(model_digest(str(saved)))
    toy.policy(1).save_pretrained(saved)
    hashes.append(model_digest(str(saved)))
    assert len({*hashes}) == 4


def test_the_hash_of_an_adapter_depends_on_its_base(saved, tmp_path):
    adapter = tmp_path / "adapter"
    base = load_policy(str(saved))
    size = base.num_parameters()
    tuned = get_peft_model(base, lora_config(base, 2, "CAUSAL_LM"))
    tuned.save_pretrained(adapter)
    own = sum(p.numel() for p in tuned.parameters() if p.requires_grad)
    before = model_digest(str(adapter))
    assert parameters(str(adapter)) == size + own
    toy.policy(1).save_pretrained(saved)
    assert model_digest(str(adapter)) != before
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(adapter)
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    assert parameters(str(adapter)) is None
    with pytest.raises(ValueError, match="itself"):
        model_digest(str(adapter))


def test_parameters_are_counted_without_loading_them(saved):
    assert parameters(str(saved)) == toy.policy(0).num_parameters()
    assert parameters("no/such-model") is None
    (saved / "model.safetensors").write_bytes(b"\xff" * 64)
    assert parameters(str(saved)) is None
    (saved / "model.safetensors").unlink()
    (saved / "pytorch_model.bin").write_bytes(b"\xff" * 64)
    assert parameters(str(saved)) == 32, "two bytes each"


def test_a_model_of_the_hub_is_the_snapshot_in_the_cache(saved, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    hub = tmp_path / "hub" / "models--some--model"
    (hub / "refs").mkdir(parents=True)
    with pytest.raises(ValueError, match="downloaded"):
        model_digest("some/model")
    (hub / "refs" / "main").write_text("abc123")
    shutil.copytree(saved, hub / "snapshots" / "abc123")
    assert model_digest("some/model") == model_digest(str(saved))


def test_the_size_of_evaluations_depends_on_parameters_and_token_limit(monkeypatch):
    for name in model_index.embedded():
        if "reward" not in name:
            assert evaluation_size(name, 40) == FULL_SIZE
    sizes = {"real": 135e6, "middle": 30e6, "edge": 140e6, "over": 140e6 + 1, "unknown": None}
    monkeypatch.setattr(model_size, "parameters", sizes.get)
    assert evaluation_size("real", 1) == FULL_SIZE == EvaluationSize(64, 4, 1024)
    assert evaluation_size("middle", 32) == EvaluationSize(32, 2, 512)
    # The limit is 140 M · 24 texts · 40 tokens.
    assert evaluation_size("real", 32) == evaluation_size("edge", 40) == EvaluationSize(12, 2, 512)
    assert evaluation_size("over", 40) == evaluation_size("unknown", 1) == EvaluationSize(8, 2, 512)
    assert EvaluationSize(8, 2, 512).texts == 16
