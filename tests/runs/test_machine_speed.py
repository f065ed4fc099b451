"""The speed of this machine: measured, kept, and used in estimates."""

from __future__ import annotations

import json
import threading
from types import SimpleNamespace

import pytest

from align_core.config.run_config import resolve
from align_core.runs import machine_speed
from align_core.runs.client import Client
from align_core.runs.durations import Speed
from align_core.runs.estimates import Estimates
from align_core.runs.index import RunIndex
from align_core.runs.machine_speed import ONE_THREAD, PROBE_SECONDS, MachineSpeed


class Probe:
    """A process that takes three times as long as the machine of the recordings, or fails."""

    seconds: float | None = 3 * PROBE_SECONDS
    started = 0

    def __init__(self, module):
        Probe.started += 1
        self.connection = self

    def poll(self, timeout):
        return self.seconds is not None

    def recv(self):
        return self.seconds

    def kill(self):
        pass


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setattr(machine_speed, "Child", Probe)
    monkeypatch.setattr(Probe, "started", 0)
    return tmp_path / "machine_speed.json"


@pytest.fixture
def measured(monkeypatch):
    """measured() returns the slowness of a machine after its measurement, which is kept by then."""
    threads = []

    def thread(**options):
        threads.append(threading.Thread(**options))
        return threads[-1]

    monkeypatch.setattr(machine_speed, "threading", SimpleNamespace(Thread=thread))

    def measured():
        machine = MachineSpeed()
        assert machine.slowness == 1.0, "nobody has asked"
        machine.measure()
        for each in threads:
            each.join()
        return machine.slowness

    return measured


def test_a_fast_machine_is_measured_once_and_again_when_it_is_another_one(measured, monkeypatch):
    monkeypatch.setattr(Probe, "seconds", 1.4 * PROBE_SECONDS)
    assert measured() == pytest.approx(1.4)
    assert measured() == pytest.approx(1.4)
    assert Probe.started == 1
    monkeypatch.setattr(machine_speed, "_machine", lambda: "another")
    assert measured() == pytest.approx(1.4)
    assert Probe.started == 2


@pytest.mark.parametrize("later, slowness", [(1.2, 1.2), (3.5, 3.0), (None, 3.0)])
def test_a_slow_measurement_is_repeated_and_the_faster_one_kept(
    measured, cache, monkeypatch, later, slowness
):
    assert measured() == pytest.approx(3.0)
    monkeypatch.setattr(Probe, "seconds", later and later * PROBE_SECONDS)
    assert measured() == pytest.approx(slowness)
    assert Probe.started == 2
    assert json.loads(cache.read_text())["processor_seconds"] == pytest.approx(
        slowness * PROBE_SECONDS
    )


@pytest.mark.parametrize(
    "kept",
    ["", "[]", '{"processor_seconds": "x"}', '{"processor_seconds": -1.0}', '{"seconds": 1.0}'],
)
def test_a_damaged_measurement_is_made_again(measured, cache, kept):
    cache.write_text(kept)
    assert measured() == pytest.approx(3.0)
    assert json.loads(cache.read_text())["processor_seconds"] == 3 * PROBE_SECONDS


@pytest.mark.parametrize(
    ("seconds", "believed"), [(1e-5, False), (1.1e-5, True), (99.5, True), (100.0, False)]
)
def test_a_measurement_between_ten_microseconds_and_a_hundred_seconds_is_kept(
    cache, seconds, believed
):
    cache.write_text(
        json.dumps({"machine": machine_speed._machine(), "processor_seconds": seconds})
    )
    assert machine_speed._stored_seconds() == (seconds if believed else None)


def test_one_thread_takes_longer_than_the_two_of_the_recordings(measured, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    assert measured() == pytest.approx(3.0 * ONE_THREAD)


def test_another_processor_is_another_machine(monkeypatch):
    names = set()
    for model in ("model name\t: A\n" * 2, "model name\t: B\n", "flags\t: C\n"):
        monkeypatch.setattr(machine_speed.Path, "read_text", lambda path, model=model, **_: model)
        names.add(machine_speed._machine())
    assert len(names) == 3 and sum(name.count("model name\t: A") for name in names) == 1


def test_a_machine_that_cannot_be_measured_counts_as_that_of_the_recordings(measured, monkeypatch):
    monkeypatch.setattr(Probe, "seconds", None)
    assert measured() == 1.0


def test_an_estimate_is_scaled_and_unknown_while_the_machine_is_measured(tmp_path):
    """2 s before the first evaluation, 1 s for each of three and for the distance, whose two sides
    have two texts per prompt where an evaluation has four, 0.5 s for each of ten steps."""
    config = resolve("dpo", "reviews", steps=10, eval_every=5)
    estimates = Estimates(RunIndex(tmp_path / "runs"))
    known = Speed(start=2.0, evaluation=1.0, step=0.5)
    estimates._recorded = [(resolve("dpo", "reviews", beta=9.0), Speed(9, 9, 9)), (config, known)]
    assert estimates.seconds(config) == 2.0 + 4 * 1.0 + 10 * 0.5
    estimates.machine.slowness = 3.0
    assert estimates.seconds(config, delay=2.0) == 3 * (2.0 + 4 * 1.0 + 10 * 0.5) + 9 * 2.0
    estimates.machine.slowness = None
    assert estimates.seconds(config) is None


def test_a_client_knows_the_machine_before_and_after_its_measurement(tmp_path):
    client = Client(tmp_path / "runs")
    for slowness, known in ((1.0, True), (None, False), (3.0, True)):
        client._estimates.machine.slowness = slowness
        assert client.knows_machine() is known
