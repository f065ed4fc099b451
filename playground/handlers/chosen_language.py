"""`?lang=zh`: the page in the language that a visitor chooses, and that their browser remembers.

Only query strings reach a page that stands in another site's frame, so there its path cannot be
chosen from outside.
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

    That is the one in the address, which a cookie keeps. The cookie's leads away from the root
    only: any other path names its language itself. `paths` are those of the pages, by language.
    """

    def __init__(self, app: ASGIApp, paths: Mapping[str, str]) -> None:
        self._app = app
        self._paths = paths
        self._languages = {f"/{path}": language for language, path in paths.items()}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http" and scope["path"] in self._languages:
            app = self._redirection(Request(scope)) or app
        await app(scope, receive, send)

    def _redirection(self, request: Request) -> RedirectResponse | None:
        """The way to the page in the chosen language; None if the request is for it."""
        shown = self._languages[request.scope["path"]]
        if (asked := request.query_params.get("lang")) in self._paths:
            response = self._to(asked, request.url.query)
            secure = "https" in (request.url.scheme, request.headers.get("x-forwarded-proto"))
            site = "SameSite=None; Secure; Partitioned" if secure else "SameSite=Lax"
            cookie = f"{COOKIE}={asked}; Path=/; Max-Age={_SECONDS}; {site}"
            response.headers["Set-Cookie"] = cookie
            return response
        kept = request.cookies.get(COOKIE)
        if shown == ENGLISH and kept in self._paths and kept != shown:
            return self._to(kept, request.url.query)
        return None

    def _to(self, language: str, query: str) -> RedirectResponse:
        """A redirection to the page of a language, with a query as it stands but for `lang`."""
        parts = [part for part in query.split("&") if part.partition("=")[0] != "lang"]
        target = self._paths[language] or "."  # relative, as the page may stand below a path
        response = RedirectResponse("?".join(filter(None, [target, "&".join(parts)])), 307)
        response.headers["Cache-Control"] = "no-store"
        return response
