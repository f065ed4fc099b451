"""The Gradio app: it lays out the views, connects their shared parts, and is served."""

from __future__ import annotations

import gc
import json
import sys
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import gradio as gr
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from align_core.config.errors import ConfigError, raise_collected
from align_core.config.methods import methods
from align_core.config.model_index import model_errors
from align_core.inference.client import MAX_PENDING, InferenceClient
from align_core.runs.client import Client
from align_core.votes.sessions import TRAINED_ON, Sessions
from playground import text
from playground.content import optimum, recordings, story, tasks
from playground.endpoints.questions import Questions
from playground.endpoints.routes import EndpointRoutes
from playground.handlers.ask import AskHandlers
from playground.handlers.chosen_language import ChosenLanguage
from playground.handlers.compare import CompareHandlers
from playground.handlers.health import health_route
from playground.handlers.housekeeping import Housekeeping
from playground.handlers.link_code import link_code_route
from playground.handlers.mixtures import MixtureHandlers
from playground.handlers.query_handlers import QueryHandlers
from playground.handlers.rendered import Rendered
from playground.handlers.run_files import RunFiles
from playground.own.models import Models
from playground.own.routes import OwnRoutes
from playground.people import log, page_states
from playground.people.access import VisibleModels, VisibleRuns
from playground.people.addresses import is_loopback
from playground.people.bodies import Bodies
from playground.people.client_address import ClientAddress
from playground.people.connections import ConnectionLimits, guard
from playground.people.malformed_calls import HANDLERS, CheckedCalls, pass_on_refusals
from playground.people.memory_arenas import limit_arenas
from playground.people.other_sites import OtherSites
from playground.people.own_tasks import PUBLIC, OwnTasks, TaskLimits
from playground.people.requests import HandlersOf, server_functions
from playground.people.run_queue import RunQueue
from playground.people.threads import Threads
from playground.people.visitors import Visitors
from playground.settings import Settings
from playground.views import ask, compare, lab, learn, masthead, rate, train
from playground.views import story as story_view
from playground.views.parts import STATIC, preloads, static_routes
from playground.views.theme import Theme
from playground.voting.pairs import Pairs
from playground.voting.room import VotingService
from playground.voting.routes import VoteRoutes
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
QUEUE_SECONDS = 0.25  # between two polls of Gradio's queue; a shutdown waits for the next one
# The helper process takes MAX_PENDING questions; the other half of the threads may wait for the
# answer to a question that is equal to one of these.
QUESTION_THREADS = 2 * MAX_PENDING
# Gradio's routes that strangers could misuse: some write what a visitor sends to files or to the
# log, some take the name of a file or of another site, some store invented names or never end an
# answer, and some fail for unknown names. The page needs none of them: it has no component for
# files, and none of its events waits in Gradio's queue.
CLOSED = tuple(
    f"/gradio_api/{path}"
    for path in (
        *("upload", "upload_progress", "process_recording", "deep_link", "dev/reload"),
        *(f"{path}={{rest:path}}" for path in ("file", "proxy")),
        *(f"{path}/{{rest:path}}" for path in ("file", "heartbeat", "stream", "queue", "call")),
        "custom_component/{rest:path}",
    )
)
# Scripts in the head of the page, which run before anything is drawn.
_FIRST = ("core/layers", "core/visitor", "core/settings", "talk/present")


