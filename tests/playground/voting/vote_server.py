"""A server of votes without models, and browsers that send it requests."""

from __future__ import annotations

import json

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from align_core.runs.client import Client
from playground.people.client_address import ClientAddress
from playground.people.no_place import AlreadyHasRun
from playground.people.visitors import COOKIE, Visitors
from playground.settings import Settings
from playground.voting.room import VotingService
from playground.voting.routes import VoteRoutes

HOSTILE = "<img src=x onerror=window.hacked=1>"
PAIRS = [
    {
        **{"prompt": f"Prompt {i}", "first": f" {i} warm", "second": f" {i} cold"},
        **{"first_reward": 1.0, "second_reward": -1.0},
    }
    for i in range(6)
]
KEY = "主讲人 & more"
PRESENTER, OTHER = "a" * 64, "b" * 64  # tokens of two browsers
RUN = "2026-01-02-030405-dpo-reviews"


class Stored:
    """Replaces `playground.voting.pairs.Pairs`, and loads no model."""

    def load(self, task, model):
        return PAIRS

    def score(self, session, reward_model):
        pairs = [
            {**pair, "first_score": 0.0, "second_score": pair["id"]} for pair in session.pairs()
        ]
        session.set_scores(pairs, reward_model)


class Trained:
    """Replaces `VoteTraining` and `VoteReports`."""

    def train(self, session, way, simulated, visitor, room):
        if simulated:
            raise AlreadyHasRun
        return f"{way} on {session.name}"

    def report(self, session):
        return {"runs": [session.name]}

    def taught(self, session):
        return {"method": "dpo", "prompt": session.name, "before": "worse", "after": "better"}


class Phone:
    """One browser: its cookie, and the session and token that it has received."""

    def __init__(self, client: TestClient, cookie: str = OTHER, **own: str) -> None:
        self.client, self.own = client, own
        self.browser = {"Cookie": f"{COOKIE}={cookie}"}
        self.headers: dict[str, str] = {}

    def ask(self, path, content=None, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content or {}).encode()
        headers = self.browser | self.headers | headers
        answer = self.client.post(f"/vote/{path}", content=body, headers=headers)
        if answer.status_code == 200 and "token" in answer.json():
            joined = answer.json()
            self.headers = {"X-Session": joined["session"], "X-Rater": joined["token"]}
        return answer

    def join(self):
        return self.ask("join", self.own).json()

    def cast(self, pair, choice="left"):
        return self.ask("cast", {"pair": pair, "choice": choice})

    def tally(self):
        return self.ask("tally")

    def room(self, action):
        return self.ask("room", {"action": action})


def serve(sessions, key=KEY, environment=(), **chances):
    """A client of a newly started server on which PRESENTER has entered the key."""
    visitors = Visitors(Client(sessions.root / "runs"), key)
    visitors.presenters.sign_in(visitors.from_token(PRESENTER), key, "10.0.0.1")
    voting = VotingService(sessions, Stored(), **chances)
    settings = Settings.read(dict(environment))
    routes = VoteRoutes(voting, Trained(), Trained(), visitors, settings)
    address = Middleware(ClientAddress, proxies=settings.proxies)
    return TestClient(Starlette(routes=routes.routes(), middleware=[address]))
