"""A fixed piece of training, whose duration measures how fast a machine is.

It is measured in processor time of one thread, which other processes hardly change. On a machine
with twice as many busy processes as cores, a step of two threads took from 2 to 40 times as long,
and 2 to 15 times the processor time, because threads that wait for each other spin.
"""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from align_core.config.environment import set_library_environment
from align_core.models.libraries import silence_libraries

# About the size of the embedded models, and a batch between a minibatch of PPO and one of DPO.
# After a change, `machine_speed.PROBE_SECONDS` must be measured again.
_MODEL = {
    "vocab_size": 1024,
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
_TEXTS, _TOKENS = 48, 24
PROCESSOR_SECONDS = 0.6
MIN_STEPS = 3  # the first one takes longer


def main(connection: Connection) -> None:
    """Send the seconds of one step."""
    set_library_environment()
    silence_libraries()
    connection.send(probe_seconds())


def probe_seconds() -> float:
    """Seconds of processor time for a forward and backward pass with an optimiser step: the fastest
    of at least MIN_STEPS, which together take PROCESSOR_SECONDS or more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return _shortest_step()
    finally:
        torch.set_num_threads(threads)


def _shortest_step() -> float:
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**_MODEL))
    optimizer = torch.optim.AdamW(model.parameters())
    ids = torch.randint(_MODEL["vocab_size"], (_TEXTS, _TOKENS))
    steps: list[float] = []
    while len(steps) < MIN_STEPS or sum(steps) < PROCESSOR_SECONDS:
        start = time.process_time()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        steps.append(time.process_time() - start)
    return min(steps)
