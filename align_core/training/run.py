"""A run from its configuration to its model: load, build, train, evaluate, save."""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import transformers
from transformers import PreTrainedModel, PrinterCallback, Trainer

from align_core.config.messages import Message, plain, to_event
from align_core.config.methods import methods
from align_core.config.model_size import distance_texts
from align_core.config.run_config import RunConfig
from align_core.models import distributed
from align_core.models.libraries import silence_libraries
from align_core.models.loading import save_model
from align_core.models.precision import default_precision, use_bfloat16
from align_core.models.sampling import Interrupted
from align_core.runs.control import Control
from align_core.runs.directory import RunDirectory
from align_core.runs.events import settings_at
from align_core.trainers.common import NonFinite, Setup
from align_core.trainers.ppo.scores import NonFiniteReward
from align_core.training import checkpoints
from align_core.training.callback import RunCallback, Write
from align_core.training.distance import distance
from align_core.training.measures import measure_of
from align_core.training.setup import prepare


def run(
    config: RunConfig,
    directory: RunDirectory,
    control: Control,
    resume: bool = False,
    on_event: Callable[[dict[str, Any]], None] | None = None,
) -> str:
    """Execute a run, writing its events and its model to `directory`.

    Returns "finished", "stopped" or "failed" (the loss, a gradient or a reward was not finite, or
    the trainer did not log its last step). The model is always saved; for a failed run it is that
    of the last finite step.

    Raises:
        ConfigError: invalid content of a file.
    """
    silence_libraries()
    method, started = methods()[config.method], time.monotonic()
    updates_per_step, build = method.updates_per_step(config.batch_size), method.builder()

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

    deadline = started + (config.time_limit or math.inf)

    def interrupted() -> bool:
        return control.stop_requested or time.monotonic() >= deadline

    setup = prepare(config, directory, write, interrupted)
    trainer = build(setup)
    _set_precision(config, trainer, setup.reference)
    if resume and hasattr(trainer, "beta"):
        trainer.beta = settings_at(config.model_dump(), directory.events()[0])["beta"]
    measure = measure_of(setup, trainer, control)
    callback = RunCallback(
        trainer,
        control,
        write,
        measure,
        updates_per_step=updates_per_step,
        eval_every=config.eval_every,
        deadline=deadline,
    )
    trainer.add_callback(callback)
    trainer.remove_callback(PrinterCallback)  # standard output belongs to the command line
    resumed = {"resume_from_checkpoint": str(checkpoint) if checkpoint else None}
    status, message = _train(trainer, callback, config, updates_per_step, **resumed)
    step = trainer.state.global_step // updates_per_step
    with measure.unsharded():
        if directory.writes:
            save_model(measure.model, setup.tokenizer, directory.model_path)
        distributed.leave_process_group()
        if directory.writes:
            beta = getattr(trainer, "beta", None)
            write_status = partial(write, "status", step, status=status, **to_event(message))
            write_distance = partial(_write_distance, setup, measure.model, beta, write, step)
            _write_end(status, callback, write_status, write_distance)
            if status == "finished":
                checkpoints.delete(directory)
    return status


def _write_end(
    status: str,
    callback: RunCallback,
    write_status: Callable[[], None],
    write_distance: Callable[..., None],
) -> None:
    """Write the final status of a run whose model is saved and, unless it failed, the distance of
    the model from the optimum.

    On a stop, the final status comes first, and then the model is evaluated; another stop skips the
    evaluation.
    """
    if status == "finished":
        write_distance(announced=True)
    write_status()
    if status == "stopped":
        with contextlib.suppress(KeyboardInterrupt):
            if callback.measure():
                write_distance(announced=False)
                write_status()


def _write_distance(
    setup: Setup,
    policy: PreTrainedModel,
    beta: float | None,
    write: Write,
    step: int,
    announced: bool,
) -> None:
    """Measure how far the policy is from the optimum at β, and write it, if the optimum is known;
    if `announced`, write first that it is being measured."""
    texts = distance_texts(setup.config.model_dump())
    if not (texts and beta):
        return
    if announced:
        write("phase", step, phase="measuring", count=2 * texts * setup.config.eval_prompts)
    with contextlib.suppress(Interrupted):
        if sides := distance(setup, policy, beta, texts):
            write("distance", step, distance=sides)


def _set_precision(config: RunConfig, trainer: Trainer, reference: PreTrainedModel | None) -> None:
    """Compute policy and reference in the configured precision, or the default for their size."""
    precision = config.precision or default_precision(trainer.model, trainer.args.device)
    if precision == "bfloat16" and distributed.SHARDED_BY is None:
        use_bfloat16(trainer.model)
        if reference is not None:
            use_bfloat16(reference)


def _train(
    trainer: Trainer,
    callback: RunCallback,
    config: RunConfig,
    updates_per_step: int,
    **resumed: Any,
) -> tuple[str, Message]:
    """Train until the run ends; returns its final status and the message for it."""
    try:
        trainer.train(**resumed)
    except NonFinite as error:
        return "failed", _advice(error, trainer.state.global_step // updates_per_step + 1, config)
    if callback.stop_reason is not None:
        return "stopped", callback.stop_reason
    if not callback.measured:
        step = trainer.state.global_step // updates_per_step
        line = (
            f"Expected {type(trainer).__name__} to log the loss of every step, got none for step "
            f"{step}, so the final model was not measured. Construct it with **setup.arguments"
        )
        return "failed", plain(line)
    return "finished", plain("")


def _advice(error: NonFinite, step: int, config: RunConfig) -> Message:
    """The message for a run that failed in this step: the cause, and settings to try."""
    tries = [f"a learning rate below {config.learning_rate:g}"]
    if config.beta is not None:
        tries.append(f"a beta above {config.beta:g}")
    settings = {"learning_rate": config.learning_rate, "beta": config.beta}
    if isinstance(error, NonFiniteReward):  # training does not change the reward model
        tries, settings = ["another reward model"], {}
    line = (
        f"Stopped in step {step}, before the update: {error}. The model of the last "
        f"good step is kept. Try {' or '.join(tries)}."
    )
    return Message("not_finite", {"step": step, "what": to_event(error.message), **settings}, line)
