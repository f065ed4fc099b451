"""Imported by the forkserver in advance, so that a run's process starts with all of this loaded."""

import gc

import datasets  # noqa: F401
import peft  # noqa: F401
import torch  # noqa: F401
import transformers  # noqa: F401
import trl  # noqa: F401

from align_core.config.task_card import BUILT_IN
from align_core.inference import server  # noqa: F401
from align_core.tasks import load_task
from align_core.trainers import dpo, reward, sft  # noqa: F401
from align_core.training import run  # noqa: F401

for name in BUILT_IN:  # generating their prompts takes a while
    load_task(name)

# Trainer collects garbage several times a run. In the forked processes these collections then skip
# the objects that exist now, so that their memory stays shared.
gc.freeze()
