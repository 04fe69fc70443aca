"""Who sends an API key."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress

from headrace.access.roles import Principal, Role, anonymous
from headrace.errors import SettingsError
from headrace.settings import Settings, address

DEFAULT_TENANT = "default"


class Keys:
    """Tenants by API key; only digests are kept, so that no key can reach a log.

    Without keys everybody is tenant "default": the gateway then listens on loopback only.
    """

    def __init__(self, text: str) -> None:
        """From `tenant=key,tenant=key`. Raises SettingsError, which names the tenant and never the key."""
        self._tenants: list[tuple[bytes, str]] = []
        for number, pair in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
            tenant, equals, key = (part.strip() for part in pair.partition("="))
            if not (tenant and equals and key):
                raise SettingsError(f"HEADRACE_API_KEYS, entry {number}: it takes tenant=key,tenant=key")
            if any(hmac.compare_digest(digest, _digest(key)) for digest, _ in self._tenants):
                raise SettingsError(f"HEADRACE_API_KEYS: tenant {tenant} has another tenant's key; give it its own")
            self._tenants.append((_digest(key), tenant))

    @classmethod
    def of(cls, settings: Settings) -> Keys:
        """The settings' keys. Raises SettingsError where the gateway would take strangers without a key."""
        keys = cls("")
        host, _ = address(settings.gateway)
        if not keys._tenants and not _loopback(host):
            raise SettingsError(
                f"HEADRACE_GATEWAY is {settings.gateway}, which others can reach;"
                " set HEADRACE_API_KEYS to tenant=key or listen on 127.0.0.1"
            )
        return keys

    def principal(self, authorization: str) -> Principal | None:
        """Who sends an `Authorization: Bearer KEY` header; None where the key is nobody's.

        Takes the same time whichever key it is, and whether it is one.
        """
        if not self._tenants:
            return anonymous(DEFAULT_TENANT)
        scheme, _, key = authorization.partition(" ")
        given = _digest(key.strip() if scheme.lower() == "bearer" else "")
        found = None
        for digest, tenant in self._tenants:
            if hmac.compare_digest(digest, given):
                found = Principal(tenant, frozenset({Role.INGEST}), key_id=digest.hex()[:12])
        return found


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
