"""The generation config of a policy that is to be saved.

transformers refuses to save a contradictory config that was changed after it was loaded. Trainer
changes its padding token, so a run could not save its model.
"""

from __future__ import annotations

from transformers import GenerationConfig


def contradiction(config: GenerationConfig | None) -> str | None:
    """Why the config could not be saved after a change, in one line; None if it could."""
    try:
        if config is not None:
            config.validate(strict=True)
    except ValueError as error:
        return " ".join(str(error).split())
    return None


def let_sample(config: GenerationConfig | None) -> None:
    """Set `do_sample` in a published config that has a temperature or top-p but no `do_sample`."""
    if config is not None and contradiction(config):
        config.do_sample = True
