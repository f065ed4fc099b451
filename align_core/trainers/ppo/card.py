"""The model card of a policy that a script has trained: its data, settings and last metrics.

Texts of the script are escaped, and of a path only the last part is shown.
"""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from huggingface_hub import ModelCardData
from peft import PeftModel

from align_core.config import model_index
from align_core.models.loading import name_of
from align_core.runs.commands import last_part
from align_core.runs.markdown import escaped, rows_of

if TYPE_CHECKING:
    from align_core.trainers.ppo.trainer import PPOTrainer

TAGS = ("ppo", "alignment-playground")

_SECRET = re.compile(r"((?<!stop.)token|key|secret|password)$")  # ends the names of secret flags
_METRICS = {
    "objective/scores": "score of the samples",
    "objective/kl": "KL from the reference, nats",
    "objective/entropy": "entropy of a response, nats",
    "eval_objective/scores": "score on the evaluation prompts",
    "eval_objective/kl": "KL on the evaluation prompts, nats",
}


def model_card(
    trainer: PPOTrainer,
    model_name: str | None = None,
    dataset_name: str | None = None,
    tags: str | Iterable[str] | None = None,
) -> str:
    """The card, Markdown with the metadata that the Hub reads."""
    args, base = trainer.args, _base(trainer)
    tag_list = [tags] if isinstance(tags, str) else list(tags or ())
    is_adapter = isinstance(trainer.policy, PeftModel) and not trainer.was_merged
    data = ModelCardData(
        library_name="peft" if is_adapter else "transformers",
        pipeline_tag="text-generation",
        base_model=base if model_index.is_hub_id(base) else None,
        datasets=[dataset_name] if dataset_name and model_index.is_hub_id(dataset_name) else None,
        tags=sorted({*TAGS, *getattr(trainer, "_tag_names", ()), *tag_list}),
    )
    facts = {
        "base model": escaped(last_part(base)),
        "adapter before": "merged into the weights" if trainer.was_merged else None,
        "data": escaped(last_part(dataset_name)) if dataset_name else None,
        "reward": ", ".join(map(escaped, trainer.reward_names)),
        "β": f"{trainer.beta:g}",
        "episodes": trainer.state.episode,
        "learning rate": f"{args.learning_rate:g}",
        "response length": f"at most {args.response_length} tokens",
        "seed": args.seed,
    }
    return f"""---
{data.to_yaml().strip()}
---

# {escaped(model_name or last_part(str(args.output_dir)))}

A language model trained by PPO in Alignment Playground.

| | |
| --- | --- |
{rows_of(facts)}

{_results(trainer.state.log_history)}

## Command

```
{_command()}
```
"""


def _base(trainer: PPOTrainer) -> str:
    policy = trainer.policy
    return name_of(policy.get_base_model() if isinstance(policy, PeftModel) else policy)


def _results(log: list[dict[str, Any]]) -> str:
    """The last logged value of each metric, as a table."""
    last = {name: entry[name] for entry in log for name in _METRICS if name in entry}
    if not last:
        return "## Results\n\nNothing was logged."
    rows = {_METRICS[name]: f"{value:.3f}" for name, value in last.items()}
    head = "## Results\n\nOf the last rollout, or evaluation:\n\n| | |\n| --- | --- |\n"
    return head + rows_of(rows)


def _command() -> str:
    """The command line of this process, with paths cut to their last part, and without secrets."""
    words, is_secret = ["python"], False
    for word in sys.argv:
        flag, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        if is_secret or value.startswith("hf_"):
            value = "…"
        is_secret = _SECRET.search(flag) is not None
        if is_secret and equals:
            value, is_secret = "…", False
        words.append(flag + equals + last_part(value))
    return shlex.join(words).replace("`", "'")
