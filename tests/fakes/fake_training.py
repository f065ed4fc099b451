"""Stands in for `align_core.training.run`: the same events and commands, without a model.

The seed of the configuration selects what happens.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
import time

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from tests.own_thread import only_here

PLAIN, RAISES, DEAF, EXITS, DISK_FULL, DIVERGES, BAD_INPUT, LINGERS, MEASURES, QUITS = range(10)
BAD_MODEL, PRESSES_CTRL_C = 10, 11


def run(config, directory, control, resume=False, on_event=None):
    began = time.monotonic()

    def record(kind, step, **content):
        seconds = time.monotonic() - began
        event = {"kind": kind, "step": step, "seconds": seconds, **content}
        directory.append(event)
        if on_event is not None:
            on_event(event)

    def status(step, name, message=""):
        record("status", step, status=name, message=message)
        return name

    first, paused = 1, False
    if resume:
        first = 4
        record("resume", first - 1)
    status(first - 1, "running")
    if config.seed == BAD_MODEL:
        misbehave(BAD_INPUT, status)
    for step in range(first, config.steps + 1):
        commands = control.pending()
        while commands or paused:
            command = commands.pop(0) if commands else control.wait()
            if command["command"] == "stop" and config.seed != DEAF:
                directory.model_path.mkdir(exist_ok=True)
                status(step - 1, "stopped", command.get("reason", plain("")).text)
                if config.seed == MEASURES:
                    control.wait()  # for a second stop
                return "stopped"
            if command["command"] == "set":
                settings = {k: command[k] for k in ("beta", "learning_rate") if k in command}
                if settings:
                    record("change", step - 1, settings=settings)
            if command["command"] == "step":
                break
            if command["command"] in ("pause", "resume"):
                paused = command["command"] == "pause"
                status(step - 1, "paused" if paused else "running")
        if step == 3:
            misbehave(config.seed, status)
        if step == 3 and config.seed == DIVERGES:
            return status(step, "failed", "step 3: the loss is NaN; try a smaller learning rate")
        record("metrics", step, metrics={"loss": 1 / step, "eval/kl": 0.1 * step})
        time.sleep(0.002)
    directory.model_path.mkdir(exist_ok=True)
    status(config.steps, "finished")
    if config.seed == LINGERS:
        control.wait()  # for the stop that makes room for another run
    return "finished"


def misbehave(scenario, status):
    if scenario == RAISES:
        raise ZeroDivisionError("the fake\nbroke")
    if scenario == BAD_INPUT:
        raise ConfigError(plain("--model got 'x', expected a model that loads"))
    if scenario == EXITS:
        os._exit(3)
    if scenario == QUITS:
        sys.exit(0)
    if scenario == PRESSES_CTRL_C:
        signal.raise_signal(signal.SIGINT)
    if scenario == DISK_FULL:

        def refuse(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        os.write = only_here(refuse, os.write)
