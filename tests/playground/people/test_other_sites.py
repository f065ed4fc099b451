"""The requests that other sites may send, by their headers, and who may frame the page."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from playground.people.other_sites import OtherSites


def site(client=("192.0.2.7", 50000), hosts=(), local=False, frames=""):
    routes = [Route("/", lambda request: PlainTextResponse("page"), methods=["GET", "POST"])]
    options = {"hosts": frozenset(hosts), "local": local, "frames": frames}
    app = Starlette(routes=routes, middleware=[Middleware(OtherSites, **options)])
    return TestClient(app, client=client, base_url="http://align.example.org")


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_headers_of_browsers_identify_the_requesting_page(method):
    cases = [  # headers, allowed
        ({}, True),
        ({"Sec-Fetch-Site": "same-origin"}, True),
        ({"Sec-Fetch-Site": "none"}, True),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
        ({"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, False),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "https://public.example.org"}, True),
        ({"Origin": "http://align.example.org"}, True),
        ({"Origin": "https://align.example.org:8443", "X-Forwarded-Host": "x"}, False),
        ({"Origin": "https://x.org", "X-Forwarded-Host": "x.org"}, True),
        ({"Origin": "https://x.org", "X-Forwarded-Host": "x.org, inner.org:80"}, True),
        ({"Origin": "https://x.org", "X-Forwarded-Host": "evil.example,x.org"}, True),
        ({"Origin": "https://x.org", "X-Forwarded-Host": "x.org.evil.example, y.org"}, False),
        ({"Origin": "https://x.org, y.org", "X-Forwarded-Host": "x.org, y.org"}, False),
        ({"Origin": "https://", "X-Forwarded-Host": "x.org,"}, False),
        ({"Origin": "https://evil.example"}, False),
        ({"Origin": "https://align.example.org.evil.example"}, False),
        ({"Origin": "null"}, False),
        ({"Origin": ""}, False),
        ({"Origin": "https://named.example.org"}, True),
    ]
    client = site(hosts=["named.example.org"])
    wrong = [
        headers
        for headers, allowed in cases
        if (client.request(method, "/", headers=headers).status_code == 200) != allowed
    ]
    assert not wrong


def test_other_sites_may_link_to_the_page_and_frame_it_but_not_post_to_it():
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
    assert site().get("/", headers=headers).status_code == 200
    assert site().get("/", headers=headers | {"Sec-Fetch-Dest": "iframe"}).status_code == 200
    answer = site().post("/", headers=headers)
    line = "this request comes from a page of another site"
    assert (answer.status_code, answer.json()) == (403, {"why": "site", "line": line})


def test_a_foreign_host_name_on_the_loopback_is_refused():
    hosts = [  # host, allowed
        ("localhost:7860", True),
        ("127.0.0.1:7860", True),
        ("127.8.9.10", True),
        ("[::1]:7860", True),
        ("align.localhost", True),
        ("evil.example", False),
        ("evil.example:7860", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[::1", False),
        ("Named.example.org", True),
        ("named.example.org:80", True),
    ]
    for client in (
        site(client=("127.0.0.1", 50000), hosts=["named.example.org"]),
        site(client=("192.0.2.7", 50000), hosts=["named.example.org"], local=True),
    ):
        wrong = [
            host
            for host, allowed in hosts
            if (client.get("/", headers={"Host": host}).status_code == 200) != allowed
        ]
        assert not wrong
    answer = site(local=True).get("/", headers={"Host": "evil.example"})
    assert answer.json()["line"] == (
        "expected a request to this machine by its own name, got 'evil.example'; the variable "
        "PLAYGROUND_HOSTS takes further names"
    )
    assert site().get("/", headers={"Host": "any.example"}).status_code == 200


def test_a_repeated_header_is_refused_whatever_its_values():
    """Proxies and servers differ in which of two they read."""
    for name, value in (
        ("Host", "localhost"),
        ("Origin", "http://localhost"),
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-Mode", "navigate"),
        ("X-Forwarded-Host", "localhost"),
    ):
        once, twice = [(name, value)], [(name, value), (name.lower(), "evil.example")]
        assert site(local=True).get("http://localhost/", headers=once).status_code == 200, name
        for headers in (twice, twice[::-1]):
            answer = site(local=True).get("http://localhost/", headers=headers)
            assert (answer.status_code, answer.json()["why"]) == (403, "site")
            assert answer.json()["line"] == f"expected one {name.lower()} header, got 2"


MALFORMED = (
    *("evil@localhost", "localhost/evil", "localhost:abc", "localhost:99999", "localhost:", ":80"),
    *(
        "localhost.",
        "localhost..",
        "a..localhost",
        ".localhost",
        "localhost evil",
        "localhost:80:80",
    ),
    *(
        "localhost?x",
        "localhost#x",
        "localhost\\evil",
        "localhost%00",
        "localhost,,evil",
        "l\xf6calhost",
    ),
    *(
        "[::1",
        "::1",
        "[::1]80",
        "[::1]:80:80",
        "[::1%25lo]",
        "[1.2.3]",
        "[localhost]",
        "localhost:+80",
    ),
    *("x" * 64 + ".localhost", "x." * 130 + "localhost", "http://localhost", '"localhost"', ""),
)


def test_a_host_that_is_not_a_host_is_refused_wherever_it_stands():
    """Whatever the port and the name, only host[:port] is read; proxies differ in the rest."""
    servers = (site(local=True, hosts=["localhost"]), site(hosts=["localhost"]))
    for client in servers:
        passed = []
        for host in MALFORMED:
            sent = host.encode("latin-1")
            here = {"Host": "localhost"}
            for headers in ({"Host": sent}, here | {"X-Forwarded-Host": sent}):
                answer = client.get("/", headers=headers)
                name = [*headers][-1].lower()
                line = answer.json()["line"] if answer.status_code == 403 else ""
                if not line.startswith(f"{name}: expected host or host:port, got "):
                    passed.append((headers, answer.text))
            headers = here | {"Origin": b"http://" + sent}
            if client.get("/", headers=headers).status_code != 403:
                passed.append((headers, "passed"))
        assert not passed
    for origin in ("localhost", "evil://localhost", "http:localhost", "http://http://localhost"):
        assert site().get("/", headers={"Host": "localhost", "Origin": origin}).status_code == 403
    for host in ("LOCALHOST:65535", "[::FFFF:127.0.0.1]:80", "a.b-c.LocalHost"):
        headers = {"Host": host, "Origin": f"http://{host}", "X-Forwarded-Host": f"{host}, b_c:80"}
        assert site(local=True).get("/", headers=headers).status_code == 200, host


def test_the_page_sends_no_referrer_and_allows_only_the_named_frames():
    headers = site(frames="https://school.example").get("/").headers
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["X-Content-Type-Options"] == "nosniff"
    policy = "frame-ancestors 'self' https://school.example"
    assert headers["Content-Security-Policy"] == policy
    assert site().get("/").headers["Content-Security-Policy"] == "frame-ancestors 'self'"
    assert "Content-Security-Policy" not in site(frames=None).get("/").headers
