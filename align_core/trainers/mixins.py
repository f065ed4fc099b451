"""The base of mixins of Trainer."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:  # for a type checker a mixin has the members of Trainer
    from transformers import Trainer as TrainerMixin
else:
    TrainerMixin = object

__all__ = ["TrainerMixin"]
