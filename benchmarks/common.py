"""What the benchmarks share: children that run, the machine, and the sections they write.

A section of a document stands between <!-- name --> and <!-- end of name -->.
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
THREADS = 2  # of every run that is timed


def child(module: str, *options: str, **environment: str) -> Any:
    """What `python -m module options`, in a process of its own, prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-m", module, *options],
        cwd=ROOT,
        env={"OMP_NUM_THREADS": str(THREADS), **os.environ, **environment},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def machine(threads: int = THREADS) -> str:
    """Where and on what a measurement was made."""
    cpu = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").exists():
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.M)
        cpu = names[0] if names else cpu
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "trl"))
    used = f"{threads} thread{'s' * (threads > 1)} of {os.cpu_count()} cores"
    return f"{used} ({cpu}), {platform.system()}; {libraries}"


def section(page: Path, name: str) -> str:
    """What stands in a section. Raises ValueError where the page has none of this name."""
    found = _pattern(name).search(page.read_text())
    if found is None:
        raise ValueError(f"{page} has no section {name!r}")
    return found[2]


def write_section(page: Path, name: str, text: str) -> None:
    """Put `text` in place of what stands in the section. Raises ValueError where there is none."""
    section(page, name)
    page.write_text(_pattern(name).sub(lambda found: found[1] + text + found[3], page.read_text()))


def table(head: list[str], rows: list[list[str]]) -> str:
    """A table of Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def spread(values: list[float | None], digits: int) -> str:
    """The median, lowest to highest in brackets, of the values that are known."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    middle, low, high = statistics.median(known), min(known), max(known)
    around = f" ({low:.{digits}f}–{high:.{digits}f})" if len(known) > 1 else ""
    return f"{middle:.{digits}f}{around}"


def _pattern(name: str) -> re.Pattern:
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- end of {name} -->)", re.DOTALL)
