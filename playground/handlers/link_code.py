"""`GET /link.svg?task=capitals&beta=0.3`: the QR code of a link to these settings, for phones."""

from __future__ import annotations

import io
from urllib.parse import urlencode

import segno
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from playground.handlers.links import FIELDS
from playground.people.addresses import address_for_phones
from playground.people.client_address import client_address
from playground.people.json_requests import Refused, check_rate
from playground.people.rate_limit import RateLimit
from playground.settings import Settings

LIMIT = (1.0, 40)  # by address: requests per second, and requests at once
MAX_CHARACTERS = 1000  # of a link; the code of a longer one could not be read from a screen


def link_code_route(settings: Settings) -> Route:
    """The route. The link leads to this server, and keeps only the parameters of settings, race and
    language."""
    limit = RateLimit(*LIMIT)

    async def answer(request: Request) -> Response:
        try:
            check_rate(limit, client_address())
            address = address_for_phones(settings, request.url.port or 80)
            if address is None:
                raise Refused(404, "none", "no phone can reach this server")
            query = request.query_params
            parameters = {name: query[name] for name in (*FIELDS, "race", "lang") if name in query}
            link = f"{address}/?{urlencode(parameters)}"
            if len(link) > MAX_CHARACTERS:
                expected = f"expected a link of at most {MAX_CHARACTERS} characters"
                raise Refused(413, "malformed", f"{expected}, got {len(link)}")
        except Refused as error:
            return error.response()
        code = io.BytesIO()
        segno.make_qr(link, error="l").save(code, kind="svg", border=2, light="#fff")
        return Response(code.getvalue(), media_type="image/svg+xml")

    return Route("/link.svg", answer)
