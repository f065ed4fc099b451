"""The Compare view: several runs in the same charts, and their differences."""

from __future__ import annotations

from playground.content import optimum
from playground.handlers.compare import CURVES, CompareHandlers
from playground.handlers.mixtures import SHARES, MixtureHandlers
from playground.people.requests import server_functions, with_named_task
from playground.people.threads import picture_threads
from playground.views import run_picker
from playground.views.parts import PLOTLY_HEAD, part
from playground.views.shared import Shared

_COMPARE = """
<form class="asking" autocomplete="off">
  <div class="panel">
    <fieldset class="choice tasks"><legend></legend></fieldset>
    <fieldset class="choice models"><legend></legend>
      <input type="search" class="sought"></fieldset>
  </div>
  <div class="side">
    <p class="few"></p>
    <ul class="legend"></ul>
    <ul class="errors" role="alert"></ul>
    <div class="found" hidden>
      <div class="overview">
        <div class="pictures">
          <section class="chart trade">
            <header><h2></h2><button type="button" class="help">?</button></header>
            <div class="plot" role="img"></div>
            <p class="aside"></p>
          </section>
          <div class="curves"></div>
        </div>
        <div class="tables">
          <section class="sheet apart">
            <div class="wide"><table></table></div>
            <p class="aside"></p>
          </section>
          <section class="sheet head-to-head">
            <header><h2></h2><button type="submit"></button></header>
            <p class="aside rules"></p>
            <div class="wide" aria-live="polite"><table></table><p class="aside counted"></p></div>
          </section>
        </div>
      </div>
      <section class="sheet mixing" hidden>
        <h2></h2><div></div><ul class="errors" role="alert"></ul>
      </section>
      <section class="answers texts"></section>
      <p class="scale"><b>−2</b><i></i><b>+2</b> <span></span></p>
    </div>
  </div>
</form>
"""


def build(shared: Shared) -> None:
    """Lay out the view that compares runs."""
    words, handlers_of = shared.words, shared.handlers_of(CompareHandlers)
    mixture_handlers = shared.handlers_of(MixtureHandlers)
    pictures = picture_threads()
    part(
        "compare",
        _COMPARE,
        "compare/compare",
        server_functions=[
            *server_functions(handlers_of, CompareHandlers.runs),
            *server_functions(handlers_of, CompareHandlers.compare, threads=pictures),
            *server_functions(handlers_of, CompareHandlers.head_to_head, threads=shared.questions),
            pictures.serve(with_named_task(shared.visitors, optimum.frontier)),
            *server_functions(mixture_handlers, MixtureHandlers.mixture, threads=shared.questions),
        ],
        words={**words["try"], **words["mixture"], **words["compare"]},
        shares=SHARES,
        shading=words["shading"] | words["samples"],
        frontier=words["frontier"],
        saving=words["saving"],
        metrics=words["charts"]["metrics"],
        statuses=words["status"]["names"],
        choices=words["choices"],
        curves=CURVES,
        head=PLOTLY_HEAD,
        **run_picker.props(words),
    )
