"""The commands that fetch models."""

from __future__ import annotations

import numpy as np
import pytest
from safetensors.numpy import save_file

from align_core.cli import main as cli
from align_core.config.model_index import SMOLLM2_HUB_ID
from align_core.config.run_config import resolve
from align_core.models import fetching


@pytest.fixture
def main(fake_assets, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))

    def main(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return main


def test_fetch_reports_the_folder_the_licence_and_the_weights(main, tmp_path, monkeypatch):
    monkeypatch.setattr(fetching, "fetch_smollm2", lambda tell: tell("Fetching") or "4-bit weights")
    where = tmp_path / "cache" / "models" / "smollm2"
    line = f"smollm2 is in {where}: {SMOLLM2_HUB_ID}, licence apache-2.0; 4-bit weights\n"
    assert main("fetch", "smollm2") == (0, line, "Fetching\n")
    where.mkdir(parents=True)
    monkeypatch.delattr(fetching, "fetch_smollm2")
    assert main("fetch", "smollm2") == (0, f"smollm2 is in {where}\n", "")


def test_fetch_fails_in_one_line(main, monkeypatch):
    def fails(tell):
        raise fetching.FetchError("no network")

    monkeypatch.setattr(fetching, "fetch_smollm2", fails)
    assert main("fetch", "smollm2") == (1, "", "no network\n")


@pytest.mark.parametrize("name", [[], ["pretrained"], ["../smollm2"]])
def test_nothing_else_is_fetched(main, name):
    code, out, err = main("fetch", *name)
    assert (code, out) == (2, "")
    assert err.startswith("NAME got ") and err.endswith(", expected smollm2\n")


def test_a_run_on_an_unfetched_model_names_the_command_for_it(main, tmp_path):
    command = ("train", "dpo", "--task", "reviews", "--model", "smollm2")
    code, out, err = main(*command, "--run-dir", tmp_path / "run")
    assert (code, out) == (2, "")
    assert err.endswith("it is not on this machine yet: align-core fetch smollm2\n")
    assert err.count("\n") == 1 and not (tmp_path / "run").exists()


def test_the_fetched_model_is_named_in_a_configuration(main, tmp_path, monkeypatch):
    fetched = tmp_path / "cache" / "models" / "smollm2"
    fetched.mkdir(parents=True)
    save_file({"weight": np.zeros(1)}, fetched / "model.safetensors")
    (tmp_path / "smollm2").mkdir()
    monkeypatch.chdir(tmp_path)
    assert resolve("dpo", "reviews", model="smollm2").model == "smollm2"
