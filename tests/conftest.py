from __future__ import annotations

import json
import os

import pytest

from align_core import catalogue

os.environ.setdefault("OMP_NUM_THREADS", "1")  # read by torch when a test imports it
catalogue.stay_local()


@pytest.fixture
def fake_assets(tmp_path, monkeypatch):
    """Embedded models by name only: their configuration files, no weights."""
    models = tmp_path / "assets" / "models"
    for name in ("pretrained", "sft-reviews", "sft-capitals", "reward-reviews", "reward-capitals"):
        head = "LlamaForSequenceClassification" if "reward" in name else "LlamaForCausalLM"
        (models / name).mkdir(parents=True)
        (models / name / "config.json").write_text(
            json.dumps({"model_type": "llama", "architectures": [head]})
        )
    monkeypatch.setattr(catalogue, "ASSETS", tmp_path / "assets")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path / "assets"
