"""rate/room.js: the room's state and its counts, when answers come late."""

from __future__ import annotations

import pytest

from playground import text
from playground.views.rate import _RATE

# The server answers when `given` is called.
MOUNTED = """async ({{ votingRoom }}, {{ template, words }}) => {{
  const element = document.body.appendChild(document.createElement("div"));
  element.id = "rate";
  element.innerHTML = template;
  const [sent, answers, counted] = [[], [], []];
  const answer = (content) => (sent.push(content), new Promise((done) => answers.push(done)));
  const ballot = {{ rater: () => ({{ token: "a" }}), send: () => answer("tally") }};
  const session = {{
    ballot: () => ballot, task: () => "reviews", save: () => {{}}, showErrors: () => {{}},
    request: (path, {{ action }}) => answer(action),
  }};
  const props = {{ words, enough: {{}}, crowds: [], simulated: 1 }};
  const room = votingRoom({{ element, props }}, session, (tally) => counted.push(tally.votes));
  const pause = () => new Promise((later) => setTimeout(later));
  const given = async (content, request = "shift") => {{
    await pause();
    answers[request]()(content); // the oldest request, or with "pop" the newest
    await pause();
  }};
  const state = (open) => ({{ open, share: 0, hosts: true, link: null, code: null }});
  const tally = (votes) => ({{
    status: 200, votes, to_train: votes, raters: 1, agreement: null, disputed: null, asks: "none",
  }});
  try {{
    {code}
  }} finally {{
    element.remove();
  }}
}}"""


@pytest.fixture
def room(script):
    """room(code) returns the outcome of code with a mounted `room`."""
    words = text.load("en")
    words = {**words["ballot"], **words["rate"]}
    argument = {"template": _RATE, "words": words}
    return lambda code: script("rate/room.js", MOUNTED.format(code=code), argument)


def test_the_room_stays_open_when_the_answer_about_the_closed_one_is_late(room):
    outcome = room("""
      room.look();
      element.querySelector(".room .open").click();
      await given(state(false));
      await given(tally(0));
      await given(state(true));
      return [sent, element.dataset.room];
    """)
    assert outcome == [["look", "tally", "open"], "open"]


def test_there_is_one_count_at_a_time_however_often_the_view_is_opened(room):
    outcome = room("""
      room.look();
      await given(state(false));
      room.look();
      await given(state(false), "pop");
      const before = [...sent];
      await given(tally(1));
      return [before, sent, counted];
    """)
    before = ["look", "tally", "look"]
    assert outcome == [before, [*before, "tally"], [1]]
