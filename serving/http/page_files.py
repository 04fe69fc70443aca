"""The JavaScript client (clients/javascript) for web pages: `<script type="module" src="…/client/thumbs.js">`.

`/client/NAME.js` is asked for again each time and leads to `/client/DIGEST/NAME.js`, which browsers keep: the files of
one digest belong together. They are public, as what is in a page is.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

from fastapi import FastAPI, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

ENTRIES = ("index", "page", "thumbs")
_FOR_ANY_PAGE = {
    "access-control-allow-origin": "*",
    # Pages that isolate themselves take nothing else from elsewhere.
    "cross-origin-resource-policy": "cross-origin",
    "x-content-type-options": "nosniff",
}


def mount(app: FastAPI) -> None:
    """Add the routes."""
    found = {file.name: file.read_bytes() for file in (files(__package__) / "javascript").iterdir()}
    digest = hashlib.sha256(b"\0".join(found[name] for name in sorted(found))).hexdigest()[:16]

    @app.api_route("/client/{name}.js", methods=["GET", "HEAD"], include_in_schema=False)
    async def entry(request: Request, name: str) -> Response:
        """Where the current files are."""
        if name not in ENTRIES:
            raise HTTPException(404)
        tag = {"cache-control": "no-cache", "etag": f'"{digest}"'}
        if request.headers.get("if-none-match") == tag["etag"]:
            return Response(status_code=304, headers=_FOR_ANY_PAGE | tag)
        return _script(f'export * from "./{digest}/{name}.js";\n'.encode(), tag)

    @app.api_route("/client/{version}/{name}.js", methods=["GET", "HEAD"], include_in_schema=False)
    async def file(version: str, name: str) -> Response:
        """One of them."""
        body = found.get(f"{name}.js")
        if body is None:
            raise HTTPException(404)
        # While gateways are replaced one by one, another may have led here.
        kept = "public, max-age=31536000, immutable" if version == digest else "no-store"
        return _script(body, {"cache-control": kept})


def _script(body: bytes, headers: dict[str, str]) -> Response:
    return Response(body, 200, _FOR_ANY_PAGE | headers, "text/javascript")
