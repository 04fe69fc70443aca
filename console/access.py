"""Who may look at the console: everybody on this machine while there are no API keys, else who signed in with one.

A session lives in this process alone and ends after SESSION_S, by signing out, or with its key: the key is looked up
again each time, so that a revoked one shows nothing any more.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import SecretStr

from headrace.access.roles import Principal, Role
from headrace.errors import UserError

LOOKERS = (Role.READ, Role.OPERATE)
SESSION_S = 12 * 3600.0
MAX_SESSIONS = 1000
WINDOW_S = 60.0
MAX_WRONG = 10
"""Wrong keys from one address within WINDOW_S."""
MAX_ADDRESSES = 10_000


class Keys(Protocol):
    """What the console asks of the keys, as headrace.access.key_ring.KeyRing has it."""

    @property
    def empty(self) -> bool:
        """Whether no key was ever made."""

    def find(self, text: str) -> Principal | None:
        """Who holds the key; None for one that is unknown or revoked."""


class WrongKey(UserError):
    """The key is unknown, was revoked, or has no role that may look."""


class TooManyWrong(UserError):
    """Wrong keys came too fast; the next ones are not even looked at."""


@dataclass(frozen=True, slots=True)
class _Session:
    key: SecretStr
    ends_s: float


class Access:
    """Sessions and the count of wrong keys.

    local: whether the console listens on loopback alone; else nobody comes in without a key
    clock: seconds, monotonic
    """

    def __init__(self, keys: Keys, local: bool, clock: Callable[[], float] = time.monotonic) -> None:
        self.local = local
        self._keys = keys
        self._clock = clock
        self._sessions: dict[bytes, _Session] = {}
        self._wrong: dict[str, list[float]] = {}

    @property
    def open(self) -> bool:
        """Whether nobody has to sign in."""
        return self.local and self._keys.empty

    def session(self, token: str | None) -> Principal | None:
        """Who signed in and got this token; None where that is over."""
        name = _digest(token or "")
        found = self._sessions.get(name)
        if found is None:
            return None
        principal = self._keys.find(found.key.get_secret_value()) if self._clock() < found.ends_s else None
        if principal is None or not principal.may(*LOOKERS):
            del self._sessions[name]
            return None
        return principal

    def sign_in(self, key: str, address: str) -> tuple[str, Principal]:
        """A new session's token, and whose it is. Raises WrongKey, TooManyWrong.

        address: where the request came from
        """
        now = self._clock()
        wrong = [at for at in self._wrong.get(address, ()) if at > now - WINDOW_S]
        if len(wrong) >= MAX_WRONG:
            raise TooManyWrong("too many wrong keys came from here within a minute; wait a minute and try again")
        principal = self._keys.find(key)
        if principal is None:
            self._wrong.pop(address, None)
            self._wrong[address] = [*wrong, now]
            _bound(self._wrong, MAX_ADDRESSES)
            raise WrongKey("this key is unknown or was revoked; `headrace keys list` shows those that there are")
        if not principal.may(*LOOKERS):
            raise WrongKey(f"key {principal.key_id} may not look; it takes one with the role {' or '.join(LOOKERS)}")
        token = secrets.token_urlsafe(32)
        self._sessions[_digest(token)] = _Session(SecretStr(key), now + SESSION_S)
        _bound(self._sessions, MAX_SESSIONS)
        return token, principal

    def sign_out(self, token: str | None) -> None:
        """End a session."""
        self._sessions.pop(_digest(token or ""), None)


def _bound(found: dict[Any, Any], most: int) -> None:
    """Let the oldest go."""
    while len(found) > most:
        del found[next(iter(found))]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
