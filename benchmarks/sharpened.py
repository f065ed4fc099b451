"""What sharpening changes: the references, and the models of SFT from which they were made.

    python -m benchmarks.sharpened            measure, and write docs/benchmarks.md
    python -m benchmarks.sharpened --render   only write docs/benchmarks.md

The numbers are those of Learn's demonstration, in assets/lessons.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from align_core.build import worked_examples
from align_core.config import model_index
from align_core.config.task_card import BUILT_IN
from benchmarks.common import DOCS, table, write_section

PAGE = DOCS / "benchmarks.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--render", action="store_true", help="only write the page")
    if not parser.parse_args().render:
        for name in BUILT_IN:
            worked_examples.save_demonstration(name)
    write_section(PAGE, "sharpened", render(effects()))


def effects() -> dict[str, dict[str, Any]]:
    """The recorded effect on each task (align_core.build.sharpness.effect)."""
    lessons = {name: model_index.worked_example(name).read_text("utf-8") for name in BUILT_IN}
    return {name: json.loads(text)["demonstration"]["effect"] for name, text in lessons.items()}


def render(results: dict[str, dict[str, Any]]) -> str:
    """A row for SFT's model and one for the reference of each task."""
    rows = []
    for task, effect in results.items():
        for name, kl in (("sft", "–"), ("reference", f"{effect['kl']:.2f}")):
            measured = effect[name]
            cells = [
                f"{measured['gold']:.2f}",
                f"{measured['entropy']:.2f}",
                f"{measured['whole']:.1%}",
            ]
            label = {"sft": "SFT", "reference": "reference"}[name]
            rows.append([task, label, *cells, f"{measured['cost']:.2f}", kl])
        rows.append([task, "pretrained", "–", "–", "–", f"{effect['pretrained']['cost']:.2f}", "–"])
    head = ["", "model", "gold reward", "entropy of a text", "whole texts"]
    return (
        "Written by `python -m benchmarks.sharpened` from `assets/lessons`, in nats: on the\n"
        "held-out prompts, 4 texts each, and 512 demonstrations that no training has seen.\n\n"
        + table([*head, "cost of a demonstration", "KL(reference ‖ SFT)"], rows)
    )


if __name__ == "__main__":
    main()
