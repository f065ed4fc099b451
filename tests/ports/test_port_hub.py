"""Uploads of a script to a fake Hub on the loopback, and the model card."""

from __future__ import annotations

import base64
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import huggingface_hub
import pytest
from huggingface_hub import HfApi, ModelCard
from transformers.utils import hub

from align_core import PPOTrainer
from tests import toy
from tests.ports.ported import made


class StandIn(BaseHTTPRequestHandler):
    """A fake Hub that accepts any repository and stores the files of its commits."""

    files: dict[str, bytes] = {}

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        server = f"http://{self.headers['Host']}"
        if self.path == "/api/repos/create":
            return self._answer({"url": f"{server}/ann/kept"})
        if self.path == "/api/validate-yaml":
            return self._answer({"errors": [], "warnings": []})
        if "/preupload/" in self.path:
            paths = [file["path"] for file in json.loads(body)["files"]]
            modes = {"uploadMode": "regular", "shouldIgnore": False}
            return self._answer({"files": [{"path": path, **modes} for path in paths]})
        for line in map(json.loads, body.splitlines()):
            if line["key"] == "file":
                self.files[line["value"]["path"]] = base64.b64decode(line["value"]["content"])
        commit = {"commitUrl": f"{server}/ann/kept/commit/0", "commitOid": "0" * 40}
        return self._answer({**commit, "success": True})

    def do_GET(self) -> None:
        self._answer({"id": "ann/kept", "sha": "0" * 40, "siblings": []})

    def _answer(self, value: dict) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def files(monkeypatch):
    """The files that a fake Hub has received."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), StandIn)
    Thread(target=server.serve_forever, daemon=True).start()
    api = HfApi(endpoint=f"http://127.0.0.1:{server.server_port}", token="none")
    monkeypatch.setattr(hub, "_hf_api", api)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(StandIn, "files", {})
    yield StandIn.files
    server.shutdown()
    server.server_close()


def test_the_policy_is_uploaded_with_its_card_and_nothing_of_the_value_model(tmp_path, files):
    settings = {"hub_model_id": "ann/kept", "save_strategy": "steps", "save_steps": 1}
    trainer = made(tmp_path, value_model=toy.reward_model(), **settings)
    trainer.train()
    trainer.push_to_hub(dataset_name="ann/prompts")
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md"} <= set(files)
    assert not any("ppo.safetensors" in name or "checkpoint" in name for name in files)
    names = files["model.safetensors"][
        8 : 8 + int.from_bytes(files["model.safetensors"][:8], "little")
    ]
    assert b"value" not in names and b"score" not in names
    card = ModelCard(files["README.md"].decode())
    assert card.data.datasets == ["ann/prompts"] and "ppo" in card.data.tags
    assert card.data.library_name == "transformers"
    assert "| β | 0.05 |" in card.text and "| reward | reward |" in card.text
    assert "| KL from the reference, nats | 0.0" in card.text


def test_the_card_takes_the_arguments_of_trl_and_shows_no_path_or_key(tmp_path, monkeypatch):
    words = """/home/ann/ppo.py --output_dir /home/ann/out --hub_token abc123 --hub-token=abc123
        --wandb_api_key abc123 --data=/home/ann/own.json --stop_token eos hf_abc123"""
    monkeypatch.setattr(sys, "argv", words.split())
    tagged = type("Tagged", (PPOTrainer,), {"_tag_names": ["of-the-subclass"]})
    trainer = made(tmp_path, cls=tagged)
    trainer.create_model_card(model_name="<b>kept", dataset_name="/home/ann/own.json", tags="own")
    text = (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    assert {"own", "of-the-subclass"} <= {
        *ModelCard(text).data.tags
    } and "Nothing was logged." in text
    shown = """python ppo.py --output_dir out --hub_token … --hub-token=…
        --wandb_api_key … --data=own.json --stop_token eos …"""
    assert " ".join(shown.split()) in text.replace("'", "")
    for private in ("/home", "abc123", "<b>", str(tmp_path)):
        assert private not in text
