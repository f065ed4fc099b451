"""Reports on the runs that were trained on a session's votes."""

from __future__ import annotations

import contextlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from align_core.config.errors import ConfigError
from align_core.config.methods import methods
from align_core.inference.client import InferenceClient, Unanswered
from align_core.runs.client import Client
from align_core.runs.events import of_kind, replay, settings_at
from align_core.votes import statistics
from align_core.votes.session import Session
from playground.content import optimum
from playground.voting import verdicts
from playground.voting.provenance import numbers, trained_on
from playground.voting.vote_training import HELD_OUT

SHOWN = 4  # sample texts in a report
ENDED = ("finished", "stopped")  # statuses of runs that have a model
DISAGREEING = 3  # pairs in a report on which raters and gold reward disagree


class VoteReports:
    """Reports on the runs of `client` whose preference files are in `folder`. Thread-safe."""

    def __init__(self, client: Client, helper: InferenceClient, folder: Path) -> None:
        self._client = client
        self._helper = helper
        self._folder = folder
        self._held_out_metrics = lru_cache(maxsize=64)(self._compute_held_out_metrics)

    def report(self, session: Session) -> dict[str, Any]:
        """The runs on a session's votes, and the agreement of its raters with the gold reward.

        runs:            newest first, as below
        gold_agreement:  the share of votes that prefer the text of higher gold reward
        against:         the pairs on which most raters prefer the text of lower gold reward

        Each run is a dict:

        run, method, status
        votes, simulated:  the numbers of its votes; None for a policy trained with a reward model
        mixed:             whether simulated votes were among them
        held_out:          for a reward model, its `statistics.reward_model_metrics` on the held-out
                           votes, or None
        texts:             for a policy, [{"prompt", "before", "after"}, …]
        verdict:           as in `verdicts`, or None
        """
        votes = session.votes()
        _, held_out = statistics.held_out(votes, HELD_OUT)
        agreement = statistics.stats(votes)["gold_agreement"]
        decided = sum(vote["choice"] in statistics.DECIDED for vote in votes)
        runs = []
        for run, config in self._runs(session):
            report = self._run_report(run, config, session, held_out)
            if methods()[config["method"]].makes == "reward model":
                report["verdict"] = verdicts.reward_model_verdict(report["held_out"])
            elif report["status"] in ENDED:
                report |= self._policy_report(run, config, agreement, decided)
            runs.append(report)
        against = statistics.against_gold(votes, DISAGREEING)
        return {"runs": runs, "gold_agreement": agreement, "against": against}

    def taught(self, session: Session) -> dict[str, str] | None:
        """What the votes have taught: the `method` of the newest policy that was trained on them,
        or on a reward model that they trained, and a `prompt` with its text `before` and `after`.

        None if no such run has written texts yet.
        """
        for run, config in self._runs(session):
            if methods()[config["method"]].makes == "policy":
                samples = _samples(replay(self._client.events(run)[0]))
                if len(samples) > 1:  # the first are of the untrained policy
                    before, after = ("reference", "policy")
                    changed = (sample for sample in samples[-1] if sample[before] != sample[after])
                    shown = next(changed, samples[-1][0])
                    texts = {"before": shown[before]["text"], "after": shown[after]["text"]}
                    return {"method": config["method"], "prompt": shown["prompt"], **texts}
        return None

    def _run_report(
        self, run: str, config: dict[str, Any], session: Session, held_out: list
    ) -> dict[str, Any]:
        status = (self._client.status(run) or {"status": "starting"})["status"]
        report = {"run": run, "method": config["method"], "status": status}
        report |= {"votes": None, "simulated": None, "held_out": None, "texts": [], "verdict": None}
        if vote_numbers := numbers(config):
            report |= {name: vote_numbers[name] for name in ("votes", "simulated")}
        votes = trained_on(self._client, config)
        report["mixed"] = bool(votes and votes["simulated"])
        is_reward_model = methods()[config["method"]].makes == "reward model"
        if status in ENDED and is_reward_model and held_out:
            with contextlib.suppress(ConfigError, Unanswered):
                report["held_out"] = self._held_out_metrics(
                    run, session, held_out[-1]["id"], len(held_out)
                )
        return report

    def _compute_held_out_metrics(
        self, run: str, session: Session, last: int, count: int
    ) -> dict[str, Any]:
        """A reward model's `statistics.reward_model_metrics` on the held-out votes.

        `last`, the id of the last of these votes, and `count`, their number, are only parts of the
        cache's key.
        """
        _, held_out = statistics.held_out(session.votes(), HELD_OUT)
        rated = {vote["pair"] for vote in held_out}
        pairs = [pair for pair in session.pairs() if pair["id"] in rated]
        return statistics.reward_model_metrics(
            statistics.with_scores(held_out, self._helper.score_pairs(pairs, run))
        )

    def _policy_report(
        self, run: str, config: dict[str, Any], agreement: float | None, votes: int
    ) -> dict[str, Any]:
        """The `texts` of a policy, and the `verdict` on it."""
        events = replay(self._client.events(run)[0])
        samples = _samples(events)
        metrics = [event["metrics"] for event in of_kind(events, "metrics")]
        evaluations = [values for values in metrics if "eval/gold_reward" in values]
        last, beta = evaluations[-1] if evaluations else {}, settings_at(config, events)["beta"]
        return {
            "texts": [
                {
                    "prompt": sample["prompt"],
                    "before": sample["reference"],
                    "after": sample["policy"],
                }
                for sample in (samples[-1] if samples else [])[:SHOWN]
            ],
            "verdict": verdicts.policy_verdict(
                last, beta, agreement, votes, optimum.full_gain(config)
            ),
        }

    def _runs(self, session: Session) -> list[tuple[str, dict[str, Any]]]:
        """The runs on this session's votes, and the runs with a reward model among these."""
        files = {str(file.resolve()) for file in (self._folder / session.name).glob("*.jsonl")}
        configs = {}
        for run in self._client.runs():
            with contextlib.suppress(ConfigError):  # the run was written by another version
                configs[run] = self._client.config(run)
        own_runs = {run for run, config in configs.items() if config["preferences"] in files}
        models = {str((self._client.root / run).resolve()) for run in own_runs}
        return [
            (run, config)
            for run, config in configs.items()
            if run in own_runs or config["reward_model"] in models
        ]


def _samples(events: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The sample texts of each evaluation, oldest first."""
    return [event["samples"] for event in of_kind(events, "samples")]
