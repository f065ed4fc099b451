"""The libraries that models stand on, as this project wants them."""

from __future__ import annotations

import logging

import datasets
import transformers


def quieten_libraries() -> None:
    """No progress bar and no warning of a library stands beside what is printed here."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    logging.getLogger("trl").setLevel(logging.ERROR)
