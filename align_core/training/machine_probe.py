"""A fixed piece of training, whose duration differs between machines as a run's does."""

from __future__ import annotations

import time
from multiprocessing.connection import Connection

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from align_core.config.environment import set_library_environment
from align_core.models.libraries import silence_libraries
from align_core.training.worker import limit_threads

# The size of the embedded models, and a batch between a minibatch of PPO and one of DPO. After a
# change, `machine_speed.PROBE_SECONDS` must be measured again.
_MODEL = {
    "vocab_size": 1024,
    "hidden_size": 128,
    "intermediate_size": 344,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
}
_TEXTS, _TOKENS = 48, 24
PROCESSOR_SECONDS = 0.6  # of all threads together


def main(connection: Connection) -> None:
    """Send the seconds of one step: the shortest of those that fit into PROCESSOR_SECONDS."""
    set_library_environment()
    limit_threads()
    silence_libraries()
    connection.send(probe_seconds())


def probe_seconds() -> float:
    """Seconds of one forward and backward pass with an optimiser step; the shortest measured."""
    torch.manual_seed(0)
    model = LlamaForCausalLM(LlamaConfig(**_MODEL))
    optimizer = torch.optim.AdamW(model.parameters())
    ids = torch.randint(_MODEL["vocab_size"], (_TEXTS, _TOKENS))
    shortest, began = float("inf"), time.process_time()
    while time.process_time() - began < PROCESSOR_SECONDS:
        start = time.perf_counter()
        model(input_ids=ids, labels=ids).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        shortest = min(shortest, time.perf_counter() - start)
    return shortest
