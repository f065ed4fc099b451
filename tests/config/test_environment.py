"""What the libraries are told before they are imported."""

from __future__ import annotations

import os

from align_core.config.environment import THREADS, set_library_environment


def test_the_libraries_are_told_unless_the_user_says_otherwise(monkeypatch):
    monkeypatch.setattr(os, "environ", {"HF_HUB_OFFLINE": "0"})
    set_library_environment()
    assert os.environ == {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "GOMP_SPINCOUNT": "3000",
    }


def test_a_run_takes_two_threads_at_most():
    assert min(2, os.cpu_count() or 1) == THREADS
