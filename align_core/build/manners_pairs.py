"""Samples preference pairs of the reference of the task `manners`, and stores them in the assets.

    python -m align_core.build.manners_pairs

It takes a quarter of an hour on two cores. Without these pairs each run would sample its own first.
"""

from __future__ import annotations

import pyarrow
import pyarrow.parquet

from align_core.config import model_index
from align_core.models.libraries import silence_libraries
from align_core.models.loading import load_policy, load_tokenizer
from align_core.models.sampled_pairs import sampled_pairs
from align_core.tasks import load_task

PAIRS = 640  # as many as the default reward model learns from
SEED = 0
# Of eight texts the raters see the two that differ most: from a few hundred such pairs DPO learns
# twice as much as from pairs of two random texts (docs/notes.md).
CANDIDATES = 8


def main() -> None:
    silence_libraries()
    task = load_task("manners")
    assert task.reference is not None  # its card names one
    policy, tokenizer = load_policy(task.reference), load_tokenizer(task.reference)
    pairs = sampled_pairs(
        policy, tokenizer, task, PAIRS, SEED, progress=print, candidates=CANDIDATES
    )
    pool = model_index.preference_pool(task.name)
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(pairs), pool, compression="zstd")


if __name__ == "__main__":
    main()
