"""Who asks: the holder of an API key, or anonymous programs on this machine where there is no key yet."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from headrace.access.key_ring import KeyRing
from headrace.access.roles import DEFAULT_TENANT, Principal, Role, anonymous
from headrace.errors import SettingsError
from headrace.settings import Settings, address, is_loopback
from serving.http.refusal import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

SPEAKERS = (Role.INGEST, Role.OUTCOME, Role.REVIEW)
"""Roles that may bring events; which ones is checked event by event."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")


class Callers:
    """Finds a request's principal, and refuses web pages that are none of the key's.

    local: whether the gateway listens on this machine's loopback address alone; else nobody comes in without a key
    """

    def __init__(self, ring: KeyRing, local: bool) -> None:
        self._ring = ring
        self._local = local

    @classmethod
    def of(cls, settings: Settings) -> Callers:
        """Raises SettingsError for an unusable key file, and where the gateway would take strangers without a key."""
        places = {"GATEWAY": settings.gateway} | ({"OTLP_GRPC": settings.otlp_grpc} if settings.otlp_grpc else {})
        open_ones = [(name, where) for name, where in places.items() if not is_loopback(address(where)[0])]
        callers = cls(KeyRing(settings.keys), local=not open_ones)
        if callers._ring.empty and open_ones:
            name, where = open_ones[0]
            raise SettingsError(
                f"HEADRACE_{name} is {where}, which others can reach, and {settings.keys} holds no API key;"
                " make one with `headrace keys add` or listen on 127.0.0.1"
            )
        return callers

    @property
    def origins(self) -> frozenset[str]:
        """Of the web pages that may send feedback."""
        return self._ring.origins

    def permitted(self, request: Request, *roles: Role) -> Principal:
        """The principal of a request, who has one of these roles. Raises Refusal 401 and 403, Forbidden."""
        principal = self._principal(request)
        origin = request.headers.get("origin")
        if Role.PUBLISH in principal.roles:
            if origin not in principal.origins:
                raise Refusal(403, f"key {principal.key_id} is for web pages of {', '.join(principal.origins)} alone")
        elif origin is not None and origin.partition("://")[2] != request.headers.get("host"):
            raise Refusal(
                403, "a web page may only send feedback, by a key with the role publish that lists its origin"
            )
        # request.url would put a whole address together, of which the host alone takes longer than the rest of this.
        principal.require(f"{request.method} {request.scope['path']}", *roles)
        return principal

    def near(self, request: Request) -> bool:
        """Whether the request comes from this machine itself, and through no proxy that says so."""
        return (
            request.client is not None
            and is_loopback(request.client.host)
            and _is_called_local(request)
            and not any(name in request.headers for name in _FORWARDED)
        )

    def of_metadata(self, metadata: Iterable[tuple[str, str | bytes]]) -> Principal:
        """The principal of a gRPC call. Raises Refusal 401."""
        said = next((value for name, value in metadata if name == "authorization"), "")
        found = self._holder(said if isinstance(said, str) else "")
        if found is None:
            raise Refusal(401, "the API key is missing or unknown; send the metadata authorization: Bearer KEY")
        return found

    def _principal(self, request: Request) -> Principal:
        found = self._holder(request.headers.get("authorization", ""))
        if found is None:
            raise Refusal(401, "the API key is missing or unknown; send Authorization: Bearer KEY")
        # A page whose host name was rebound to 127.0.0.1 is of the gateway's own origin, but not of this name.
        if not found.key_id and not _is_called_local(request):
            raise Refusal(403, "without API keys the gateway answers to 127.0.0.1 and localhost alone")
        return found

    def _holder(self, authorization: str) -> Principal | None:
        """The holder of the key; where there is no key yet, whoever asks on this machine."""
        scheme, _, key = authorization.partition(" ")
        found = self._ring.find(key.strip() if scheme.lower() == "bearer" else "")
        if found is None and self._local and self._ring.empty:
            return anonymous(DEFAULT_TENANT)
        return found


def _is_called_local(request: Request) -> bool:
    """Whether the name that the request calls the gateway by is this machine's own."""
    return _is_local(request.headers.get("host", ""))


@lru_cache(maxsize=1024)
def _is_local(host: str) -> bool:
    try:
        return is_loopback(urlsplit(f"//{host}").hostname or "")
    except ValueError:
        return False
