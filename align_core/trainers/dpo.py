"""Direct preference optimisation (arXiv 2305.18290): no reward model, no sampling during training.

The loss compares log-probabilities of the chosen and rejected texts under policy and reference. It
contains no divergence between output distributions. TRL has other losses on the same
log-probabilities, in which β has other meanings; docs/methods.md lists these.
"""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from trl import DPOConfig, DPOTrainer

from align_core.data.encoding import REFERENCE_LOGPS
from align_core.models.frozen_trunk import frozen_trunk
from align_core.models.lora import lora_config
from align_core.models.pair_passes import PairPasses, pair_passes
from align_core.trainers import chipo
from align_core.trainers.common import (
    QUIET,
    WARMUP,
    FiniteTraining,
    LengthBatches,
    Setup,
    ShardedTraining,
)
from align_core.trainers.examples import KeptOutput, ShownExamples, first_rows, pair

# As the papers of these losses recommend: the assumed share of flipped labels (arXiv 2403.00409),
# and ε (arXiv 2402.00856).
LABEL_SMOOTHING = {"robust": 0.1, "exo_pair": 1e-3}


class DirectPreferenceTrainer(
    LengthBatches, ShardedTraining, FiniteTraining, ShownExamples, DPOTrainer
):
    """TRL's DPOTrainer on pairs of token ids, which may have the reference's log-probabilities.

    With an adapter on the policy's last layers, the layers below are computed only once for each
    pair, for policy and reference together.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._passes: PairPasses | None = None
        super().__init__(*args, **kwargs)
        # Several processes need the model's own forward pass.
        alone = self.accelerator.num_processes == 1
        frozen = frozen_trunk(self.model) if alone and isinstance(self.model, PeftModel) else None
        if frozen is not None:
            self._passes = pair_passes(self.model, frozen, _longest(self.train_dataset))
        if self._passes is not None:
            self.precompute_ref_logps = True  # `compute_loss` adds them to each batch

    def _prepare_dataset(self, dataset: Dataset, *_: Any) -> Dataset:
        # TRL would append the end token to every text, also to one cut at the token limit.
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: Any) -> Dataset:
        # The data set has them already: only then does `make_trainer` set precompute_ref_log_probs.
        return dataset

    def compute_loss(
        self, model: nn.Module, inputs: dict[str, Any], *args: Any, **kwargs: Any
    ) -> Any:
        """TRL's loss; the first pair of the batch is then shown.

        If the lower layers are frozen, the forward passes start from their kept outputs.
        """
        if self._passes is not None:
            model = self._passes
            if REFERENCE_LOGPS[0] not in inputs:
                logps = self._passes.reference_logps(inputs)
                inputs = inputs | dict(zip(REFERENCE_LOGPS, logps, strict=True))
        kept = KeptOutput(model)
        loss = super().compute_loss(kept, inputs, *args, **kwargs)
        self.show(lambda: self._pair(inputs, kept.output.log_probs.detach()))
        return loss

    def _pair(self, inputs: dict[str, Any], logps: Tensor) -> dict[str, Any]:
        """The first pair, with β·log(π/π_ref) of its texts if the batch has the reference's
        log-probabilities. `logps` [2B, S − 1] are the policy's log-probabilities of all tokens."""
        mask, completion = inputs["attention_mask"], inputs["completion_mask"]
        chosen, rejected = first_rows(inputs["input_ids"], mask)
        length = len(chosen) - int(completion[0].sum())
        scores = None
        if REFERENCE_LOGPS[0] in inputs:
            reference = torch.stack([inputs[name][0] for name in REFERENCE_LOGPS])
            predicted = completion[:, 1:]
            policy_logps = (logps[:, -predicted.shape[1] :] * predicted).sum(1)
            scores = self.beta * (policy_logps[:: len(policy_logps) // 2] - reference)
        texts = chosen[length:], rejected[length:]
        return pair(self.processing_class, chosen[:length], *texts, scores)


def _longest(pairs: Dataset) -> int:
    """The number of tokens of the longest text of the pairs, prompt included."""
    columns = pairs["prompt_ids"], pairs["chosen_ids"], pairs["rejected_ids"]
    return max(len(p) + max(len(c), len(r)) for p, c, r in zip(*columns, strict=True))


def build(setup: Setup) -> DirectPreferenceTrainer | chipo.ChiPOTrainer:
    """The DPO trainer of a run: TRL's, or our own for χPO's loss, which TRL does not have."""
    config = setup.config
    if config.loss == "chipo":
        return chipo.build(setup)
    assert config.beta is not None  # an option of DPO
    return make_trainer(
        setup.model,
        setup.reference,
        setup.tokenizer,
        setup.data,
        beta=config.beta,
        loss_type=config.loss,
        label_smoothing=LABEL_SMOOTHING.get(str(config.loss), 0.0),
        lora_r=config.lora_r,
        lora_layers=config.lora_layers,
        warmup_steps=config.steps // WARMUP,
        **setup.arguments,
    )


def make_trainer(
    model: PreTrainedModel,
    reference: PreTrainedModel | None,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Dataset,
    *,
    beta: float,
    lora_r: int = 0,
    lora_layers: int | None = None,
    **arguments: Any,
) -> DirectPreferenceTrainer:
    """A trainer on `pairs`, which have the columns of `encoding.encode_pairs`.

    `reference` is None with LoRA. It is not used if the pairs have its log-probabilities.
    """
    precomputed = all(name in pairs.column_names for name in REFERENCE_LOGPS)
    settings = {"max_length": None, "beta": beta, "precompute_ref_log_probs": precomputed}
    return DirectPreferenceTrainer(
        model,
        ref_model=reference,
        args=DPOConfig(**{**QUIET, **settings, **arguments}),
        train_dataset=pairs,
        processing_class=tokenizer,
        peft_config=lora_config(model, lora_r, "CAUSAL_LM", lora_layers),
    )
