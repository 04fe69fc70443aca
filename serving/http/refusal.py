"""A request that gets no answer: the status and OpenAI's error body, with one sentence."""

from __future__ import annotations

import json
import logging
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response

from headrace.access.roles import Forbidden
from headrace.contract.events import sentence
from headrace.contract.framing import MARK
from headrace.contract.texts import whole_characters
from headrace.errors import HeadraceError

KINDS = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}

M = TypeVar("M", bound=BaseModel)

log = logging.getLogger(__name__)


class Refusal(HeadraceError):
    """Becomes the response.

    param: the field at fault; details: further keys of the error object
    retry_after_s: when to come again
    """

    def __init__(
        self,
        status: int,
        message: str,
        kind: str = "",
        param: str | None = None,
        retry_after_s: int | None = None,
        **details: Any,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind or KINDS.get(status, "invalid_request_error" if status < 500 else "server_error")
        self.param = param
        self.retry_after_s = retry_after_s if status != 503 else retry_after_s or 1
        self.details = details

    def body(self) -> bytes:
        """{"error": {"message", "type", "param", …}}"""
        error = {"message": str(self), "type": self.kind, "param": self.param} | self.details
        return json.dumps({"error": error}).encode()

    def response(self) -> Response:
        """The body with its status."""
        headers = {"retry-after": str(self.retry_after_s)} if self.retry_after_s else None
        return Response(self.body(), self.status, headers, "application/json")


def response_to(request: Request, error: Exception) -> Response:
    """What a request gets whose route raised this; what nobody foresaw goes to the log."""
    if isinstance(error, Refusal):
        return error.response()
    if isinstance(error, Forbidden):
        return Refusal(403, str(error)).response()
    log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
    return Refusal(500, "the gateway failed on this request; its log says why").response()


def parsed(model: type[M], body: bytes) -> M:
    """A request's body, a byte order mark before it read past. Raises Refusal that names the field."""
    try:
        return model.model_validate_json(body.removeprefix(MARK))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        if first["type"] == "json_invalid" and (whole := whole_characters(body)) != body:
            return parsed(model, whole)
        param = ".".join(str(part) for part in first["loc"]) or None
        message = sentence("the request", error) if param else f"the body is not what it should be: {first['msg']}"
        raise Refusal(400, message, param=param) from None
