"""Examples of what a trainer is learning from, for a page that follows the training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor
from transformers import PreTrainedTokenizerBase

from align_core.data.encoding import decode
from align_core.trainers.mixins import TrainerMixin

MAX_EXAMPLES = 100  # shown in a run, so that they take little of its time
Example = dict[str, Any]


class ShownExamples(TrainerMixin):
    """A mixin of Trainer that passes the first row of some batches to `example_listener`, if there
    is one, before the update on the batch."""

    example_listener: Callable[[Example], Any] | None = None
    _newest = -1  # the step of the newest example

    def show(self, example: Callable[[], Example]) -> None:
        """Show the `example` of the batch, at most MAX_EXAMPLES times in a run."""
        step = self.state.global_step
        interval = max(1, -(-self.state.max_steps // MAX_EXAMPLES))
        if self.example_listener is None or step % interval or step == self._newest:
            return
        self._newest = step  # only the first of a step's batches is shown
        self.example_listener(example())


class KeptOutput:
    """A model's forward pass, whose latest `output` is kept."""

    output: Any = None

    def __init__(self, model: Callable[..., Any]) -> None:
        self._model = model

    def __call__(self, *arguments: Any, **inputs: Any) -> Any:
        self.output = self._model(*arguments, **inputs)
        return self.output


def demonstration(
    tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int], completion: Sequence[int]
) -> Example:
    """A `prompt` and its `text`, from token ids."""
    (text,) = decode(tokenizer, [prompt], [completion])
    return {"prompt": _prompt_text(tokenizer, prompt), "text": text}


def pair(
    tokenizer: PreTrainedTokenizerBase,
    prompt: Sequence[int],
    chosen: Sequence[int],
    rejected: Sequence[int],
    scores: Tensor | None,
) -> Example:
    """A `prompt` with the texts `chosen` and `rejected`, from token ids. Each has its `text` and,
    if known, its `score` in nats; `scores` are [2]."""
    sides = [{"text": text} for text in decode(tokenizer, [prompt, prompt], [chosen, rejected])]
    if scores is not None and scores.isfinite().all():
        for side, score in zip(sides, scores.tolist(), strict=True):
            side["score"] = score
    return {"prompt": _prompt_text(tokenizer, prompt), "chosen": sides[0], "rejected": sides[1]}


def first_rows(ids: Tensor, mask: Tensor) -> tuple[list[int], list[int]]:
    """The tokens of the first chosen and of the first rejected text of a batch, in which the
    rejected texts follow the chosen ones."""
    rows = 0, len(ids) // 2
    chosen, rejected = (ids[row][mask[row].bool()].tolist() for row in rows)
    return chosen, rejected


def _prompt_text(tokenizer: PreTrainedTokenizerBase, prompt: Sequence[int]) -> str:
    """The text of a prompt; "" for a conversation, which is not shown."""
    return "" if tokenizer.chat_template else tokenizer.decode(prompt, skip_special_tokens=True)
