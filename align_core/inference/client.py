"""Queries to models from a process without torch.

One server process (server.py) loads the models and answers one query at a time. It is started by
the first query, exits after IDLE_TIMEOUT, and is restarted by the next query if it died or was
killed.
"""

from __future__ import annotations

import logging
import pickle
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import Any

from align_core.config import model_index
from align_core.config.errors import ConfigError, option_error
from align_core.config.messages import Message
from align_core.config.model_size import FULL_SIZE, evaluation_size
from align_core.config.task_card import card, registered
from align_core.inference.arguments import (
    EXPECTED_MODEL,
    Candidates,
    Generate,
    HeadToHead,
    Mixture,
    Score,
    checked,
)
from align_core.runs.child_process import Child
from align_core.runs.client import Client
from align_core.runs.directory import RunDirectory
from align_core.runs.forkserver import START_TIMEOUT

ANSWER_TIMEOUT = 30.0  # seconds after which a server that has not answered is killed
IDLE_TIMEOUT = 300.0  # seconds without a query after which the server exits
LEFT = "left"  # the server's last message, when it exits after IDLE_TIMEOUT
MAX_PENDING = 8  # queries at a time: each waiting one occupies a thread of the page
MAX_MIXTURES = 512  # stored answers, of some 20 kB each
_LOG = logging.getLogger(__name__)


class Unanswered(RuntimeError):
    """A query was not answered; `message` says why."""

    def __init__(self, message: Message) -> None:
        super().__init__(message)
        self.message = message


