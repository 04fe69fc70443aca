"""Signing in and out: a page of its own, without scripts, that takes an API key and gives a cookie."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from html import escape
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from console.access import SESSION_S, Access, TooManyWrong, WrongKey
from console.gate import COOKIE, SIGN_IN
from headrace.access.roles import Principal

SIGN_OUT = "/sign-out"
MAX_BYTES, BODY_S = 4096, 10.0
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; "
    "frame-ancestors 'none'",
}
PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>headrace: sign in</title>
<meta name="viewport" content="width=device-width">
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 14px/1.5 system-ui, sans-serif; display: grid; place-items: center; min-height: 90vh; margin: 0; }}
form {{ display: grid; gap: 12px; width: min(360px, 90vw); }}
h1 {{ font-size: 20px; font-weight: 600; margin: 0; }}
input, button {{ font: inherit; padding: 8px 10px; }}
p {{ margin: 0; }} .fault {{ color: #dc2626; }}
</style></head><body>
<form method="post" action="/sign-in">
<h1>headrace</h1>
<label for="key">An API key with the role read</label>
<input id="key" name="key" type="password" autocomplete="current-password" required autofocus>
<button>Sign in</button>
<p class="fault" role="alert">{fault}</p>
</form></body></html>"""

log = logging.getLogger(__name__)

SignedIn = Callable[[Principal, str], None]


def routes(access: Access, signed_in: SignedIn) -> list[Route]:
    """The pages.

    signed_in: is told who signed in, and from which address
    """

    async def show(request: Request) -> Response:
        return RedirectResponse("/", 303) if access.open else _page("")

    async def sign_in(request: Request) -> Response:
        address = request.client.host if request.client else ""
        try:
            async with asyncio.timeout(BODY_S):
                key = await _key(request)
        except TimeoutError:
            return PlainTextResponse("the form did not come in time", 408)
        if key is None:
            return PlainTextResponse("this is not the sign-in form", 400)
        try:
            token, principal = access.sign_in(key, address)
        except (WrongKey, TooManyWrong) as error:
            log.warning("signing in from %s was refused: %s", address, error)
            return _page(str(error), 403 if isinstance(error, WrongKey) else 429)
        signed_in(principal, address)
        # A session that the browser had before ends with this one.
        access.sign_out(request.cookies.get(COOKIE))
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            token,
            max_age=int(SESSION_S),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return answer

    async def sign_out(request: Request) -> Response:
        access.sign_out(request.cookies.get(COOKIE))
        answer = RedirectResponse(SIGN_IN, 303)
        answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
        return answer

    return [
        Route(SIGN_IN, show, methods=["GET"]),
        Route(SIGN_IN, sign_in, methods=["POST"]),
        Route(SIGN_OUT, sign_out, methods=["POST"]),
    ]


async def _key(request: Request) -> str | None:
    """The form's key; None where the body is no such form."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BYTES:
            return None
    try:
        fields = parse_qs(body.decode("ascii"), strict_parsing=True, max_num_fields=4)
    except ValueError:
        return None
    return fields["key"][0].strip() if "key" in fields else None


def _page(fault: str, status: int = 200) -> Response:
    return HTMLResponse(PAGE.format(fault=escape(fault)), status, HEADERS)
