"""Export the project as a Hugging Face Space, ready to upload.

    python -m playground.space [--zerogpu | --cpu | --docker] [--name ME/NAME] OUT

OUT, a new or empty folder, gets the tracked files that the page needs, with the front matter and
the `.gitattributes` of a Space. The printed commands create the Space and upload the files.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXPORTED = (
    *("align_core", "assets", "playground", "app.py", "requirements.txt"),
    *("Dockerfile", ".dockerignore", "LICENSE", "NOTICE"),
)
BINARY = ("*.safetensors", "*.parquet", "*.npz", "*.png", "*.gif", "*.woff2")  # in git LFS
_MAX_BYTES = 100_000_000
_FRONT_MATTER = re.compile(r"---\n(.*?)---\n(.*)", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}", re.ASCII)


@dataclass(frozen=True)
class Variant:
    """A kind of Space: its SDK, its hardware, and additions to its front matter."""

    sdk: str
    hardware: str
    front_matter: tuple[str, ...] = ()


VARIANTS = {
    "zerogpu": Variant("gradio", "zero-a10g"),
    "cpu": Variant("gradio", "cpu-basic"),
    "docker": Variant("docker", "cpu-basic", ("app_port: 7860",)),
}
_GRADIO_ONLY = ("sdk_version", "python_version", "app_file")


class ExportError(Exception):
    """The Space cannot be exported; the message is one line for users."""


def export(variant: str, out: Path) -> int:
    """Write the files of the Space to `out`; returns their size in bytes.

    Raises:
        ExportError: this is not a checkout, `out` is not an empty folder, or a check failed;
            nothing is written.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ExportError(f"OUT: expected a new or empty folder, got {out}")
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=".space-") as staging:
        tree = Path(staging, "tree")
        for name in _tracked():
            target = tree / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, target)
        (tree / "README.md").write_text(_readme(VARIANTS[variant]), encoding="utf-8")
        attributes = [f"{pattern} filter=lfs diff=lfs merge=lfs -text\n" for pattern in BINARY]
        (tree / ".gitattributes").write_text("".join(attributes), encoding="utf-8")
        size = _checked_size(tree)
        if out.exists():
            out.rmdir()
        tree.rename(out)
    return size


def commands(variant: str, name: str, out: Path) -> list[str]:
    """The commands that create the Space `name`, set the presenter's key, and upload `out`."""
    kind = VARIANTS[variant]
    return [
        f"hf repos create {name} --type space --space-sdk {kind.sdk} --flavor {kind.hardware}"
        " --public",
        "export PLAYGROUND_PRESENTER_KEY=$(python -c 'import secrets; "
        "print(secrets.token_urlsafe(12))') && echo $PLAYGROUND_PRESENTER_KEY",
        f"hf spaces secrets add {name} -s PLAYGROUND_PRESENTER_KEY",
        f"hf upload {name} {out} . --repo-type space",
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    """Export the Space and print the next commands; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m playground.space", allow_abbrev=False)
    kinds = parser.add_mutually_exclusive_group()
    for variant, help_text in (
        ("zerogpu", "for a free account (the default); models train on the Space's CPU"),
        ("cpu", "Gradio on a CPU, which needs a paid account"),
        ("docker", "the project's Dockerfile, which needs a paid account"),
    ):
        kinds.add_argument(
            f"--{variant}", dest="variant", action="store_const", const=variant, help=help_text
        )
    parser.add_argument("--name", default="ME/alignment-playground", help="ME/NAME on the Hub")
    parser.add_argument("out", metavar="OUT", type=Path, help="a new or empty folder")
    parser.set_defaults(variant="zerogpu")
    options = parser.parse_args(arguments)
    if not _NAME.fullmatch(options.name):
        print(f"--name: expected ME/NAME, got {options.name!r}", file=sys.stderr)
        return 2
    try:
        size = export(options.variant, options.out)
    except (ExportError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{options.out}: {size / 1e6:.1f} MB. To create the Space and fill it:\n")
    print("\n".join(commands(options.variant, options.name, options.out)))
    return 0


def _tracked() -> list[str]:
    """The tracked files that a Space needs, as paths relative to the checkout."""
    command = ["git", "ls-files", "-z", "--", *EXPORTED]
    try:
        listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except FileNotFoundError:
        raise ExportError("expected git, to list the tracked files; it was not found") from None
    names = [name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    if missing := [top for top in EXPORTED if not any(n.split("/")[0] == top for n in names)]:
        raise ExportError(f"expected a checkout of the project; not tracked: {', '.join(missing)}")
    return names


def _readme(variant: Variant) -> str:
    """The README of the Space: its front matter, and the introduction without pictures."""
    parts = _FRONT_MATTER.fullmatch((ROOT / "README.md").read_text(encoding="utf-8"))
    if parts is None:
        raise ExportError("expected README.md to begin with front matter between two lines of ---")
    lines = [
        f"sdk: {variant.sdk}" if line.startswith("sdk:") else line for line in parts[1].splitlines()
    ]
    if variant.sdk != "gradio":
        lines = [line for line in lines if line.split(":")[0] not in _GRADIO_ONLY]
    lines += [*variant.front_matter, f"suggested_hardware: {variant.hardware}"]
    introduction = parts[2].split("\n## ")[0]
    paragraphs = [part for part in introduction.strip().split("\n\n") if "](docs/" not in part]
    return "\n".join(["---", *lines, "---", "", "\n\n".join(paragraphs), ""])


def _checked_size(tree: Path) -> int:
    """The size of all files, in bytes.

    Raises:
        ExportError: a binary file that git LFS would not track, or too many bytes.
    """
    paths = [path for path in tree.rglob("*") if not path.is_dir()]
    for path in paths:
        if f"*{path.suffix}" not in BINARY and b"\0" in path.read_bytes():
            name = path.relative_to(tree)
            raise ExportError(f"expected text or one of {', '.join(BINARY)}; {name} is binary")
    size = sum(path.stat().st_size for path in paths)
    if size > _MAX_BYTES:
        raise ExportError(f"expected at most {_MAX_BYTES / 1e6:.0f} MB, got {size / 1e6:.1f} MB")
    return size


if __name__ == "__main__":
    sys.exit(main())
