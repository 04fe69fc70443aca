"""What a sender is told whose export is not taken: OTLP's status, the same over HTTP and gRPC.

Exporters send again what is answered 429 and 503 over HTTP (https://opentelemetry.io/docs/specs/otlp/#failures-1), and
over gRPC UNAVAILABLE, or RESOURCE_EXHAUSTED with a RetryInfo (#failures).
"""

from __future__ import annotations

from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status

from headrace.access.roles import Forbidden
from serving.http.refusal import Refusal
from serving.otlp.layout import Malformed

# google.rpc.Code
INVALID_ARGUMENT, DEADLINE_EXCEEDED, UNAUTHENTICATED, PERMISSION_DENIED = 3, 4, 16, 7
RESOURCE_EXHAUSTED, UNAVAILABLE = 8, 14
_CODES = {
    401: UNAUTHENTICATED,
    403: PERMISSION_DENIED,
    408: DEADLINE_EXCEEDED,
    429: RESOURCE_EXHAUSTED,
    413: RESOURCE_EXHAUSTED,
    503: UNAVAILABLE,
}

NotTaken = (Refusal, Malformed, Forbidden)


def told(error: Refusal | Malformed | Forbidden) -> tuple[int, Status]:
    """The HTTP status, and google.rpc.Status with a RetryInfo where the same export may be sent again."""
    http = error.status if isinstance(error, Refusal) else 403 if isinstance(error, Forbidden) else 400
    status = Status(code=_CODES.get(http, INVALID_ARGUMENT), message=str(error))
    if (wait_s := retry_after_s(error)) is not None:
        status.details.add().Pack(RetryInfo(retry_delay=Duration(seconds=wait_s)))
    return http, status


def retry_after_s(error: Refusal | Malformed | Forbidden) -> int | None:
    """When the same export may be sent again; None where it must not be."""
    return error.retry_after_s if isinstance(error, Refusal) else None
