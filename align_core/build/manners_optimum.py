"""Copies prepared samples of the reference of the task `manners` into the assets.

    align-core prepare --task manners --prompts 12
    python -m align_core.build.manners_optimum

The first command takes ten minutes on two cores. The reference itself is downloaded, not embedded.
With the samples, a run's gain and efficiency are known on any machine, and recorded runs are drawn
with their optimum.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

from align_core.config import model_index
from align_core.config.digests import file_digest
from align_core.evaluation import prepared

SAMPLES, PROMPTS, SEED = 512, 12, 0  # as many prompts as a default run is evaluated on


def main() -> None:
    task, reference = "manners", model_index.SMOLLM2
    entry = prepared.entry(task, reference, SAMPLES, PROMPTS, SEED)
    if not entry.complete:
        sys.exit(f"expected the samples of align-core prepare in {entry.path}, got none")
    shipped = prepared.shipped_folder(task)
    shutil.copytree(entry.path, shipped, dirs_exist_ok=True)
    tokenizer = json.loads((shipped / prepared.TOKENIZER).read_text(encoding="utf-8"))
    _write(shipped / prepared.TOKENIZER, tokenizer, indent=None)  # the file is then a third smaller
    weights = file_digest(Path(model_index.locate(reference)) / prepared.WEIGHTS)
    _write(shipped / prepared.FACTS, entry.facts() | {"weights": weights}, indent=1)


def _write(file: Path, content: dict[str, Any], indent: int | None) -> None:
    text = json.dumps(content, indent=indent, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