class InferenceClient:
    """Queries about embedded and recorded models and the runs of `client`. Threads may share it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._child: Child | None = None
        self._lock = threading.Lock()  # one query at a time
        self._joining = threading.Lock()  # guards `_in_progress`, and deletions from `_mixtures`
        self._in_progress: dict[bytes, Future[Any]] = {}
        self._mixtures: OrderedDict[tuple[str, int, float], dict[str, Any]] = OrderedDict()
        self._places = threading.BoundedSemaphore(MAX_PENDING)

    def generate(self, **arguments: Any) -> list[dict[str, Any]]:
        """`n` samples of each of `models` for `prompt`, with the same noise for all models.

        Takes task, models, prompt, n, temperature, seed and realign, the λ of `queries.generate`.
        Returns {"model", "samples"} for each model. A sample has completion, ended, gold_reward and
        proxy_reward (nats; None if there is no reward model) and tokens: {"text", "logp",
        "ref_logp"}, with log-probabilities at temperature 1 in nats. A model that is its own
        reference ignores realign, and its samples have no tokens.

        Raises:
            ConfigError: invalid input, one message for each error.
            Unanswered: the server died, took too long, or has too many pending queries.
        """
        options = checked(Generate, arguments)
        located = self._locate_all(options)
        answers = self._query("generate", {**options, "models": located})
        return [
            {"model": name, "samples": samples}
            for name, samples in zip(options["models"], answers, strict=True)
        ]

    def score(self, **arguments: Any) -> list[dict[str, Any]]:
        """Rewards and log-probabilities of `completions`, taken as texts that ended by themselves.

        Takes task, model, reference (None for the model that the run started from), prompt and
        completions. Returns gold_reward and proxy_reward for each completion and, unless `model` is
        a reward model, logp, ref_logp and tokens. Units and errors are those of `generate`.
        """
        options = checked(Score, arguments)
        model, reference, task = options["model"], options["reference"], options["task"]
        options["model"] = self._locate("--model", model, task)
        if reference is not None:
            options["reference"] = self._locate("--reference", reference, task, writes=True)
        return self._query("score", options)

    def head_to_head(self, **arguments: Any) -> dict[str, Any]:
        """Win rates of `models` against each other by gold reward.

        Takes task, models, n (samples for each of the task's probe prompts) and seed. Returns the
        number of `prompts`, and matrices [models, models], row against column: `win_rates`, and
        `ci95`, the half-widths of their intervals. Raises as `generate` does.
        """
        options = checked(HeadToHead, arguments)
        return self._query("head_to_head", {**options, "models": self._locate_all(options)})

    def candidates(self, **arguments: Any) -> list[dict[str, Any]]:
        """`count` pairs of samples of `model` for train prompts of the task, for people to rate.

        Takes task, model, count and seed. Returns arguments of `Session.add_pairs`, with gold
        rewards in nats and without scores. Raises as `generate` does.
        """
        options = checked(Candidates, arguments)
        located = self._locate("--model", options["model"], options["task"], writes=True)
        pairs = self._query("candidates", {**options, "model": located})
        return [{**pair, "model": options["model"]} for pair in pairs]

    def score_pairs(self, pairs: list[dict[str, Any]], reward_model: str) -> list[dict[str, Any]]:
        """The pairs with `first_score` and `second_score`, the reward model's outputs in nats.

        Raises as `generate` does.
        """
        located = self._locate("--reward-model", reward_model, writes=False)
        return self._query("score_pairs", {"pairs": pairs, "reward_model": located})

    def mixture(self, **arguments: Any) -> dict[str, Any]:
        """The evaluation of a run's policy mixed with its reference: `mixtures.mixture`.

        Takes model (the name of a run) and share. A mixture is evaluated once, and only for a small
        model, because the answer must come within ANSWER_TIMEOUT. Raises as `generate` does.
        """
        options = checked(Mixture, arguments)
        run, share = options["model"], options["share"]
        if directory := model_index.recorded().get(run):
            config = RunDirectory.open(directory).config.model_dump()
        else:
            config = self._client.config(run)  # raises ConfigError if there is no such run
            directory = self._client.root / run
        task = card(config["task"])
        if task is None or evaluation_size(config["model"], task.max_new_tokens) != FULL_SIZE:
            expected = "a small model on a known task; measuring this one takes too long"
            raise ConfigError(option_error("--model", run, expected, "small_model"))
        located = self._locate("--model", run, writes=True)
        key = located, (directory / "model").stat().st_mtime_ns, share
        if (known := self._mixtures.get(key)) is not None:
            return known
        question = {"task": config["task"], "model": located, "share": share}
        measured = self._mixtures[key] = self._query("mixture", question)
        with self._joining:
            while len(self._mixtures) > MAX_MIXTURES:
                self._mixtures.popitem(last=False)
        return measured

    def pid(self) -> int | None:
        """The process id of the server, or None if it is not running."""
        child = self._child
        return child.pid if child and child.alive() else None

    def close(self) -> None:
        """Kill the server, even while it answers a query. The next query starts another server."""
        if child := self._child:
            child.end()

    def _locate_all(self, options: dict[str, Any]) -> list[str]:
        task = options["task"]
        return [self._locate("--models", name, task, writes=True) for name in options["models"]]

    def _locate(
        self, option: str, name: str, task: str | None = None, writes: bool | None = None
    ) -> str:
        """The model, as `model_index.locate` takes it, for the name of a model or a run, or for the
        reference of `task`. Any other path is refused.

        `writes` is True for a language model, False for a reward model, None for either.
        """
        model, known = name, card(task)
        if name not in (*model_index.named(), known and known.reference):
            self._client.config(name)  # raises ConfigError if there is no such run
            self._client.use(name)
            model = str(self._client.root / name)
        try:
            location = model_index.locate(model)
        except ValueError:
            raise ConfigError(option_error(option, name, EXPECTED_MODEL, "model")) from None
        scores = model_index.is_reward_model(location)
        if writes and scores:
            expected = "a model that writes; this one scores"
            raise ConfigError(option_error(option, name, expected, "model_that_writes"))
        if writes is False and not scores:
            expected = "a model that scores; this one writes"
            raise ConfigError(option_error(option, name, expected, "model_that_scores"))
        return model

    def _query(self, query: str, arguments: dict[str, Any]) -> Any:
        """The answer to a query. Equal queries that arrive while it is computed share it."""
        key = pickle.dumps((query, arguments))
        with self._joining:
            answer = self._in_progress.get(key)
            if is_first := answer is None:
                answer = self._in_progress[key] = Future()
        if is_first:
            try:
                answer.set_result(self._ask(query, arguments))
            except BaseException as error:
                answer.set_exception(error)
            finally:
                del self._in_progress[key]
        return answer.result()

    def _ask(self, query: str, arguments: dict[str, Any]) -> Any:
        if not self._places.acquire(blocking=False):
            line = "Many are asking just now: try again in a moment."
            raise Unanswered(Message("many_asking", {}, line))
        try:
            with self._lock:
                outcome, answer = self._exchange(query, arguments)
        finally:
            self._places.release()
        if outcome == "refused":
            raise ConfigError(*answer)
        if outcome == "failed":
            raise Unanswered(answer)
        return answer

    def _exchange(self, query: str, arguments: dict[str, Any]) -> tuple[str, Any]:
        outcome, answer = self._answer(query, arguments)
        if outcome == LEFT:  # it exited before it received this query
            self._started().end()
            outcome, answer = self._answer(query, arguments)
        return outcome, answer

    def _answer(self, query: str, arguments: dict[str, Any]) -> tuple[str, Any]:
        child = self._started()
        child.send((query, arguments))
        if not child.wait_for_start(START_TIMEOUT):
            child.kill()
            raise _failed(_no_answer(START_TIMEOUT))
        if child.pid is None:
            raise _failed(_unanswered(None))
        timer = threading.Timer(ANSWER_TIMEOUT, child.kill, [_no_answer(ANSWER_TIMEOUT)])
        timer.daemon = True
        timer.start()
        try:
            return child.connection.recv()
        except (EOFError, OSError):
            child.wait()
            raise _failed(child.killed_for or _unanswered(child.exit_code)) from None
        finally:
            timer.cancel()

    def _started(self) -> Child:
        if self._child is None or not self._child.alive():
            try:
                self._client.preload()
                task_names = tuple(registered())
                self._child = Child("align_core.inference.server", IDLE_TIMEOUT, task_names)
            except (OSError, RuntimeError):  # no memory, or too many files or threads
                raise _failed(_unanswered(None)) from None
        return self._child


def _failed(message: Message) -> Unanswered:
    _LOG.warning("fault", extra={"fields": {"what": "helper", "why": message.code}})
    return Unanswered(message)


def _no_answer(seconds: float) -> Message:
    line = f"No answer came within {seconds:g} seconds, so the question was dropped."
    return Message("no_answer", {"seconds": seconds}, line)


def _unanswered(code: int | None) -> Message:
    """The message for a query during which the server ended with this exit code."""
    killed = code in (-9, None)  # None: the process that knows the code was killed, too
    ending = "was killed" if killed else f"ended unexpectedly (exit code {code})"
    line = f"The process that answers {ending}. Ask again: another one is started."
    return Message("helper_killed" if killed else "helper_ended", {"code": code}, line)
