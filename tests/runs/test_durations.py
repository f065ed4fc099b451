"""The duration of a run, and the time it has left."""

from __future__ import annotations

import pytest

from align_core.runs.durations import Speed, speed, time_left, time_needed

CONFIG = {"steps": 10, "eval_every": 4, "time_limit": None}


def evaluated(step, at, took):
    metrics = {"eval/kl": 0.1, "timing/evaluation": took}
    return {"kind": "metrics", "step": step, "seconds": at, "metrics": metrics}


def stepped(step, at, took):
    metrics = {"loss": 0.5, "timing/step": took}
    return {"kind": "metrics", "step": step, "seconds": at, "metrics": metrics}


def status(step, at, name):
    return {"kind": "status", "step": step, "seconds": at, "status": name, "message": ""}


# 1 s to load, 1 s per evaluation, 0.5 s per step; then a pause of a minute, with an evaluation, and
# slow motion with 10 s before each step.
LOG = [
    status(0, 0.1, "running"),
    evaluated(0, 2.0, took=1.0),
    stepped(1, 2.6, took=0.6),
    stepped(2, 3.1, took=0.5),
    status(2, 3.1, "paused"),
    evaluated(2, 4.2, took=1.1),
    status(2, 63.1, "running"),
    stepped(3, 63.5, took=0.4),
    stepped(4, 74.0, took=0.5),
    evaluated(4, 75.05, took=1.05),
    stepped(5, 85.55, took=0.5),
]


def test_the_speed_leaves_out_pauses_and_delays():
    assert speed(LOG) == Speed(start=1.0, evaluation=1.05, step=0.5)


def sampled(at, done):
    cause = {"kind": "sampling", "values": {"done": done, "count": 300}}
    return status(0, at, "running") | {"message": "Sampling", "cause": cause}


def test_the_time_of_sampling_pairs_is_per_pair():
    """4 s to load, 0.1 s a pair, 1 s per evaluation, 0.5 s per step."""
    log = [
        *(status(0, 0.1, "running"), sampled(16.5, 125), sampled(29.0, 250), sampled(34.0, 300)),
        *(evaluated(0, 35.0, took=1.0), stepped(1, 35.5, took=0.5)),
    ]
    known = speed(log)
    assert (known.pair, known.start) == (pytest.approx(0.1), pytest.approx(4.0))
    config = CONFIG | {"preference_pairs": 1000}
    assert time_needed(config, known) == pytest.approx(4 + 1000 * 0.1 + 4 * 1.0 + 10 * 0.5)
    assert time_needed(CONFIG, known) == pytest.approx(4 + 4 * 1.0 + 10 * 0.5), "without pairs"
    two = speed([*log[:2], *log[3:]])  # 175 pairs in 17.5 s
    assert (two.pair, two.start) == (pytest.approx(0.1), pytest.approx(4.0))
    late = speed([log[0], log[1], sampled(17.0, 125), *log[3:]])  # the first batch, reported twice
    assert late.pair == pytest.approx(17.5 / 175)
    again = [log[0], log[2], sampled(33.0, 250), *log[4:]]  # nothing was sampled in between
    assert speed(again) == Speed(start=34.0, evaluation=1.0, step=0.5)
    alone = [log[0], log[1], *log[4:]]  # one batch does not show the time of a pair
    assert speed(alone) == Speed(start=34.0, evaluation=1.0, step=0.5)


def test_there_is_no_speed_before_the_first_step():
    assert speed(LOG[:2]) is None
    assert time_left(CONFIG, LOG[:2]) is None
    assert time_left(CONFIG, []) is None


def test_the_time_left():
    # 5 steps with 10 s each, like most of the last three; evaluations after steps 8 and 10
    assert time_left(CONFIG, LOG) == pytest.approx(5 * 10.5 + 2 * 1.05)


def test_at_full_pace_there_is_no_delay():
    assert time_left(CONFIG, LOG[:4]) == pytest.approx(8 * 0.55 + 3 * 1.0)
    early = [*LOG[:3], stepped(2, 2.9, took=0.5)]  # of a clock that was put back by 0.2 s
    assert time_left(CONFIG, early) == pytest.approx(8 * 0.55 + 3 * 1.0)


def test_single_steps_and_steps_after_a_pause_do_not_count_for_the_pace():
    assert time_left(CONFIG, LOG[:3]) is None
    assert time_left(CONFIG, [*LOG[:3], *LOG[4:8]]) is None


def test_a_changed_pace_counts_from_the_second_step_after():
    """30 steps at full speed, 0.5 s each; then slow motion of 2 s, then full speed again."""
    log, at = [evaluated(0, 0.0, took=1.0)], 0.0
    delays = [0.0] * 30 + [2.0] * 3 + [0.0] * 2
    estimates = []
    for step, delay in enumerate(delays, start=1):
        at += delay + 0.5
        log.append(stepped(step, at, took=0.5))
        estimates.append(time_left(CONFIG | {"steps": 100, "eval_every": 200}, log))
    paced = [None] + [0.0] * 30 + [2.0] * 3 + [0.0]
    for step, (left, delay) in enumerate(zip(estimates, paced, strict=True), start=1):
        assert left == (delay if delay is None else pytest.approx((100 - step) * (0.5 + delay) + 1))


@pytest.mark.parametrize(
    ("steps", "every", "to_come"),
    [(10, 4, 2), (8, 4, 1), (5, 5, 0), (5, 4, 0), (6, 5, 1), (12, 3, 3)],
)
def test_evaluations_are_every_few_steps_and_at_the_end(steps, every, to_come):
    config = CONFIG | {"steps": steps, "eval_every": every}
    assert time_left(config, LOG) == pytest.approx((steps - 5) * 10.5 + to_come * 1.05)


def test_the_newest_twenty_steps_count():
    log = [*LOG[:2], *(stepped(i, i, took=9.0) for i in range(1, 31))]
    log += [stepped(i, i, took=1.0) for i in range(31, 51)]
    assert speed(log).step == 1.0


def test_a_resumed_run_has_to_repeat_steps():
    resume = {"kind": "resume", "step": 2, "seconds": 0.0}
    assert time_left(CONFIG, [*LOG, resume]) == pytest.approx(8 * 0.55 + 3 * 1.05)


@pytest.mark.parametrize("name", ["finished", "stopped", "failed"])
def test_an_ended_run_has_no_time_left(name):
    over = [*LOG, status(5, 86.0, name)]
    assert time_left(CONFIG, over) == 0
    assert time_left(CONFIG, [*over, evaluated(5, 87.0, took=1.0)]) == 0


def test_the_time_left_is_at_most_the_time_limit():
    assert time_left(CONFIG | {"time_limit": 90.0}, LOG) == pytest.approx(90.0 - 85.55)
    assert time_left(CONFIG | {"time_limit": 80.0}, LOG) == 0


def test_the_estimated_time_of_a_run():
    known = Speed(start=1.0, evaluation=2.0, step=0.5)
    # evaluations are before the first step and after steps 4, 8 and 10
    assert time_needed(CONFIG, known) == 1.0 + 4 * 2.0 + 10 * 0.5
    assert time_needed(CONFIG | {"time_limit": 6.0}, known) == 6.0
    # slow motion delays only between two steps
    assert time_needed(CONFIG, known, delay=2.0) == 1.0 + 4 * 2.0 + 10 * 0.5 + 9 * 2.0
