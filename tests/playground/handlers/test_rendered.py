"""The page is rendered once, for all visitors and for every host name of the server."""

from __future__ import annotations

import asyncio
import gzip

import httpx
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route

from playground.handlers.rendered import Rendered
from tests import loops


class Site:
    """A site whose page names the server twice; `renders` has the queries that reached it."""

    def __init__(self):
        self.renders, self.fails = [], False
        routes = [Route("/", self.page), Route("/other", self.page), Route("/json", self.json)]
        rendered = Middleware(Rendered, paths=["/", "/json"], first="go()")
        self.app = Starlette(routes=routes, middleware=[rendered])

    async def page(self, request):
        self.renders.append(request.url.query)
        await asyncio.sleep(0)  # others ask meanwhile
        root = str(request.url.replace(query="", path="")).rstrip("/")
        return HTMLResponse(
            f"<head></head><a href='{root}/x'>{root}</a>", 500 if self.fails else 200
        )

    async def json(self, request):
        return JSONResponse({"a": "<head>"})

    def ask(self, *asked, method="GET"):
        """The answers to simultaneous requests, each a path and headers."""

        async def ask():
            transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://own.org") as client:
                client.headers.pop("accept-encoding")
                return await asyncio.gather(
                    *(client.request(method, path, headers=headers) for path, headers in asked)
                )

        return loops.run(ask())


@pytest.fixture
def site():
    return Site()


def test_simultaneous_first_requests_share_one_rendering_without_a_query(site):
    queries = ("", "?deep_link=1", "?page=x", "?all_endpoints=1")
    texts = {answer.text for answer in site.ask(*((f"/{query}", {}) for query in queries))}
    body = "<a href='http://own.org/x'>http://own.org</a>"
    assert texts == {f"<head><script>go()</script></head>{body}"}
    (answer,) = site.ask(("/json", {}))
    assert answer.json() == {"a": "<head>"}
    assert site.renders == [""]
    site.ask(("/other?a", {}), ("/other?b", {}))
    assert site.renders == ["", "a", "b"], "other paths are not kept"
    site.ask(("/", {}), method="POST")
    assert len(site.renders) == 3, "a method without a route reaches none"


def test_every_client_gets_the_address_by_which_it_knows_the_server(site):
    addresses = [
        ({}, "http://own.org"),
        ({"Host": "127.0.0.1:7860"}, "http://127.0.0.1:7860"),
        ({"Host": "[::1]:7860"}, "http://[::1]:7860"),
        ({"Host": "in", "X-Forwarded-Host": "out.org, in.org"}, "http://out.org"),
        ({"X-Forwarded-Host": ""}, "http://own.org"),
        ({"X-Forwarded-Proto": "https"}, "https://own.org"),
        ({"X-Forwarded-Proto": "https, http", "X-Forwarded-Host": "a.org"}, "https://a.org"),
        ({"X-Forwarded-Proto": "javascript"}, "http://own.org"),
    ]
    answers = site.ask(*(("/", headers) for headers, _ in addresses))
    for answer, (_, address) in zip(answers, addresses, strict=True):
        assert answer.text.endswith(f"<a href='{address}/x'>{address}</a>")
    assert site.renders == [""]


@pytest.mark.parametrize("name", ["a'><script>", "a.org/x", "a b", "u@a.org", "", "a:b", "[::1"])
def test_a_name_that_is_none_is_refused_before_it_is_rendered(site, name):
    answers = site.ask(("/", {"X-Forwarded-Host": name or ","}), ("/", {"Host": name}))
    assert [answer.status_code for answer in answers] == [400, 400]
    assert not site.renders


def test_a_browser_gets_it_compressed_and_only_once(site):
    (plain,), (small,) = site.ask(("/", {})), site.ask(("/", {"Accept-Encoding": "gzip, br"}))
    assert plain.headers["vary"] == small.headers["vary"] == "Accept-Encoding"
    assert small.headers["content-encoding"] == "gzip"
    assert int(small.headers["content-length"]) == len(gzip.compress(plain.content, 6))
    assert small.text == plain.text and plain.headers["content-length"] == str(len(plain.content))
    tag = plain.headers["etag"]
    others = [("/", {"If-None-Match": tags}) for tags in (tag, f'"x", {tag}', '"x"', tag[:-1])]
    others.append(("/", {"If-None-Match": tag, "Host": "other.org"}))
    assert [answer.status_code for answer in site.ask(*others)] == [304, 304, 200, 200, 200]


def test_a_page_that_could_not_be_rendered_is_tried_again(site):
    site.fails = True
    assert [answer.status_code for answer in site.ask(("/", {}), ("/", {}))] == [500, 500]
    site.fails = False
    assert site.ask(("/", {}))[0].status_code == 200
