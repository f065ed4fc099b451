"""Shared parts of benchmarks: child processes, the machine's description, sections of documents.

A section of a document is the text between <!-- name --> and <!-- end of name -->.
"""

from __future__ import annotations

import json
import os
import platform
import re
import statistics
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
THREADS = 2  # of torch, in every timed run


def child(module: str, *options: str, **environment: str) -> Any:
    """The last line that `python -m module options` prints, parsed as JSON."""
    process = subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env={"OMP_NUM_THREADS": str(THREADS), **os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(process.stdout.splitlines()[-1])


def machine(threads: int = THREADS) -> str:
    """The processor, threads, system and library versions of a measurement."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        cpu = names[0] if names else cpu
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    used = f"{threads} thread{'s' * (threads > 1)} of {os.cpu_count()} cores"
    return f"{used} ({cpu}), {platform.system()}; {libraries}"


def section(page: Path, name: str) -> str:
    """The text of a section. Raises ValueError if the document has none of this name."""
    match = _pattern(name).search(page.read_text())
    if match is None:
        raise ValueError(f"{page} has no section {name!r}")
    return match[2]


def write_section(page: Path, name: str, text: str) -> None:
    """Replace the text of a section. Raises ValueError if the document has none of this name."""
    section(page, name)
    page.write_text(_pattern(name).sub(lambda match: match[1] + text + match[3], page.read_text()))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: list[float | None], digits: int) -> str:
    """ "median (lowest–highest)" of the values that are not None; "–" if all are."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    median, low, high = statistics.median(known), min(known), max(known)
    extremes = f" ({low:.{digits}f}–{high:.{digits}f})" if len(known) > 1 else ""
    return f"{median:.{digits}f}{extremes}"


def _pattern(name: str) -> re.Pattern:
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- end of {name} -->)", re.DOTALL)
