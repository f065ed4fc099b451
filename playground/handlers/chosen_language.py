"""`?lang=zh`: a visitor chooses the language of the page, and the browser stores the choice.

A page inside another site's frame receives only the query string of the outer address, not a path.
"""

from __future__ import annotations

from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from playground.text import ENGLISH

COOKIE = "playground_language"
_SECONDS = 31_536_000  # a year


class ChosenLanguage:
    """Middleware that redirects a request for a page to its path in the chosen language.

    The query chooses the language, and a cookie stores it. The stored language redirects only from
    the root, because any other path names a language. A trailing slash is removed here, because
    Gradio's own redirection drops the query. `paths` is language -> path of its page.
    """

    def __init__(self, app: ASGIApp, paths: Mapping[str, str]) -> None:
        self._app = app
        self._paths = paths
        self._languages = {f"/{path}": language for language, path in paths.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        path = scope["path"] if scope["type"] == "http" else ""
        if path in self._languages:
            app = self._redirection(Request(scope)) or app
        elif path.endswith("/") and path[:-1] in self._languages:
            app = _redirect(f"..{path[:-1]}", Request(scope).url.query)
        await app(scope, receive, send)

    def _redirection(self, request: Request) -> RedirectResponse | None:
        """A redirection to the page in the language of the query or, from the English page, in
        that of the cookie; None if the requested URL is right."""
        shown = self._languages[request.scope["path"]]
        if (chosen := request.query_params.get("lang", "")) in self._paths:
            response = self._redirect_to(chosen, request.url.query)
            secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
            site = "SameSite=None; Secure; Partitioned" if secure else "SameSite=Lax"
            cookie = f"{COOKIE}={chosen}; Path=/; Max-Age={_SECONDS}; {site}"
            response.headers["Set-Cookie"] = cookie
            return response
        stored = request.cookies.get(COOKIE, "")
        if shown == ENGLISH and stored in self._paths and stored != shown:
            return self._redirect_to(stored, request.url.query)
        return None

    def _redirect_to(self, language: str, query: str) -> RedirectResponse:
        """A redirection to the page of a language, with the query without `lang`."""
        parts = [part for part in query.split("&") if part.partition("=")[0] != "lang"]
        return _redirect(self._paths[language] or ".", "&".join(parts))


def _redirect(target: str, query: str) -> RedirectResponse:
    """A redirection to a relative path, because the page may be served below a path."""
    response = RedirectResponse("?".join(filter(None, [target, query])), 307)
    response.headers["Cache-Control"] = "no-store"
    return response
