"""The environment variables that libraries read at their import."""

from __future__ import annotations

import os
import runpy

from align_core.config import environment
from align_core.config.environment import set_library_environment


def test_the_variables_for_libraries_yield_to_the_users(monkeypatch):
    monkeypatch.setattr(os, "environ", {"HF_HUB_OFFLINE": "0"})
    set_library_environment()
    assert os.environ == {
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_OFFLINE": "0",
        "TOKENIZERS_PARALLELISM": "false",
        "GOMP_SPINCOUNT": "3000",
    }


def test_a_run_uses_two_threads_at_most(monkeypatch):
    for cores, threads in ((8, 2), (2, 2), (1, 1), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda cores=cores: cores)
        assert runpy.run_path(environment.__file__)["THREADS"] == threads
