"""Value functions, trained with the policy. A value is the expected return from a token on."""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import torch
from peft import PeftModel
from torch import Tensor, nn
from transformers import PreTrainedModel

from align_core.data.encoding import Prompts
from align_core.models.checkpointing import checkpoint_layers
from align_core.models.frozen_trunk import frozen_trunk
from align_core.models.loading import eval_mode, merge_adapter, scalar_head, trunk
from align_core.models.logprobs import at_mask, response_outputs, response_states, upper_states
from align_core.models.output_layer import has_plain_head, token_outputs
from align_core.objectives import entropy, token_logprobs

VALUE_GAIN = 10.0


def value_model_of(reward_model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A trainable copy of a reward model, as a value model, with its adapter merged in."""
    return merge_adapter(copy.deepcopy(reward_model)).requires_grad_(True)


class ValueHead(nn.Module):
    """A linear layer from hidden states [..., H] to values [..., 1] in nats; initialised to zero.

    The output is multiplied by VALUE_GAIN, which under Adam has the effect of a learning rate
    VALUE_GAIN times the policy's: the head starts untrained, the policy does not.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Tensor) -> Tensor:
        return VALUE_GAIN * self.linear(states)


class PolicyOutputs(NamedTuple):
    """Log-probability and entropy, in nats, of response tokens [B, T], and the value before each.

    Gradients flow through `logp` and `values`.
    """

    logp: Tensor
    entropy: Tensor
    values: Tensor


class PolicyWithValue(nn.Module):
    """A policy, and the value of each prefix of its texts: the expected return, in nats.

    The value is the output of `value_model`, a model with one label, at every position; a copy of
    the reward model is a good initialisation (arXiv 2203.02155, appendix C.4). Without one it is a
    head on the policy's hidden states. No gradient of the value loss reaches the policy's trunk,
    because every change of the trunk costs KL.

    `frozen` is the frozen trunk of a policy with an adapter on its last layers, else None.
    """

    has_values = True

    def __init__(
        self, policy: PreTrainedModel | PeftModel, value_model: PreTrainedModel | None = None
    ) -> None:
        super().__init__()
        self.policy = policy
        self.config = policy.config
        self.value_model = value_model
        self.frozen = frozen_trunk(policy)
        self.has_plain_head = self.frozen is None and has_plain_head(policy)
        self.value_head = None
        if value_model is None:
            self.value_head = ValueHead(policy.get_input_embeddings().embedding_dim)
            self.value_head.to(policy.device)

    @property
    def _no_split_modules(self) -> set[str]:
        """The classes of the layers that accelerate shards separately."""
        models = self.policy, self.value_model
        return {name for m in models for name in getattr(m, "_no_split_modules", None) or ()}

    def tie_weights(self) -> None:
        """Tie the embeddings again, which sharding untied."""
        self.policy.tie_weights()

    def train(self, mode: bool = True) -> PolicyWithValue:
        """Stay in evaluation mode: dropout would make the ratio of new to old policy noisy.

        Only layers with activation checkpointing are put into training mode.
        """
        super().train(False)
        self.training = mode
        if mode:
            checkpoint_layers(self)
        return self

    def activation_checkpointing_enable(
        self, activation_checkpointing_kwargs: dict | None = None, **layers: Any
    ) -> None:
        """Recompute the layers of policy and value model in the backward pass."""
        for model in self._transformers():
            model.activation_checkpointing_enable(
                activation_checkpointing_kwargs=activation_checkpointing_kwargs, **layers
            )

    def gradient_checkpointing_enable(self, gradient_checkpointing_kwargs: Any = None) -> None:
        """`activation_checkpointing_enable` by its older name, which TRL calls after generating."""
        self.activation_checkpointing_enable(gradient_checkpointing_kwargs)

    def gradient_checkpointing_disable(self) -> None:
        for model in self._transformers():
            model.activation_checkpointing_disable()

    def _transformers(self) -> list[Any]:
        """The policy and the value model, or only the trunk of a value model of a custom class."""
        value_model = self.value_model
        if value_model is not None and not isinstance(value_model, PreTrainedModel | PeftModel):
            value_model = trunk(value_model)
        return [m for m in (self.policy, value_model) if hasattr(m, "is_activation_checkpointing")]

    @property
    def device(self) -> torch.device:
        return self.policy.device

    @property
    def is_gradient_checkpointing(self) -> bool:
        return self.policy.is_activation_checkpointing

    def generate(self, *args: Any, **kwargs: Any) -> Any:
        """`generate` of the policy, for callbacks that print samples."""
        with eval_mode(self):  # gradient checkpointing in training mode turns the cache off
            return self.policy.generate(*args, **kwargs)

    def save_pretrained(self, *args: Any, **kwargs: Any) -> Any:
        """`save_pretrained` of the policy, for callbacks that save their model."""
        return self.policy.save_pretrained(*args, **kwargs)

    def forward(
        self,
        prompts: Prompts,
        tokens: Tensor,
        mask: Tensor,
        temperature: float = 1.0,
        trunk_states: Tensor | None = None,
    ) -> PolicyOutputs:
        """The outputs at the response tokens [B, T]; undefined at padding.

        If `trunk_states` [B, P + T, H] are given, only the layers above the frozen trunk are
        computed.
        """
        batch = prompts, tokens, mask
        if trunk_states is None and not self.has_plain_head:
            logits, states = response_outputs(self.policy, *batch, hidden=self.value_model is None)
            logits = logits / temperature
            logp = token_logprobs(logits, tokens)
            with torch.no_grad():
                entropies = entropy(logits)
        else:
            if trunk_states is None:
                head = self.policy.get_output_embeddings()
                states = response_states(trunk(self.policy), *batch)
            else:
                assert self.frozen is not None  # the trunk states are its outputs
                head, states = self.frozen.head, upper_states(self.frozen, trunk_states, *batch)
            outputs = token_outputs(head, states[mask], tokens[mask], temperature)
            logp, entropies = at_mask(mask, outputs.logp), at_mask(mask, outputs.entropy)
        return PolicyOutputs(logp, entropies, self.values(*batch, states))

    def values(
        self, prompts: Prompts, tokens: Tensor, mask: Tensor, states: Tensor | None
    ) -> Tensor:
        """Values [B, T] before each response token.

        `states` [B, T, H], the policy's last hidden states there, are needed by the head only.
        """
        if self.value_model is None:
            assert self.value_head is not None and states is not None
            return self.value_head(states.detach().float()).squeeze(-1).float()
        states = response_states(trunk(self.value_model), prompts, tokens, mask)
        return scalar_head(self.value_model)(states).squeeze(-1).float()
