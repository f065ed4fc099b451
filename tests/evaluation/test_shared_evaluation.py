"""Processes that share an evaluation have the numbers of one process."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

import pytest
import torch

from align_core.evaluation.evaluator import Evaluation
from align_core.evaluation.results import joined
from align_core.models import distributed
from align_core.models.sampling import Interrupted
from tests import toy
from tests.evaluation.toy_evaluator import PROMPTS, evaluator, proxy


def together(monkeypatch, evaluate: list[Callable[[], Any]], count: int) -> list[Any]:
    """The results of processes that call these functions at the same time.

    One after the other, each leaves its part where a collective would, and stops there; then each
    goes on with all parts.
    """
    parts: list[Any] = []

    class Left(Exception):
        pass

    def leave(rows, work, share):
        assert rows == count
        parts.append(work(share))
        raise Left

    results = []
    for in_shares in (leave, lambda rows, work, share: parts):
        for process, call in enumerate(evaluate):
            share = distributed_share(count, process, len(evaluate))
            monkeypatch.setattr(distributed, "in_shares", partial(in_shares, share=share))
            try:
                results.append(call())
            except Left:
                continue
    return results


def distributed_share(count: int, process: int, processes: int) -> range:
    return range(count * process // processes, count * (process + 1) // processes)


def assert_same(actual: Evaluation, expected: Evaluation) -> None:
    for name, column in vars(expected).items():
        ours = getattr(actual, name)
        if isinstance(column, torch.Tensor):
            torch.testing.assert_close(ours, column, atol=1e-6, rtol=1e-6, msg=name)
    for ours, theirs in ((actual.policy, expected.policy), (actual.reference, expected.reference)):
        assert ours.completions == theirs.completions and ours.prompts == theirs.prompts
        torch.testing.assert_close(ours.proxy, theirs.proxy, atol=1e-9, rtol=0)


@pytest.mark.parametrize("processes", [2, 3])
def test_processes_that_share_an_evaluation_have_the_numbers_of_one(monkeypatch, processes):
    policy, reference = toy.policy(0), toy.policy(1)
    alone = evaluator(reference, subsets={"first": PROMPTS[:1]})
    expected = alone(policy)
    scored: list[list[str]] = [[] for _ in range(processes)]

    def counted(process: int) -> Callable:
        def count(prompts, *args, **columns):
            scored[process].extend(prompts)
            return proxy(prompts, *args, **columns)

        return count

    own = [
        evaluator(reference, subsets={"first": PROMPTS[:1]}, proxy=counted(process))
        for process in range(processes)
    ]
    results = together(monkeypatch, [lambda e=e: e(policy) for e in own], len(PROMPTS))
    assert len(results) == processes
    for each, result in zip(own, results, strict=True):
        assert_same(result, expected)
        for numbers in (attrgetter("metrics"), attrgetter("metrics.intervals")):
            ours, theirs = numbers(each)(result), numbers(alone)(expected)
            known = {name: value for name, value in theirs.items() if value is not None}
            assert ours.keys() == theirs.keys()
            assert {name: ours[name] for name in known} == pytest.approx(known, abs=1e-6, rel=1e-6)
        texts, others = each.samples(result), alone.samples(expected)
        assert [row["policy"]["text"] for row in texts] == [row["policy"]["text"] for row in others]
    own_prompts = [len(set(prompts)) for prompts in scored]
    assert sum(own_prompts) == len(PROMPTS) and max(own_prompts) == -(-len(PROMPTS) // processes)


def test_a_process_that_is_left_alone_evaluates_every_prompt(monkeypatch):
    """As after a stop, when the others have ended."""
    policy, reference = toy.policy(0), toy.policy(1)
    one = evaluator(reference)
    together(monkeypatch, [lambda: one(policy)] * 2, len(PROMPTS))
    monkeypatch.undo()
    assert_same(one(policy), evaluator(reference)(policy))


def test_an_interruption_of_one_process_interrupts_all(monkeypatch):
    policy, reference = toy.policy(0), toy.policy(1)
    own = [evaluator(reference), evaluator(reference, interrupted=lambda: True)]
    stopped = []

    def interrupted(each):
        try:
            each(policy)
        except Interrupted:
            stopped.append(each)

    together(monkeypatch, [lambda e=e: interrupted(e) for e in own], len(PROMPTS))
    assert stopped == own


def test_a_share_is_all_rows_without_other_processes():
    assert distributed.share_of(5) == range(5)
    assert distributed.in_shares(5, lambda share: share) == [range(5)]


def test_the_shares_of_a_group(monkeypatch):
    group = torch.distributed
    monkeypatch.setattr(group, "is_initialized", lambda: True)
    monkeypatch.setattr(group, "get_world_size", lambda: 3)
    shares = []
    for process in range(3):
        monkeypatch.setattr(group, "get_rank", lambda process=process: process)
        shares.append(distributed.share_of(8))
    assert shares == [range(0, 2), range(2, 5), range(5, 8)]
    assert distributed.share_of(2) == range(2), "fewer rows than processes"
    monkeypatch.setattr(
        group, "all_gather_object", lambda parts, own: parts.__setitem__(slice(None), [0, 1, own])
    )
    assert distributed.in_shares(8, lambda share: share) == [0, 1, range(5, 8)]
    assert distributed.in_shares(2, lambda share: share) == [range(2)]


def test_parts_are_joined_end_to_end():
    parts = [
        {"a": [1], "b": torch.tensor([1.0]), "c": None},
        {"a": [2, 3], "b": torch.ones(2), "c": None},
    ]
    whole = joined(parts)
    assert whole["a"] == [1, 2, 3] and whole["b"].tolist() == [1, 1, 1] and whole["c"] is None
