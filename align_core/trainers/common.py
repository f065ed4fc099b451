"""What all trainers share: arguments without surprises, and a stop before weights are spoilt."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import PrinterCallback


class NonFinite(FloatingPointError):
    """The loss or a gradient is NaN or infinite; the weights are those of the last good step."""


# Defaults of TRL and transformers that bite here: bf16 and gradient checkpointing are on, NaN
# losses are hidden from the log, and progress and reports go to places nobody asked for.
QUIET = {
    "bf16": False,
    "activation_checkpointing": False,
    "logging_nan_inf_filter": False,
    "report_to": "none",
    "disable_tqdm": True,
    "dataloader_pin_memory": False,
    "save_strategy": "no",
    "logging_steps": 1,
    "lr_scheduler_type": "linear",
    "remove_unused_columns": False,
}


class FiniteTraining:
    """Mixed into a Trainer: NaN or infinity ends the run before the optimiser touches a weight.

    Nothing is printed either: standard output belongs to the command line.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)

    def training_step(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        loss = super().training_step(model, inputs, *args, **kwargs)
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        if not torch.isfinite(loss):
            what = f"the loss is {loss.item()}"
        elif not torch.stack([g.abs().max() for g in gradients]).isfinite().all():
            what = "a gradient is not finite"
        else:
            return loss
        raise NonFinite(what)
