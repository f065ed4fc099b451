"""Models in shards, by accelerate's own file: FSDP 2, or DeepSpeed's ZeRO 1 and 2.

With FSDP each process holds a piece of every weight; with ZeRO all weights, and a piece of what
trains them (ZeRO 2: gradients and optimiser states; ZeRO 1: the states).
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


def heed_file(accelerator: Accelerator) -> None:
    """Shard on CPUs too, where accelerate 1.15 passes over the file's `distributed_type: FSDP`.

    Raises ValueError for FSDP 1 and ZeRO 3, whose weights cannot be read where they stand, and for
    ZeRO 0, which shards nothing.
    """
    state = accelerator.state
    if distributed.SHARDED_BY == "FSDP" and state.distributed_type == DistributedType.MULTI_CPU:
        # Both, as accelerate does on GPUs: each new AcceleratorState takes what PartialState says.
        state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
        state.fsdp_plugin = FullyShardedDataParallelPlugin()
        if state.mixed_precision != "no":
            state.fsdp_plugin.set_mixed_precision(state.mixed_precision)
    warnings.filterwarnings("ignore", "FSDP2-wrapped module")  # on writing into outputs: none is
    if state.distributed_type == DistributedType.FSDP and state.fsdp_plugin.fsdp_version != 2:
        raise ValueError(f"fsdp_version got {state.fsdp_plugin.fsdp_version}; it takes 2")
    deepspeed = state.deepspeed_plugin
    if deepspeed is not None and deepspeed.zero_stage not in (1, 2):
        raise ValueError(f"zero_stage got {deepspeed.zero_stage}; it takes 1 or 2")


@contextmanager
def whole(*models: nn.Module | None) -> Iterator[None]:
    """Within, each process holds all weights of these models and can use any part on its own.

    All processes enter together. What they do inside is their own affair: nothing is exchanged, so
    that one may ask a model more often than another. Weights read inside are plain tensors, and
    changes to them are lost. A model that is not in shards is whole anyway, and so is None.
    """
    roots = [model for model in models if isinstance(model, FSDPModule)]
    parts = [part for root in roots for part in root.modules() if isinstance(part, FSDPModule)]
    for root in roots:
        root._get_fsdp_state()._lazy_init()  # else the first layer asked would be taken for it
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


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """What `model.state_dict()` gives, which would put a whole model back into its shards."""
    passing = get_non_persistent_buffers(model, recurse=True, fqns=True)
    tensors = chain(
        model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)
    )
    return {name: tensor.detach() for name, tensor in tensors if name not in passing}


def held(weights: Tensor) -> Tensor:
    """What this process holds of a tensor: its shard, which may be empty, or all of it."""
    return weights.to_local() if isinstance(weights, DTensor) else weights


def share(whole_tensor: Tensor, like: Tensor) -> Tensor:
    """What this process is to hold of a tensor that all have, where it holds `like` now."""
    if not isinstance(like, DTensor):
        return whole_tensor
    mesh, placements = like.device_mesh, like.placements
    return distribute_tensor(whole_tensor, mesh, placements, src_data_rank=None).to_local()
