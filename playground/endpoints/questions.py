"""The questions of programs: the optimum at a β, the score of a text, a recorded run."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel, Field

from align_core.config.errors import ConfigError, option_error
from align_core.config.fields import Float, Int, declared
from align_core.config.messages import Message
from align_core.config.model_index import RECORDED
from align_core.config.run_config import TaskName, validated
from align_core.config.task_card import card, known_card
from align_core.inference.client import InferenceClient, Unanswered
from align_core.runs import events as log_of_run
from playground.content import optimum, page_names
from playground.content.recordings import Recording
from playground.people import log
from playground.people.access import VisibleModels
from playground.people.client_address import client_address
from playground.people.json_requests import RateLimited, check_rate
from playground.people.rate_limit import RateLimit
from playground.people.threads import Threads
from playground.people.visitors import Request, Visitors
from playground.text import error_messages

LIMIT = (5.0, 50)  # by address: questions per second, and questions at once
THREADS = 4  # for questions that need no model
QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)  # of gold reward under the optimum; a text is shown at each
_LOG = logging.getLogger(__name__)
Answer = dict[str, Any]


class NotAnswered(Exception):
    """A question was not answered; the message says why, in one line."""


class _Optimum(BaseModel):
    task: TaskName
    beta: Float = declared("beta")
    prompts: Int = Field(ge=1, le=64, description="a whole number of prompts from 1 to 64")


class Questions:
    """Answers for the sender of a request. `words` is the catalogue of the error messages.

    Questions to models are answered in the threads `questions`, as those of the page are; the
    others have threads of their own. Every method raises NotAnswered if there is no answer.
    """

    def __init__(
        self,
        visitors: Visitors,
        helper: InferenceClient,
        recorded: Mapping[str, Recording],
        words: Mapping[str, Any],
        questions: Threads,
    ) -> None:
        self._visitors, self._helper = visitors, helper
        self._recorded, self._words = recorded, words
        self._to_models, self._threads = questions, Threads("endpoints", THREADS)
        self._limit = RateLimit(*LIMIT)

    async def optimum(self, request: Request, **arguments: Any) -> Answer:
        """The optimum at a β and its texts; `arguments` are task, beta and prompts."""
        return await self._answer(self._threads, self._optimum, request, arguments)

    async def score(self, request: Request, **arguments: Any) -> Answer:
        """The rewards and log-probabilities of a text; `arguments` are those of
        `InferenceClient.score` with one completion. A `model` of None is the task's reference."""
        return await self._answer(self._to_models, self._score, request, arguments)

    async def recorded_run(self, request: Request, preset: Any) -> Answer:
        """The recorded run of a preset."""
        return await self._answer(self._threads, self._recorded_run, preset)

    async def _answer(
        self, threads: Threads, function: Callable[..., Answer], *arguments: Any
    ) -> Answer:
        try:
            check_rate(self._limit, client_address())
            return await threads.run(function, *arguments)
        except RateLimited as error:
            line, why = error.message, error.why
        except (ConfigError, Unanswered) as error:
            messages = error.lines if isinstance(error, ConfigError) else [error.message]
            line = "; ".join(map(self._translated, messages))
            why = next((message.code for message in messages), "") or "invalid"
        except Exception:
            _LOG.exception("fault")
            raise NotAnswered("the server failed to answer; the request is not at fault") from None
        log.refused("question", why)
        raise NotAnswered(line)

    def _translated(self, message: Message) -> str:
        return error_messages.translate(message, self._words).removeprefix("--")

    def _optimum(self, request: Request, arguments: Answer) -> Answer:
        task = self._visitors.own.full_name(self._visitors.sender(request), arguments["task"])
        options, lines = validated(_Optimum, {**arguments, "task": task})
        if options is None:
            raise ConfigError(*lines)
        best = optimum.of_pair(options.task, known_card(options.task).reference)
        if best is None:
            expected = "a task whose optimum was prepared"
            raise ConfigError(option_error("task", arguments["task"], expected))
        point = best.at(options.beta)
        texts = [best.texts_at(options.beta, quantile) for quantile in QUANTILES]
        by_prompt = list(zip(*texts, strict=True))[: options.prompts]
        return {
            "task": arguments["task"],
            "beta": options.beta,
            "reward": point["gain"] and round(point["gain"] + best.reference, 4),
            **{name: point[name] for name in ("gain", "kl", "samples", "known")},
            "prompts": [_with_odds(rows) for rows in by_prompt],
        }

    def _score(self, request: Request, arguments: Answer) -> Answer:
        visitor = self._visitors.sender(request)
        models = VisibleModels(self._helper, self._visitors, visitor)
        if arguments["model"] is None:
            known = card(self._visitors.own.full_name(visitor, arguments["task"]))
            arguments = {**arguments, "model": known and known.reference}
        (scores,) = models.score(**arguments)
        return scores

    def _recorded_run(self, preset: Any) -> Answer:
        recording = self._recorded.get(f"{RECORDED}{preset}")
        if recording is None:
            names = ", ".join(name.removeprefix(RECORDED) for name in self._recorded)
            raise ConfigError(option_error("preset", preset, f"one of {names}"))
        events = log_of_run.replay(recording.events)
        return {
            "preset": preset,
            "machine": recording.preset.machine,
            "seconds": recording.end,
            "config": page_names.page_config(recording.config),
            "curves": log_of_run.series(events),
            "texts": [
                {"step": event["step"], "rows": [_without_tokens(row) for row in event["samples"]]}
                for event in log_of_run.of_kind(events, "samples")
            ],
        }


def _with_odds(rows: tuple[Answer, ...]) -> Answer:
    """A prompt and its different texts; `odds` is the probability of a text under the optimum,
    divided by its probability under the reference; None if too few stored samples determine it."""
    texts = {row["text"]: row for row in rows}
    return {
        "prompt": rows[0]["prompt"],
        "texts": [
            {"text": text, "gold_reward": row["gold_reward"], "odds": _odds(row.get("log_ratio"))}
            for text, row in texts.items()
        ],
    }


def _odds(log_ratio: float | None) -> float | None:
    return None if log_ratio is None else float(f"{math.exp(log_ratio):.3g}")


def _without_tokens(row: Mapping[str, Any]) -> Answer:
    policy = {name: value for name, value in row["policy"].items() if name != "tokens"}
    return {"prompt": row["prompt"], "reference": row["reference"], "policy": policy}
