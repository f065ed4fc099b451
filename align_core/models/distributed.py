"""Rank and world size of this process, as torchrun and accelerate set them, and how all processes
of a run are started."""

from __future__ import annotations

import math
import os
import re
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from align_core.config.errors import ConfigError
from align_core.config.messages import plain

if TYPE_CHECKING:
    from accelerate import Accelerator

T = TypeVar("T")

RANK = int(os.environ.get("RANK", "0"))
WORLD_SIZE = int(os.environ.get("WORLD_SIZE", "1"))
# The library that shards models or optimiser states over the processes; None if nothing is sharded.
_SHARDING = {"ACCELERATE_USE_FSDP": "FSDP", "ACCELERATE_USE_DEEPSPEED": "DeepSpeed"}
SHARDED_BY = next(
    (name for flag, name in _SHARDING.items() if os.environ.get(flag) == "true"), None
)

# The rank of a process, as torchrun or an mpirun sets it.
_RANKS = ("RANK", "PMI_RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node")
LAUNCHED_ALONE = (
    "accelerate launch was asked for several processes and started one; "
    "use torchrun --nproc-per-node N instead, which starts all of them"
)


def launched_alone() -> bool:
    """Whether accelerate was asked for several processes but started only this one.

    accelerate 1.15 does so without several GPUs: it expects mpirun to start the others, and sets
    MASTER_ADDR but no rank (`prepare_simple_launcher_cmd_env` in its utils/launch.py).
    """
    variables = os.environ.keys()
    return {"ACCELERATE_USE_CPU", "MASTER_ADDR"} <= variables and variables.isdisjoint(_RANKS)


def relaunch_with_torchrun() -> None:
    """Replace this process by torchrun with as many processes as accelerate was asked for.

    Their number is known only from the command line of accelerate, the parent process.

    Raises:
        ConfigError: the command line does not have the number, or some processes are to run on
            GPUs or on other machines.
    """
    import psutil  # a dependency of accelerate

    launcher = " ".join(psutil.Process().parent().cmdline())
    counts = dict(re.findall(r"--num[-_](processes|machines)[= ](\d+)", launcher))
    local_cpus = os.environ["ACCELERATE_USE_CPU"] == "True" and counts.get("machines", "1") == "1"
    if not local_cpus or "processes" not in counts:
        raise ConfigError(plain(LAUNCHED_ALONE))
    command = [sys.executable, *_TORCHRUN, counts["processes"], *sys.orig_argv[1:]]
    os.execv(sys.executable, command)


def wait_for_file(path: Path, seconds: float = 60.0) -> None:
    """Wait until the first process has written this file. Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while not path.is_file():
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {path} within {seconds:g} s, got no file")
        time.sleep(0.05)


def equal_shares(count: int, processes: int) -> list[range]:
    """The rows of each process. All have equally many rows, so some may belong to two processes."""
    size = math.ceil(count / processes)
    starts = (min(process * size, count - size) for process in range(processes))
    return [range(start, start + size) for start in starts]


def share_of(count: int) -> range:
    """This process's share of `count` rows. It is all of them if there is only one process, or if
    there are more processes than rows."""
    import torch  # not at the top: the command line imports this module, and must start quickly

    group = torch.distributed
    processes = group.get_world_size() if group.is_initialized() else 1
    if processes == 1 or count < processes:
        return range(count)
    process = group.get_rank()
    return range(count * process // processes, count * (process + 1) // processes)


def in_shares(count: int, work: Callable[[range], T]) -> list[T]:
    """The results of `work` for each process's share of `count` rows, in order. A collective: every
    process must call it."""
    share = share_of(count)
    part = work(share)
    if len(share) == count:
        return [part]
    import torch  # not at the top, as in `share_of`

    parts: list[Any] = [None] * torch.distributed.get_world_size()
    torch.distributed.all_gather_object(parts, part)
    return parts


def any_process(accelerator: Accelerator, flag: bool) -> bool:
    """Whether `flag` is true in any process. A collective: every process must call it."""
    if accelerator.num_processes == 1:
        return flag
    import torch  # not at the top, as in `share_of`

    flags = torch.tensor(float(flag), device=accelerator.device)
    return bool(accelerator.reduce(flags, "sum") > 0)


def leave_process_group() -> None:
    """Destroy the process group, after the last collective and before the process ends.

    The pause avoids a deadlock: gloo's thread needs the GIL to release the tensors of the last
    collective, and torch 2.13 holds the GIL while it joins that thread.
    """
    import torch  # not at the top, as in `share_of`

    if torch.distributed.is_initialized():
        time.sleep(0.5)
        torch.distributed.destroy_process_group()
