"""The Gradio app: it builds the page from its views and its routes, and serves it."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import gradio as gr

from align_core.config.errors import ConfigError, raise_collected
from align_core.config.model_index import model_errors
from align_core.inference.client import MAX_PENDING, InferenceClient
from align_core.runs.client import Client
from align_core.votes.sessions import TRAINED_ON, Sessions
from playground import text
from playground.content import optimum, recordings, story, tasks
from playground.endpoints.questions import Questions
from playground.endpoints.routes import EndpointRoutes
from playground.handlers.health import health_route
from playground.handlers.housekeeping import Housekeeping
from playground.handlers.link_code import link_code_route
from playground.handlers.run_files import RunFiles
from playground.own.models import Models
from playground.own.routes import OwnRoutes
from playground.people import log
from playground.people.memory_arenas import limit_arenas
from playground.people.own_tasks import PUBLIC, OwnTasks, TaskLimits
from playground.people.run_queue import RunQueue
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from playground.server.page import Page
from playground.settings import Settings
from playground.views import ask, compare, lab, learn, masthead, rate, train, train_events
from playground.views import story as story_view
from playground.views.head import head
from playground.views.shared import Shared
from playground.views.theme import Theme
from playground.voting.pairs import Pairs
from playground.voting.room import VotingService
from playground.voting.routes import VoteRoutes
from playground.voting.vote_reports import VoteReports
from playground.voting.vote_training import VoteTraining

# Only Gradio knows the values of all controls, including hidden ones. The time makes each object
# differ from the last one, because the masthead reacts only to a change of its value.
_SETTINGS = """(...values) => ({
  settings: Object.fromEntries(%s.map((name, i) => [name, values[i]])),
  time: performance.now(),
})"""
# The interpreter's switch interval. The thread that answers all visitors waits behind each thread
# that saves votes; with Python's default, 5 ms, a vote took twice as long.
SWITCH_SECONDS = 0.0005
# The helper process takes MAX_PENDING questions. As many further threads are for repetitions of
# these questions, which wait for the same answers.
QUESTION_THREADS = 2 * MAX_PENDING


def build(client: Client, models: Sequence[str] = ()) -> Page:
    """The page in every language, each at its own path (`text.languages`).

    All views start and read runs through `client`. `models` are offered for visitors' own tasks, in
    addition to the embedded ones.
    """
    languages = text.languages()
    catalogues = {
        path: tasks.with_task_words(text.load(language)) for language, path in languages.items()
    }
    settings = Settings.read()
    tasks_folder = settings.tasks or client.root.with_name("tasks")
    own = OwnTasks(tasks_folder, PUBLIC if settings.public else TaskLimits(), settings.limits)
    own.load()
    visitors = Visitors(client, settings.presenter_key, settings.public, own, settings.limits)
    queue = RunQueue(client, visitors, settings.time_limit, limits=settings.limits)
    shared = Shared(
        client=client,
        helper=InferenceClient(client),
        queue=queue,
        server=settings,
        recorded=recordings.recorded(),
        questions=Threads("questions", QUESTION_THREADS),
        words=catalogues[""],
    )
    page = Page(title=shared.words["title"], fill_width=True)
    page.server = settings
    page.larger_bodies = {"/own/save": 2 * own.limits.bytes}
    votes = _add_voting(page, shared)
    page.housekeeping = Housekeeping(client, queue, page.voting, settings.limits)
    offered = Models(models, any_hub_id=not settings.public)
    questions = Questions(visitors, shared.helper, shared.recorded, shared.words, shared.questions)
    endpoints = EndpointRoutes(questions, mcp=settings.mcp)
    page.mcp_tools = endpoints.mcp_server
    page.extra_routes = [
        *votes.routes(),
        *OwnRoutes(visitors, offered, [*catalogues.values()]).routes(),
        health_route(client, queue),
        link_code_route(settings),
        *RunFiles(client, visitors, shared.recorded).routes(),
        *endpoints.routes(),
    ]
    for path, words in catalogues.items():
        with page.route(words["title"], path, show_in_navbar=False) if path else page:
            others = {to: catalogues[p]["language"] for to, p in languages.items() if p != path}
            _lay_out(page, replace(shared, words=words), others)
    return page


def _add_voting(page: Page, shared: Shared) -> VoteRoutes:
    """Give the page its sessions of votes, `page.voting`; returns their routes."""
    client, queue, limits = shared.client, shared.queue, shared.server.limits
    folder = shared.server.sessions or client.root.with_name("sessions")
    pairs = Pairs(shared.helper)
    page.voting = VotingService(
        Sessions(folder), pairs, limits=limits, configurations=queue.configurations
    )
    training = VoteTraining(client, queue, pairs, folder / TRAINED_ON)
    reports = VoteReports(client, shared.helper, folder / TRAINED_ON)
    return VoteRoutes(page.voting, training, reports, shared.visitors, shared.server)


def _lay_out(page: gr.Blocks, shared: Shared, others: dict[str, dict[str, str]]) -> None:
    """Lay out the page in one language; `others` has the tag and name of each other language."""
    words = shared.words
    top = masthead.build(words, others)
    with gr.Tabs(elem_id="views") as views:
        # All views are rendered at once: Train keeps following a run while another view is shown.
        with gr.Tab(words["views"]["train"], id="train", render_children=True):
            settings = train.build(page, shared)
        with gr.Tab(words["views"]["learn"], render_children=True):
            learn.build(shared)
        with gr.Tab(words["views"]["compare"], render_children=True):
            compare.build(shared)
        with gr.Tab(words["views"]["try"], render_children=True):
            ask.build_try(shared)
        with gr.Tab(words["views"]["score"], render_children=True):
            ask.build_score(shared)
        with gr.Tab(words["views"]["rate"], render_children=True):
            ballots = rate.build(shared)
        with gr.Tab(words["views"]["lab"], render_children=True):
            lab.build(shared)
    story_view.build(words)
    # Once a run on the votes was requested, the Train view shows it, or its place in the queue.
    ballots.trained(
        lambda: gr.Tabs(selected="train"), None, views, queue=False, api_visibility="private"
    )
    names = json.dumps([*settings])
    submitted = top.submit(js=train_events.WHEN_COMPLETE, queue=False, api_visibility="private")
    submitted.then(None, list(settings.values()), top, js=_SETTINGS % names)


def launch_options() -> dict[str, Any]:
    """The arguments of `Blocks.launch`."""
    settings = Settings.read()
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "theme": Theme(),
        "head": head(),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
        "quiet": True,  # otherwise Gradio suggests a public share link
        "state_session_capacity": 2000,
        "max_file_size": "20mb",
    }


def main(
    task_names: Sequence[str] = (), models: Sequence[str] = (), log_json: bool = False
) -> None:
    """Serve the page until Ctrl-C, which stops a live run and keeps its model.

    `task_names` and `models` are the values of `--task` and `--model`.
    """
    settings = Settings.read()
    log.set_up(log_json or settings.log_json)
    try:
        wrong = [model_errors("--model", model, reward_model=False) for model in models]
        raise_collected(sum(wrong, []))
        tasks.register_tasks(task_names)
    except ConfigError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    limit_arenas()
    client = Client(settings.runs, at_once=settings.runs_at_once)
    try:
        page = build(client, models)
        page.launch(**launch_options(), prevent_thread_lock=True)
        log.take_over_server()
        print(f"The page is on {page.local_url}; Ctrl-C ends it.", flush=True)
        client.preload()
        client.measure_machine()
        page.housekeeping.start()
        optimum.warm()
        story.scenes()  # so that the story opens without a delay
        gc.collect()
        gc.freeze()  # the page's objects are never freed: a full collection spent 0.1 s on them
        sys.setswitchinterval(SWITCH_SECONDS)
        page.block_thread()
    finally:
        client.close()
