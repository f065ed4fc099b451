"""One of the labels of a classifier, as a reward model."""

from __future__ import annotations

import copy

from torch import nn
from transformers import PreTrainedModel

from align_core.models.loading import name_of


def one_label(model: PreTrainedModel, label: str | int) -> PreTrainedModel:
    """A copy of a classifier whose only output is the logit of this label, by name or number.

    Raises:
        ValueError: the classifier has no such label, or its last layer is not linear.
    """
    names = model.config.id2label  # number -> name
    number = {name: key for key, name in names.items()}.get(label, label)
    if number not in names:
        known = ", ".join(map(str, names.values()))
        raise ValueError(f"label: expected one of {known}, or their numbers, got {label!r}")
    copied = copy.deepcopy(model)
    heads = [
        layer
        for layer in copied.modules()
        if isinstance(layer, nn.Linear) and layer.out_features == len(names)
    ]
    if not heads:
        line = f"expected a linear layer of {len(names)} labels, got none"
        raise ValueError(f"{name_of(model)}: {line}")
    head = heads[-1]
    head.weight = nn.Parameter(head.weight[number : number + 1].detach().clone())
    if head.bias is not None:
        head.bias = nn.Parameter(head.bias[number : number + 1].detach().clone())
    head.out_features = 1
    copied.config.id2label, copied.config.label2id = {0: names[number]}, {names[number]: 0}
    copied.num_labels = 1
    return copied
