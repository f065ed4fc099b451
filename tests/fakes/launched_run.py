"""PPO on the toy language, as in ppo_process.py, and then a command, in the same processes.

Like the command line, it starts the processes that accelerate leaves out.
"""

from __future__ import annotations

import sys

from align_core.models import distributed

if __name__ == "__main__":
    if distributed.launched_alone():
        distributed.relaunch_with_torchrun()
    # Only now, as this process is one of those that train.
    from align_core.cli import main as cli
    from tests.fakes import ppo_process

    folder, batch_size, *command = sys.argv[1:]
    ppo_process.train(folder, int(batch_size))
    sys.exit(cli.main(command))
