"""Load and save policies, references and reward models, all in the formats of transformers."""

from __future__ import annotations

import copy
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from peft import LoraConfig, PeftConfig, PeftModel, get_peft_model
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from align_core.config.errors import ConfigError
from align_core.config.messages import plain
from align_core.config.model_index import locate
from align_core.data.encoding import Prompts
from align_core.models.sampling import response_outputs, response_states
from align_core.models.sharding import weights_of

VALUE_GAIN = 10.0


class ModelError(ConfigError):
    """A model could not be loaded; one line that says which and why."""


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of MODEL, with a padding token (its end token where it has none)."""
    tokenizer = _load(AutoTokenizer, name)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.padding_side = "left"
    return tokenizer


def load_policy(name: str) -> PreTrainedModel | PeftModel:
    """A causal language model in float32 and evaluation mode, adapter included where it has one."""
    return _load_with_adapter(AutoModelForCausalLM, name)


def load_to_train(name: str) -> PreTrainedModel:
    """`load_policy` with every weight free to move, an adapter merged into what it adapts."""
    policy = _merged(load_policy(name)).requires_grad_(True)
    policy.name_or_path = name
    return policy


def load_reward_model(name: str) -> PreTrainedModel | PeftModel:
    """A sequence classifier with one label: its raw output is the proxy reward, in nats."""
    labels = _load(AutoConfig, name).num_labels if not _has_adapter(name) else 1
    if labels != 1:
        line = f"reward model {name}: got {labels} labels, takes a model with one"
        raise ModelError(plain(line))
    return _load_with_adapter(AutoModelForSequenceClassification, name, num_labels=1)


def new_reward_model(name: str, seed: int) -> PreTrainedModel:
    """The trunk of a causal language model under a fresh scalar head.

    The head starts at std 1/√(d + 1), d the width of the trunk (the code of arXiv 1909.08593).
    """
    torch.manual_seed(seed)
    model = _load(AutoModelForSequenceClassification, name, num_labels=1)
    head = scalar_head(model)
    nn.init.normal_(head.weight, std=(head.in_features + 1) ** -0.5)
    return model.eval()


def value_model_of(reward_model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A copy of a reward model to be trained as a value model, its adapter merged in."""
    return _merged(copy.deepcopy(reward_model)).requires_grad_(True)


def scalar_head(model: PreTrainedModel) -> nn.Linear:
    """The output layer of a reward model: `score` in decoders, `classifier` in encoders."""
    return model.score if hasattr(model, "score") else model.classifier


def trunk(reward_model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    """A reward model without its head, an adapter's changes to it included."""
    if isinstance(reward_model, PeftModel):
        reward_model = reward_model.get_base_model()
    return reward_model.base_model


def freeze_trunk(model: PreTrainedModel) -> None:
    """Leave only the scalar head of a reward model to train."""
    model.requires_grad_(False)
    scalar_head(model).requires_grad_(True)


def lora(rank: int, task_type: str) -> LoraConfig | None:
    """A LoRA adapter on every linear layer of the trunk; none at rank 0 (arXiv 2106.09685)."""
    if rank == 0:
        return None
    return LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type=task_type)


def with_adapters(
    policy: PreTrainedModel, value_model: PreTrainedModel | None, adapter: PeftConfig
) -> tuple[PeftModel, PeftModel | None]:
    """The policy and, where there is one, the value model, each under an adapter of its own."""
    if value_model is not None:
        of_values = copy.deepcopy(adapter)
        of_values.task_type = "SEQ_CLS"
        value_model = get_peft_model(value_model, of_values)
    return get_peft_model(policy, adapter), value_model


