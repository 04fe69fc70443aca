"""The keys of a file as a gateway or a console knows them: read again when the file changed."""

from __future__ import annotations

import hmac
import logging
import time
from datetime import UTC, datetime
from pathlib import Path

from headrace.access.keys import PREFIX, Key, digest, read
from headrace.access.roles import DEFAULT_TENANT, Principal, owner
from headrace.errors import SettingsError
from headrace.settings import Settings

LOOK_S = 0.05
"""How long what was read of the file holds before it is asked whether it changed."""
_NO_KEY = digest("")

log = logging.getLogger(__name__)


class KeyRing:
    """The keys of a file as they were look_s ago or later, for thousands of questions a second.

    A new one holds at once. What was known holds while the file cannot be read or is gone, so that nobody gains or
    loses a right by that.
    """

    def __init__(self, file: Path, look_s: float = LOOK_S) -> None:
        """Raises SettingsError where the file cannot be used."""
        self._file = file
        self._look_s = look_s
        self._looked = time.monotonic()
        self._stamp = _stamp(file)
        self._known = _by_id(file)
        self._complained = ""

    @property
    def empty(self) -> bool:
        """Whether no key was ever made."""
        self._refresh()
        return not self._known

    @property
    def origins(self) -> frozenset[str]:
        """Of the web pages that some active key is for."""
        self._refresh()
        now = datetime.now(UTC)
        return frozenset(
            origin
            for key, _ in self._known.values()
            if key.origins and key.state(now) == "active"
            for origin in key.origins
        )

    def find(self, text: str) -> Principal | None:
        """Who holds the key; None for one that is unknown, revoked or expired, which look alike."""
        self._refresh()
        found = self._active(text)
        # It may have been made just now. What has no key's form, as the other products' that clients send, was not.
        if found is None and text.startswith(f"{PREFIX}_") and self._refresh(at_once=True):
            found = self._active(text)
        return found

    def _active(self, text: str) -> Principal | None:
        prefix, _, rest = text.partition("_")
        found = self._known.get(rest.partition("_")[0]) if prefix == PREFIX else None
        same = hmac.compare_digest(found[0].digest if found else _NO_KEY, digest(text))
        if found is None or not same or found[0].state(datetime.now(UTC)) != "active":
            return None
        return found[1]

    def _refresh(self, at_once: bool = False) -> bool:
        """Whether the file was read again."""
        if not at_once and time.monotonic() - self._looked < self._look_s:
            return False
        self._looked = time.monotonic()
        stamp = _stamp(self._file)
        if stamp == self._stamp:
            return False
        try:
            if not (known := _by_id(self._file)) and self._known:
                raise SettingsError(f"the key file {self._file} is gone, or the keys in it are")
            self._known = known
        except SettingsError as error:
            if str(error) != self._complained:
                log.error("%s; the keys known before still hold", error)
                self._complained = str(error)
        else:
            # A file that could not be read is read again at the next question: what was wrong may have passed.
            self._stamp, self._complained = stamp, ""
        return True


def command_line(settings: Settings) -> Principal:
    """Who uses the command line: the holder of HEADRACE_KEY, or else the owner of this machine's home.

    Raises SettingsError where the key is none of this home's.
    """
    text = settings.key.get_secret_value()
    if not text:
        from getpass import getuser

        return owner(DEFAULT_TENANT, f"cli:{getuser()}")
    found = KeyRing(settings.keys).find(text)
    if found is None:
        raise SettingsError(f"HEADRACE_KEY is no active key of {settings.keys}; `headrace keys list` shows those")
    return found


def _by_id(file: Path) -> dict[str, tuple[Key, Principal]]:
    return {key.id: (key, key.principal()) for key in read(file)}


def _stamp(file: Path) -> tuple[int, int, int, int] | None:
    """Changes with the file's content and its mode; None where there is no file."""
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ctime_ns, found.st_ino, found.st_size
