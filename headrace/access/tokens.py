"""Answer tokens: what a web page got with an answer, and shows when its user says something about it.

A token is `<inference id>.<expiry>.<MAC>`: the id's 32 hexadecimal digits, seconds since 1970, and the HMAC-SHA256 of
both and the tenant, in base64 for addresses. Gateways make and check it by the secret that they share.
"""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from pydantic import SecretStr

from headrace.access.mac import mac_of
from headrace.errors import UserError

LIFETIME = timedelta(days=7)
_LIFETIME_S = int(LIFETIME.total_seconds())
_DOMAIN = b"headrace answer token 1"


class TokenError(UserError):
    """The token is none, is another tenant's, or its time is over."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The answer that a token is for, and when the token was made."""

    inference_id: UUID
    issued_at: datetime


def answer_token(secret: SecretStr, tenant: str, inference_id: UUID, now: datetime) -> str:
    """The token of an answer that the tenant got."""
    expiry = int(now.timestamp()) + _LIFETIME_S
    return f"{inference_id.hex}.{expiry}.{_mac(secret, tenant, inference_id, expiry)}"


def answered(secret: SecretStr, tenant: str, token: str, now: datetime) -> Answered:
    """What a token stands for. Raises TokenError, in the same words for another tenant's and for one made up."""
    try:
        answer, until, _ = token.split(".")
        inference_id, expiry = UUID(hex=answer), int(until)
    except ValueError:
        raise TokenError("the answer token is not one that a gateway made") from None
    # Of what was made here alone the expiry can be a time.
    whole = f"{inference_id.hex}.{expiry}.{_mac(secret, tenant, inference_id, expiry)}"
    if not hmac.compare_digest(whole.encode(), token.encode("utf-8", "surrogateescape")):
        raise TokenError("the answer token is not one that a gateway made")
    if expiry <= now.timestamp():
        raise TokenError(f"the answer token is older than {LIFETIME.days} days")
    return Answered(inference_id, datetime.fromtimestamp(expiry, UTC) - LIFETIME)


def _mac(secret: SecretStr, tenant: str, inference_id: UUID, expiry: int) -> str:
    # The tenant comes last: what stands before it has a fixed length or a separator that it cannot hold.
    said = b"\x00".join((_DOMAIN, inference_id.hex.encode(), str(expiry).encode(), tenant.encode()))
    return base64.urlsafe_b64encode(mac_of(secret.get_secret_value()).digest(said)).decode().rstrip("=")
