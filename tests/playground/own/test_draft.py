"""The files of a task from what a visitor pasted or dropped."""

from __future__ import annotations

import random

import pytest

from playground.own.archive import BadFiles, packed, unpacked
from playground.own.draft import Draft, files_of


@pytest.mark.parametrize("header", ["prompt,chosen,rejected", "prompt; chosen; rejected"])
@pytest.mark.parametrize("first", ["", "\n", "sep=;\n"])
def test_a_dropped_table_of_pairs_is_known_by_its_columns(header, first):
    if ";" in first and ";" not in header:
        header = header.replace(",", ";")
    content = f"{first}{header}\n".encode("utf-8-sig")
    files, _ = files_of(Draft(), {"Pairs.CSV": content}, {}, 10_000)
    assert files["Pairs.CSV"] == content
    assert '[preferences]\nfile = "Pairs.CSV"' in files["task.toml"].decode()


def test_a_damaged_archive_is_refused_whatever_is_damaged():
    whole = packed({"task.toml": b"title = 1\n" * 9, "prompts.txt": b"a\nb\nc\n"}, "task")
    rng = random.Random(0)
    refused = 0
    for _ in range(1000):
        damaged = bytearray(whole)
        for _ in range(3):
            damaged[rng.randrange(len(whole))] = rng.randrange(256)
        try:
            unpacked("task.zip", bytes(damaged), 10_000)
        except BadFiles:
            refused += 1
    assert refused > 500