class ValueHead(nn.Module):
    """A linear layer from a hidden state [..., H] to a value [..., 1], in nats; zero at the start.

    Its output is multiplied by VALUE_GAIN, which under Adam is a learning rate so many times the
    policy's: a head that starts from nothing has further to go than a policy that starts trained.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, 1)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, states: Tensor) -> Tensor:
        return VALUE_GAIN * self.linear(states)


class PolicyWithValue(nn.Module):
    """A policy, and the value of each prefix of its texts: what is still to be earned, in nats.

    The value is the output of `value_model`, a model with one label, at every position; a reward
    model is a good start, for it has read texts for what they earn (arXiv 2203.02155, C.4). Without
    one it is a head on the policy's trunk, which reads hidden states without sending gradients
    back: the trunk is the policy's, and what a value loss does to it is paid for in KL.
    """

    def __init__(
        self, policy: PreTrainedModel | PeftModel, value_model: PreTrainedModel | None = None
    ) -> None:
        super().__init__()
        self.policy = policy
        self.config = policy.config
        self.value_model = value_model
        self.value_head = None
        if value_model is None:
            self.value_head = ValueHead(policy.get_input_embeddings().embedding_dim)
            self.value_head.to(policy.device)

    @property
    def _no_split_modules(self) -> set[str]:
        """The layers that accelerate shards, each by itself."""
        models = filter(None, (self.policy, self.value_model))
        return {name for model in models for name in model._no_split_modules or ()}

    def tie_weights(self) -> None:
        """Tie again what sharding took apart."""
        self.policy.tie_weights()

    def train(self, mode: bool = True) -> PolicyWithValue:
        """Stay in evaluation mode: dropout would make the ratio to the rollout's policy noisy."""
        return super().train(False)

    def forward(self, prompts: Prompts, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [B, T, V] that predict the response tokens and values [B, T] before each."""
        batch = prompts, tokens, mask
        logits, states = response_outputs(self.policy, *batch, hidden=self.value_model is None)
        return logits, self.values(*batch, states)

    def values(
        self, prompts: Prompts, tokens: Tensor, mask: Tensor, states: Tensor | None
    ) -> Tensor:
        """Values [B, T] before each response token; `states` [B, T, H] are the policy's last hidden
        ones there, which only the head reads."""
        if self.value_model is None:
            return self.value_head(states.detach()).squeeze(-1).float()
        states = response_states(trunk(self.value_model), prompts, tokens, mask)
        return scalar_head(self.value_model)(states).squeeze(-1).float()


@torch.no_grad()
def move_towards(model: nn.Module, target: nn.Module, share: float) -> None:
    """Move every weight of `model` by this share of its way to `target`, a model of its shape."""
    for ours, theirs in zip(model.parameters(), target.parameters(), strict=True):
        ours.lerp_(theirs, share)


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode within, the mode it was in after."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def as_reference(
    policy: PreTrainedModel | PeftModel, reference: PreTrainedModel | None
) -> tuple[PreTrainedModel | PeftModel, AbstractContextManager]:
    """The model to ask for reference log-probabilities, and the context in which to ask it.

    Without a separate reference the policy must carry an adapter: the reference is that policy with
    the adapter switched off, and no second copy of the weights exists.
    """
    if reference is not None:
        return reference, nullcontext()
    return policy, policy.disable_adapter()


def save_model(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Write the model as safetensors with its tokenizer: all of the new one or all of the old."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".saving-") as staging:
        fresh, previous = Path(staging) / "new", Path(staging) / "old"
        model.save_pretrained(fresh, state_dict=weights_of(model))
        tokenizer.save_pretrained(fresh)
        for notes in fresh.glob("README.md"):
            notes.unlink()
        if folder.exists():
            folder.rename(previous)
        fresh.rename(folder)
        shutil.rmtree(previous, ignore_errors=True)


def _load_with_adapter(factory: type, name: str, **options) -> PreTrainedModel | PeftModel:
    if not _has_adapter(name):
        return _load(factory, name, **options).eval()
    folder = Path(locate(name))
    base = json.loads((folder / "adapter_config.json").read_text())["base_model_name_or_path"]
    under = _merged(_load_with_adapter(factory, base, **options))
    return PeftModel.from_pretrained(under, folder).eval()


def _merged(model: PreTrainedModel | PeftModel) -> PreTrainedModel:
    return model.merge_and_unload() if isinstance(model, PeftModel) else model


def _has_adapter(name: str) -> bool:
    return (Path(locate(name)) / "adapter_config.json").is_file()


def _load(factory: type, name: str, **options):
    path = locate(name)
    if factory in (AutoModelForCausalLM, AutoModelForSequenceClassification):
        options["dtype"] = torch.float32
    try:
        loaded = factory.from_pretrained(path, **options)
    except (OSError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines()[0]
        line = (
            f"model {name}: it is not on this machine and could not be loaded from the hub "
            f"(offline?), or its files are broken: {reason}"
        )
        raise ModelError(plain(line)) from error
    if isinstance(loaded, PreTrainedModel):
        loaded.name_or_path = name  # what an adapter will call its base: a name, not a place
    return loaded
