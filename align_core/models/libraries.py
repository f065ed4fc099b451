"""Set-up of the libraries that models are built on."""

from __future__ import annotations

import logging
import warnings

import datasets
import transformers


def silence_libraries() -> None:
    """Turn off progress bars and warnings of the libraries, which would mix with our output."""
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    datasets.disable_progress_bars()
    for library in ("trl", "huggingface_hub"):
        logging.getLogger(library).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module=r"(transformers|peft)\.")
