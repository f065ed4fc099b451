"""Sharded models, configured by accelerate: FSDP 2, or DeepSpeed's ZeRO 1 and 2.

FSDP shards every weight over the processes. ZeRO leaves all weights in every process and shards the
optimiser states (ZeRO 1) or gradients and optimiser states (ZeRO 2).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain

from accelerate import Accelerator
from accelerate.state import AcceleratorState, PartialState
from accelerate.utils import DistributedType, FullyShardedDataParallelPlugin
from accelerate.utils.modeling import get_non_persistent_buffers
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.distributed.tensor import DTensor, distribute_tensor

from align_core.models import distributed


def apply_accelerate_config(accelerator: Accelerator) -> None:
    """Apply `distributed_type: FSDP` of the config file on CPUs, where accelerate 1.15 ignores it.

    Raises:
        ValueError: FSDP 1 or ZeRO 3, whose weights cannot be read in place, or ZeRO 0, which shards
            nothing.
    """
    state = accelerator.state
    if distributed.SHARDED_BY == "FSDP" and state.distributed_type == DistributedType.MULTI_CPU:
        # Both are set, as accelerate does on GPUs: a new AcceleratorState copies PartialState.
        state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        if state.mixed_precision != "no":
            state.fsdp_plugin.set_mixed_precision(state.mixed_precision)
    # This warning is about writing into outputs, which this project does not do.
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")
    if state.distributed_type == DistributedType.FSDP and state.fsdp_plugin.fsdp_version != 2:
        raise ValueError(f"fsdp_version got {state.fsdp_plugin.fsdp_version}, expected 2")
    deepspeed = state.deepspeed_plugin
    if deepspeed is not None and deepspeed.zero_stage not in (1, 2):
        raise ValueError(f"zero_stage got {deepspeed.zero_stage}, expected 1 or 2")


@contextmanager
def unsharded(*models: nn.Module | None) -> Iterator[None]:
    """A context in which each process holds all weights of these models.

    All processes must enter it together. Inside, forward passes need no communication, so that one
    process may make more of them than another. Weights are plain tensors there, and changes to them
    are lost. Models that are not sharded, and None, are left alone.
    """
    roots = [model for model in models if isinstance(model, FSDPModule)]
    parts = [part for root in roots for part in root.modules() if isinstance(part, FSDPModule)]
    for root in roots:
        root._get_fsdp_state()._lazy_init()  # or else the first layer called would become the root
    for part in parts:
        part.set_reshard_after_forward(False, recurse=False)
        part.unshard()
    try:
        yield
    finally:
        for part in parts:
            part.reshard()
            resharding = AcceleratorState().fsdp_plugin.reshard_after_forward
            part.set_reshard_after_forward(resharding and part not in roots, recurse=False)


def full_state_dict(model: nn.Module) -> dict[str, Tensor]:
    """`model.state_dict()` of an unsharded model; the method itself would reshard the weights."""
    non_persistent = get_non_persistent_buffers(model, recurse=True, fqns=True)
    tensors = chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    return {name: tensor.detach() for name, tensor in tensors if name not in non_persistent}


def local_shard(weights: Tensor) -> Tensor:
    """This process's shard of a tensor, possibly empty; the whole of an unsharded tensor."""
    return weights.to_local() if isinstance(weights, DTensor) else weights


def to_shard(full: Tensor, like: Tensor) -> Tensor:
    """This process's shard of a tensor `full` that every process has, sharded as `like` is."""
    if not isinstance(like, DTensor):
        return full
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(full, mesh, placements, src_data_rank=None).to_local()
