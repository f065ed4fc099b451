"""One run from its configuration to its model: load, build, train, measure, save."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from typing import Any

import transformers
from transformers import Trainer

from align_core.config.messages import Message, in_event, plain
from align_core.config.methods import methods
from align_core.config.run_config import RunConfig
from align_core.models import distributed
from align_core.models.libraries import quieten_libraries
from align_core.models.loading import save_model
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.runs.events import turned
from align_core.trainers.common import NonFinite
from align_core.training import checkpoints
from align_core.training.callback import RunCallback
from align_core.training.measures import measure_of
from align_core.training.setup import prepare


def run(
    config: RunConfig,
    directory: RunDirectory,
    control: Control,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> str:
    """Execute a run; its events and its model go to `directory`.

    Returns "finished", "stopped" (the model is kept) or "failed" (the loss or a gradient was not
    finite; the last good model is kept). Raises ConfigError for bad input that only a look inside
    a file could tell.
    """
    quieten_libraries()
    method, started = methods()[config.method], time.monotonic()
    updates_per_step = method.updates_per_step(config.batch_size)

    def write(kind: str, step: int, **payload: Any) -> None:
        event = {"kind": kind, "step": step, "seconds": time.monotonic() - started, **payload}
        directory.append(event)
        if on_event is not None:
            on_event(event)

    checkpoint = checkpoints.last(directory) if resume else None
    step = checkpoints.update_of(checkpoint) // updates_per_step
    if resume:
        write("resume", step)
    write("status", step, status="running", message="")
    transformers.set_seed(config.seed)

    setup = prepare(config, checkpoints.folder(directory), control, write)
    trainer = method.builder()(setup)
    measure = measure_of(setup, trainer, control)
    if resume and hasattr(trainer, "beta"):
        trainer.beta = turned(config.model_dump(), directory.events()[0])["beta"]
    callback = RunCallback(
        trainer,
        control,
        write,
        measure,
        updates_per_step=updates_per_step,
        eval_every=config.eval_every,
        deadline=started + (config.time_limit or math.inf),
    )
    trainer.add_callback(callback)
    resumed = {"resume_from_checkpoint": str(checkpoint) if checkpoint else None}
    status, message = _train(trainer, callback, config, updates_per_step, **resumed)
    ended = {"status": status, **in_event(message)}
    with measure.whole():
        if directory.writes:
            save_model(measure.model, setup.tokenizer, directory.model_path)
        distributed.part()
        step = trainer.state.global_step // updates_per_step
        write("status", step, **ended)
        # A stop is told at once, and then what it kept is measured; a further stop cuts that short.
        if status == "stopped" and directory.writes:
            with contextlib.suppress(KeyboardInterrupt):
                if callback.measure():
                    write("status", step, **ended)
    return status


def _train(
    trainer: Trainer,
    callback: RunCallback,
    config: RunConfig,
    updates_per_step: int,
    **resumed: Any,
) -> tuple[str, Message]:
    """Train to the end, whatever that is: the last status of the run, and its message."""
    try:
        trainer.train(**resumed)
    except NonFinite as error:
        return "failed", _advice(error, trainer.state.global_step // updates_per_step + 1, config)
    if callback.stop_reason is None:
        return "finished", plain("")
    return "stopped", callback.stop_reason


def _advice(error: NonFinite, step: int, config: RunConfig) -> Message:
    tries = [f"a learning rate below {config.learning_rate:g}"]
    if config.beta is not None:
        tries.append(f"a beta above {config.beta:g}")
    line = (
        f"Stopped in step {step}, before the weights were spoilt: {error}. The model of the last "
        f"good step is kept. Try {' or '.join(tries)}."
    )
    settings = {"learning_rate": config.learning_rate, "beta": config.beta}
    return Message("not_finite", {"step": step, "what": in_event(error.line), **settings}, line)