class Page(CheckedCalls):
    """Gradio's page, with further routes."""

    voting: VotingService
    votes: VoteRoutes
    housekeeping: Housekeeping
    extra_routes: Sequence[BaseRoute] = ()  # in addition to Gradio's own
    larger_bodies: Mapping[str, int] = MappingProxyType({})  # path -> bytes
    mcp_tools: Any = None  # the MCP server, if any; the app starts and stops it (lifespan)
    server: Settings

    def launch(self, **options: Any) -> Any:
        """`Blocks.launch` with this page's routes and middleware; the CLOSED routes answer 403."""
        closed = [Route(path, _closed, methods=["GET", "POST"]) for path in CLOSED]
        routes = [*closed, *self.extra_routes, *static_routes()]
        sites = Middleware(
            OtherSites,
            hosts=self.server.hosts,
            local=is_loopback(self.server.host),
            frames=self.server.frames,
        )
        language = Middleware(ChosenLanguage, paths=text.languages())
        addresses = Middleware(ClientAddress, proxies=self.server.proxies)
        limits = self.server.limits
        bodies = Middleware(
            Bodies,
            larger=self.larger_bodies,
            max_bytes=limits.body_bytes,
            seconds=limits.body_seconds,
        )
        pages = [f"/{path}" for path in text.languages().values()]
        rendered = Middleware(
            Rendered, paths=[*pages, "/config", "/config/"], first=_read("core/frames.js")
        )
        page_states.use_page_states()
        pass_on_refusals()
        max_by_address = limits.connections  # a proxy's connections are those of many visitors
        if self.server.proxies == 0:
            max_by_address = limits.connections_by_address
        guard(
            ConnectionLimits(
                limits.connections, max_by_address, limits.head_seconds, limits.body_seconds
            )
        )
        app_kwargs: dict[str, Any] = {
            "routes": routes,
            "middleware": [sites, language, addresses, bodies, rendered],
            "exception_handlers": HANDLERS,
            # Otherwise FastAPI looks for these at each request: a twentieth of the process's time.
            "telemetry": {"tracing": False, "metrics": False, "logs": False},
        }
        if self.mcp_tools is not None:
            app_kwargs["lifespan"] = self.mcp_tools.lifespan
        launched = super().launch(app_kwargs=app_kwargs, **options)
        # Gradio's queue, which is always empty, would be polled a thousand times a second.
        self._queue.sleep_when_free = QUEUE_SECONDS
        self._queue.progress_update_sleep_when_free = QUEUE_SECONDS
        return launched


def build(client: Client, models: Sequence[str] = ()) -> Page:
    """The page in every language, each at its own path (`text.languages`).

    All views start and read runs through `client`. `models` are offered for visitors' own tasks, in
    addition to the embedded ones.
    """
    languages = text.languages()
    catalogues = {
        path: tasks.with_task_words(text.load(language)) for language, path in languages.items()
    }
    helper = InferenceClient(client)
    settings = Settings.read()
    tasks_folder = settings.tasks or client.root.with_name("tasks")
    own = OwnTasks(tasks_folder, PUBLIC if settings.public else TaskLimits(), settings.limits)
    own.load()
    visitors = Visitors(client, settings.presenter_key, settings.public, own, settings.limits)
    queue = RunQueue(client, visitors, settings.time_limit, limits=settings.limits)
    sessions = settings.sessions or client.root.with_name("sessions")
    recorded = recordings.recorded()
    page = Page(title=catalogues[""]["title"], fill_width=True)
    pairs = Pairs(helper)
    page.voting = VotingService(
        Sessions(sessions), pairs, limits=settings.limits, configurations=queue.configurations
    )
    page.housekeeping = Housekeeping(client, queue, page.voting, settings.limits)
    vote_training = VoteTraining(client, queue, helper, pairs, sessions / TRAINED_ON)
    page.server = settings
    page.votes = VoteRoutes(page.voting, vote_training, visitors, settings)
    offered = Models(models, any_hub_id=not settings.public)
    page.larger_bodies = {"/own/save": 2 * own.limits.bytes}
    questions = Threads("questions", QUESTION_THREADS)
    endpoint_questions = Questions(visitors, helper, recorded, catalogues[""], questions)
    endpoints = EndpointRoutes(endpoint_questions, mcp=settings.mcp)
    page.mcp_tools = endpoints.mcp_server
    page.extra_routes = [
        *page.votes.routes(),
        *OwnRoutes(visitors, offered, [*catalogues.values()]).routes(),
        health_route(client, queue),
        link_code_route(settings),
        *RunFiles(client, visitors, recorded).routes(),
        *endpoints.routes(),
    ]
    for path, words in catalogues.items():
        with page.route(words["title"], path, show_in_navbar=False) if path else page:
            others = {to: catalogues[p]["language"] for to, p in languages.items() if p != path}
            _lay_out(page, client, helper, queue, settings, recorded, words, others, questions)
    return page


