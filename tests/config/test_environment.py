"""The environment variables that libraries read at their import."""

from __future__ import annotations

import os

from align_core.config.environment import THREADS, set_library_environment


def test_the_variables_for_libraries_yield_to_the_users(monkeypatch):
    monkeypatch.setattr(os, "environ", {"HF_HUB_OFFLINE": "0"})
    set_library_environment()
    assert os.environ == {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "GOMP_SPINCOUNT": "3000",
    }


def test_a_run_uses_two_threads_at_most():
    assert min(2, os.cpu_count() or 1) == THREADS
