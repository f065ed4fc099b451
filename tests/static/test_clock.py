"""train/clock.js: the time of a run, from the press of Run on."""

from __future__ import annotations

# Calls methods at given milliseconds: [ms, method, arguments]; returns the seconds after each call.
PLAY = """({ runClock }, calls) => {
  let now = 0;
  const clock = runClock(() => now);
  return calls.map(([ms, method, ...args]) => {
    now = ms;
    clock[method]?.(...args);
    return clock.seconds();
  });
}"""
OLD, NEW = {"name": "old", "seconds": 40.0}, {"name": "new", "seconds": 0.5}


def test_a_run_is_timed_from_the_press_until_its_end(script):
    calls = [
        [0, "follow", OLD, False, False],
        [1000, "press"],
        [3000, "look"],
        [3500, "follow", OLD, False, False],
        [4000, "follow", NEW, True, True],
        [9000, "look"],
        [9500, "follow", NEW | {"seconds": 6.0}, False, True],
        [20000, "look"],
    ]
    assert script("train/clock.js", PLAY, calls) == [40, 0, 2, 2.5, 3, 8, 8.5, 8.5]


def test_a_run_that_was_found_again_is_timed_by_its_log_and_a_refused_press_by_nothing(script):
    calls = [
        [1000, "press"],
        [2000, "release"],
        [5000, "follow", OLD, True, False],
        [7000, "look"],
    ]
    assert script("train/clock.js", PLAY, calls) == [0, None, 40, 42]
