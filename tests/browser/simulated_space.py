"""A Hugging Face Space as its visitors reach it, on this machine.

A TLS proxy before the exported page adds the headers of the Hub's proxies, and serves the Hub's own
page, which frames it. ZeroGPU is a module `spaces` that stores its start-up report.
"""

from __future__ import annotations

import http.client
import json
import os
import ssl
import subprocess
import sys
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[2]
HUB, SPACE = "https://hub.test", "https://ada-align.hf.test"
SIGNATURE = "eyJhbGciOi"  # the visitor's, for a private Space
VISITOR, INNER_PROXY = "81.2.69.142", "10.108.3.7"
# The frame of the Hub, without access to the clipboard, which other sites may not grant.
_FRAME = (
    '<!doctype html><title>ada/align</title><body style="margin:0">'
    '<iframe style="border:0;width:100vw;height:100vh" allow="fullscreen" sandbox="allow-downloads'
    " allow-forms allow-modals allow-popups allow-popups-to-escape-sandbox allow-same-origin"
    f' allow-scripts" src="{SPACE}/?{{query}}__theme=light&__sign={SIGNATURE}"></iframe>'
)
_USER = {"user": 1000, "group": 1000}
_ZERO_GPU = """
import json, pathlib, sys
early = sorted({"gradio", "torch"} & sys.modules.keys())
declared = []
def GPU(function):
    declared.append(function.__name__)
    return function
gradio_auto_wrap = lambda function: function
import gradio
launch = gradio.Blocks.launch
def launch_and_report(*arguments, **options):
    report = {"declared": declared, "early": early, "torch": "torch" in sys.modules}
    pathlib.Path(__file__).with_name("report.json").write_text(json.dumps(report))
    return launch(*arguments, **options)
gradio.Blocks.launch = launch_and_report
"""


def preferences(folder: Path, all_cookies_blocked: bool) -> Path:
    """The profile of a browser that blocks third-party cookies, or all cookies."""
    settings: dict[str, object] = {"block_third_party_cookies": True, "cookie_controls_mode": 1}
    if all_cookies_blocked:
        settings["default_content_setting_values"] = {"cookies": 2}
    (folder / "Default").mkdir(parents=True)
    (folder / "Default" / "Preferences").write_text(json.dumps({"profile": settings}))
    return folder


def start(tree: Path, folder: Path, port: int, **environment: str) -> subprocess.Popen[bytes]:
    """Start the exported `tree` as on a ZeroGPU Space; `folder` is for the module `spaces`.

    As user 1000, as there, where that is possible (`why_not_as_user`).
    """
    (folder / "spaces.py").write_text(_ZERO_GPU)
    settings = {
        "PYTHONPATH": os.pathsep.join(map(str, (folder, ROOT))),
        "GRADIO_SERVER_PORT": str(port),
        "SPACE_ID": "ada/align",
        "SPACE_HOST": SPACE.removeprefix("https://"),
        "SPACES_ZERO_GPU": "true",
        "SYSTEM": "spaces",
        "HOME": str(folder),
    }
    user = {} if why_not_as_user() else _USER
    if user:
        for path in (tree, folder, *tree.rglob("*"), *folder.rglob("*")):
            os.chown(path, user["user"], user["group"])
    command = [sys.executable, "-m", "tests.playground.start_space"]
    return subprocess.Popen(command, cwd=tree, env=os.environ | settings | environment, **user)


@cache
def why_not_as_user() -> str | None:
    """Why no process can be started as user 1000; None if one can."""
    if os.getuid() != 0:
        return "only root may start a process as user 1000"
    try:
        subprocess.run([sys.executable, "-c", "import segno"], check=True, cwd=ROOT, **_USER)
    except (OSError, subprocess.CalledProcessError):
        return f"user 1000 may not run {Path(sys.executable).resolve()} and its packages"
    return None


class Proxy:
    """Serves the Hub's page and the Space's over TLS at `port`; the Space has `hops` proxies."""

    def __init__(self, folder: Path, upstream: int) -> None:
        self.hops, self.pid = 1, 0  # the process behind it
        self.referers: set[str | None] = set()  # the Referer headers of browsers
        certificate = folder / "certificate.pem"
        command = ["openssl", "req", "-x509", "-nodes", "-newkey", "ec", "-days", "1"]
        command += ["-pkeyopt", "ec_paramgen_curve:P-256", "-subj", "/CN=test"]
        command += ["-keyout", str(certificate), "-out", str(folder / "public.pem")]
        subprocess.run(command, check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "public.pem", certificate)
        proxy = self

        class Handler(_Handler):
            def setup(self) -> None:
                self.request = context.wrap_socket(self.request, server_side=True)
                self.upstream = http.client.HTTPConnection("127.0.0.1", upstream)
                self.proxy = proxy
                super().setup()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.handle_error = lambda *_: None  # a browser that hangs up
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    proxy: Proxy
    upstream: http.client.HTTPConnection

    def do_GET(self) -> None:
        if f"https://{self.headers['Host']}" == HUB:
            query = self.path.partition("?")[2]
            page = _FRAME.format(query=f"{query}&" if query else "").encode()
            return self._answer(200, [("Content-Type", "text/html")], page)
        self.proxy.referers.add(self.headers["Referer"])
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        chain = (VISITOR, INNER_PROXY)[: self.proxy.hops]
        forwarded = {
            "X-Forwarded-For": ", ".join(chain),
            "X-Forwarded-Proto": "https",
            "X-Forwarded-Host": self.headers["Host"],
        }
        headers = {**self.headers, **forwarded, "Connection": "keep-alive"}
        self.upstream.request(self.command, self.path, body or None, headers)
        answer = self.upstream.getresponse()
        return self._answer(answer.status, answer.getheaders(), answer.read())

    do_POST = do_HEAD = do_GET

    def _answer(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
