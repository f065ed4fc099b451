"""Which of several processes of one run this is, as torchrun and accelerate put it in the
environment; and that all of them are there."""

from __future__ import annotations

import os
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from align_core.config.errors import ConfigError
from align_core.config.messages import plain

if TYPE_CHECKING:
    from accelerate import Accelerator

RANK = int(os.environ.get("RANK", "0"))
COUNT = int(os.environ.get("WORLD_SIZE", "1"))
# With what each of them has a piece of every model, or of what trains it; None where each has all.
_SHARDING = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
SHARDED_BY = next((n for flag, n in _SHARDING.items() if os.environ.get(flag) == "true"), None)

# What each of several processes gets from torchrun, or from one of the kinds of mpirun.
_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
LEFT_ALONE = (
    "accelerate launch was asked for several processes and started one; "
    "torchrun --nproc-per-node N in its place starts all of them"
)


def left_alone() -> bool:
    """Whether accelerate was to start several processes and started this one only.

    So accelerate 1.15 does without several GPUs: it leaves the others to mpirun. This one is told
    where all would meet (`prepare_simple_launcher_cmd_env` in its utils/launch.py), and no more.
    """
    told = os.environ.keys()
    return {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= told and told.isdisjoint(_RANKS)


def start_all() -> None:
    """Start all processes that accelerate was to start, by torchrun, in place of this one.

    How many they are stands nowhere but in the command line of accelerate, which waits for this
    process. Raises ConfigError where it is not there, and where they are not all for CPUs here.
    """
    import psutil  # which accelerate needs itself

    launcher = " ".join(psutil.Process().parent().cmdline())
    asked = dict(re.findall(r"--num[-_](processes|machines)[= ](\d+)", launcher))
    here = os.environ["ACCELERATE_USE_CPU"] == "True" and asked.get("machines", "1") == "1"
    if not here or "processes" not in asked:
        raise ConfigError(plain(LEFT_ALONE))
    command = [sys.executable, *_TORCHRUN, asked["processes"], *sys.orig_argv[1:]]
    os.execv(sys.executable, command)


def wait_for(path: Path, seconds: float = 60.0) -> None:
    """Until the first process has written this file. Raises TimeoutError."""
    until = time.monotonic() + seconds
    while not path.is_file():
        if time.monotonic() > until:
            raise TimeoutError(f"{path} was not written within {seconds:g} s")
        time.sleep(0.05)


def any_says(accelerator: Accelerator, said: bool) -> bool:
    """Whether this process or another one says so; all are asked at the same moment."""
    if accelerator.num_processes == 1:
        return said
    import torch  # not above: the command line reads this module before anything heavy

    told = torch.tensor(float(said), device=accelerator.device)
    return bool(accelerator.reduce(told, "sum") > 0)


def part() -> None:
    """Leave the others, after the last exchange with them and before the process ends.

    Gloo's thread still lets go of that exchange's tensors, for which it needs the interpreter;
    torch 2.13 ends the group with the interpreter in hand, and waits for that thread for ever.
    """
    import torch  # as above

    if torch.distributed.is_initialized():
        time.sleep(0.5)
        torch.distributed.destroy_process_group()
