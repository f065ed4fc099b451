"""The export of a Space: its files, its front matter for the Hub, and its commands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

from playground import space

ROOT = Path(__file__).parents[2]
# https://huggingface.co/docs/hub/spaces-config-reference and spaces-zerogpu
COLOURS = {"red", "yellow", "green", "blue", "indigo", "purple", "pink", "gray"}
KEYS = {
    *("title", "emoji", "colorFrom", "colorTo", "sdk", "sdk_version", "python_version", "app_file"),
    *("app_port", "short_description", "tags", "license", "header", "fullWidth"),
    "suggested_hardware",
}
ZERO_GPU_PYTHONS = {"3.10", "3.12"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folders = {kind: tmp_path_factory.mktemp(kind) / "out" for kind in space.VARIANTS}
    for kind, folder in folders.items():
        space.export(kind, folder)
    return folders


def front_matter(folder):
    _, head, body = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return yaml.safe_load(head), body


def test_the_front_matter_of_each_variant_keeps_the_hubs_rules(exported):
    gradio = next(
        Requirement(line)
        for line in (ROOT / "requirements.txt").read_text().splitlines()
        if line.startswith("gradio")
    )
    for kind, folder in exported.items():
        fields, body = front_matter(folder)
        assert fields.keys() <= KEYS, kind
        assert len(fields["short_description"]) <= 60, kind
        assert {fields["colorFrom"], fields["colorTo"]} <= COLOURS, kind
        assert fields["license"] == "apache-2.0" and (folder / "LICENSE").exists(), kind
        assert fields["sdk"] == space.VARIANTS[kind].sdk, kind
        assert fields["suggested_hardware"] == space.VARIANTS[kind].hardware, kind
        assert body.strip().startswith("# Alignment Playground"), kind
        assert "](docs/" not in body, kind
        if kind == "docker":
            assert fields["app_port"] == 7860 and "app_file" not in fields
            assert (folder / "Dockerfile").exists()
        else:
            assert gradio.specifier.contains(fields["sdk_version"]), kind
            assert fields["python_version"] in ZERO_GPU_PYTHONS, kind
            assert (folder / fields["app_file"]).exists(), kind


def test_the_tree_has_the_page_and_no_tests_benchmarks_or_pictures(exported):
    tracked = subprocess.run(
        ["git", "ls-files", "align_core", "playground", "assets"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    for folder in exported.values():
        files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
        assert files - set(tracked) == {
            *("app.py", "requirements.txt", "LICENSE", "NOTICE", "README.md"),
            *("Dockerfile", ".dockerignore", ".gitattributes"),
        }
        assert set(tracked) <= files


def test_binary_files_are_tracked_by_git_lfs(exported):
    folder = exported["zerogpu"]
    environment = os.environ | {"GIT_CEILING_DIRECTORIES": str(folder.parent)}
    subprocess.run(["git", "init", "-q"], cwd=folder, env=environment, check=True)
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()]
    paths = [path for path in paths if not path.startswith(".git/")]
    answer = subprocess.run(
        ["git", "check-attr", "filter", *paths], cwd=folder, capture_output=True, text=True
    ).stdout
    tracked = set(re.findall("^(.*): filter: lfs$", answer, re.MULTILINE))
    assert tracked == {path for path in paths if b"\0" in (folder / path).read_bytes()}


def test_a_binary_that_git_lfs_would_not_track_is_refused(tmp_path):
    (tmp_path / "app.py").write_text("print()")
    assert space._checked_size(tmp_path) == len("print()")
    (tmp_path / "model.bin").write_bytes(b"PK\0")
    with pytest.raises(space.ExportError, match=r"\*\.safetensors, .*; model\.bin is binary"):
        space._checked_size(tmp_path)


def test_the_commands_name_the_space_and_its_folder(tmp_path, capsys):
    out = tmp_path / "new" / "space"
    assert space.main(["--docker", "--name", "ada/align", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.fullmatch(rf"{out}: \d\d\.\d MB\. To create the Space and fill it:", lines[0])
    assert lines[2] == (
        "hf repos create ada/align --type space --space-sdk docker --flavor cpu-basic --public"
    )
    assert lines[-1] == f"hf upload ada/align {out} . --repo-type space"


def test_bad_input_writes_nothing(tmp_path, capsys):
    (tmp_path / "mine").write_text("kept")
    assert space.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err == f"OUT: expected a new or empty folder, got {tmp_path}\n"
    assert space.main(["--name", "no name", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err == "--name: expected ME/NAME, got 'no name'\n"
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_outside_of_a_checkout_there_is_nothing_to_export(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(space, "ROOT", tmp_path)
    assert space.main([str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.startswith(
        "expected a checkout of the project; not tracked: align_core, "
    )


def test_a_zero_gpu_space_declares_a_function_and_hides_the_gpu_from_its_children(tmp_path):
    (tmp_path / "spaces.py").write_text("declared = []\ndef GPU(f):\n    declared.append(f)\n")
    script = (
        "import os, sys, spaces, playground.zero_gpu\n"
        "assert [f.__name__ for f in spaces.declared] == ['unused']\n"
        "assert os.environ['CUDA_VISIBLE_DEVICES'] == ''\n"
        "assert not {'torch', 'gradio'} & sys.modules.keys()\n"
    )
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