def _lay_out(
    page: gr.Blocks,
    client: Client,
    helper: InferenceClient,
    queue: RunQueue,
    server: Settings,
    recorded: dict[str, recordings.Recording],
    words: dict[str, Any],
    others: dict[str, dict[str, str]],
    questions: Threads,
) -> None:
    """Lay out the page in one language; `others` has the tag and name of each other language."""
    head = masthead.build(words, others)

    def visible(request: gr.Request) -> tuple[VisibleRuns, VisibleModels]:
        visitor = queue.visitors.sender(request)
        runs = VisibleRuns(client, queue.visitors, visitor)
        return runs, VisibleModels(helper, queue.visitors, visitor)

    def handlers_of(handlers: type[QueryHandlers]) -> HandlersOf:
        return lambda request: handlers(*visible(request), words, recorded)

    ask_handlers, compare_handlers = handlers_of(AskHandlers), handlers_of(CompareHandlers)
    (mixture,) = server_functions(
        handlers_of(MixtureHandlers), MixtureHandlers.mixture, threads=questions
    )

    with gr.Tabs(elem_id="views") as views:
        # All views are rendered at once: Train keeps following a run while another view is shown.
        with gr.Tab(words["views"]["train"], id="train", render_children=True):
            settings = train.build(page, client, words, queue, server, mixture)
        with gr.Tab(words["views"]["learn"], render_children=True):
            learn.build(ask_handlers, words, questions)
        with gr.Tab(words["views"]["compare"], render_children=True):
            compare.build(compare_handlers, words, queue.visitors, questions, mixture)
        with gr.Tab(words["views"]["try"], render_children=True):
            ask.build_try(ask_handlers, words, questions)
        with gr.Tab(words["views"]["score"], render_children=True):
            ask.build_score(ask_handlers, words, questions)
        with gr.Tab(words["views"]["rate"], render_children=True):
            ballots = rate.build(ask_handlers, words)
        with gr.Tab(words["views"]["lab"], render_children=True):
            lab.build(words, queue)
    story_view.build(words)
    # Once a run on the votes was requested, the Train view shows it, or its place in the queue.
    ballots.trained(
        lambda: gr.Tabs(selected="train"), None, views, queue=False, api_visibility="private"
    )
    names = json.dumps([*settings])
    submitted = head.submit(js=train.WHEN_COMPLETE, queue=False, api_visibility="private")
    submitted.then(None, list(settings.values()), head, js=_SETTINGS % names)


async def _closed(request: Request) -> Response:
    return JSONResponse({"why": "closed", "line": "this page has no such route"}, 403)


def _in_script(value: Any) -> str:
    """The value as JSON that cannot end a <script>: file names may contain any text."""
    return json.dumps(value).replace("<", "\\u003c")


def _records() -> dict[str, Any]:
    """The facts about tasks and methods that the page's modules need (records.js)."""
    return {
        "tasks": tasks.available(),
        "methods": {
            name: {
                "makes": method.makes,
                "beta": "beta" in method.options,
                "basic": method.basic,
                "optimum": method.optimum,
                "optima": dict(method.optima),
                "group": method.learns_from if method.reference else "alone",
            }
            for name, method in methods().items()
        },
    }


def launch_options() -> dict[str, Any]:
    """The arguments of `Blocks.launch`."""
    settings = Settings.read()
    return {
        "server_name": settings.host,
        "server_port": settings.port,
        "theme": Theme(),
        "head": "".join(f"<script>{_read(f'{name}.js')}</script>" for name in _FIRST)
        + f'<script type="application/json" id="records">{_in_script(_records())}</script>'
        + preloads(),
        "footer_links": [],
        "run_history": False,
        "enable_monitoring": False,
        "ssr_mode": False,
        "share": False,
        "quiet": True,  # otherwise Gradio suggests a public share link
        "state_session_capacity": 2000,
        "max_file_size": "20mb",
    }


def _read(name: str) -> str:
    return (STATIC / name).read_text(encoding="utf-8")


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
        story.scenes()  # so that the story opens at once
        gc.collect()
        gc.freeze()  # the page's objects are never freed: a full collection spent 0.1 s on them
        sys.setswitchinterval(SWITCH_SECONDS)
        page.block_thread()
    finally:
        client.close()
