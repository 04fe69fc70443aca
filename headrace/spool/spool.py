"""The folder of all writers: this one's journal, those of the dead, the bound."""

from __future__ import annotations

import errno
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from headrace.errors import HeadraceError, SettingsError
from headrace.spool.frame import Frame
from headrace.spool.journal import Journal, folders

MAX_BYTES = 256 * 1024 * 1024
RETRY_S = 1.0

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE)


class SpoolFull(HeadraceError):
    """The spool took nothing of it: its bound is reached, or the disk is full."""


@dataclass(frozen=True, slots=True)
class SpoolState:
    """What `/metrics` shows.

    size: bytes on disk, of this writer and of the dead ones it took over
    refused: appends that found no room; damaged: bytes that were given up: damaged, or cut off by a crash
    inherited: dead writers whose events were shipped
    """

    size: int = 0
    refused: int = 0
    damaged: int = 0
    inherited: int = 0


class Spool:
    """Where one writer appends, and where it finds what dead ones left.

    root: shared by any number of processes of one machine, on a local disk
    emitter: this writer's name
    max_bytes: of this writer and of the dead ones it took over
    own, inherited: the journals that this process holds; `own` is None while the disk is full
    """

    def __init__(self, root: Path, emitter: str, max_bytes: int = MAX_BYTES) -> None:
        """Raises SettingsError where the folder cannot be written; a disk that is full now may not be so later."""
        self.root = root
        self.own: Journal | None = None
        self._emitter = emitter
        self._max_bytes = max_bytes
        self.inherited: list[Journal] = []
        self._refused = self._damaged = self._shipped = 0
        self._tried_s = -RETRY_S
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._create()
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise SettingsError(
                    f"the spool {root} cannot be written ({error.strerror}); name a folder that this process may write"
                ) from None
        self.inherit()

    @property
    def state(self) -> SpoolState:
        """As of now."""
        damaged = self._damaged + sum(one.damaged for one in self.inherited) + (self.own.damaged if self.own else 0)
        return SpoolState(self._size(), self._refused, damaged, self._shipped)

    def append(self, frames: Sequence[Frame]) -> int:
        """With one write, before it returns; see Journal.append. Raises SpoolFull, and then none of them is there."""
        try:
            if self._size() + sum(len(frame.body) for frame in frames) > self._max_bytes:
                raise SpoolFull(f"the spool {self.root} holds its {self._max_bytes} bytes")
            if self.own is None:
                self._create()
            # Another thread may close it meanwhile.
            if (own := self.own) is None:
                raise SpoolFull(f"the spool {self.root} could not be made on a full disk")
            return own.append(frames)
        except OSError as error:
            self._refused += 1
            raise SpoolFull(f"the spool {self.root} cannot be written: {error.strerror}") from None
        except SpoolFull:
            self._refused += 1
            raise

    def inherit(self) -> list[Journal]:
        """Take over what dead writers left; all of it that is not forgotten yet, the oldest first."""
        try:
            found = folders(self.root)
        except OSError:
            found = []
        held = {journal.folder for journal in (*self.inherited, *([self.own] if self.own else []))}
        for folder in found:
            if folder not in held and (journal := Journal.take_over(folder)) is not None:
                self.inherited.append(journal)
        return list(self.inherited)

    def report(self, journal: Journal) -> None:
        """Everything of a dead writer is shipped, and its last counters are published."""
        journal.reported = True
        self._shipped += 1

    def tidy(self) -> None:
        """Delete what nothing is left to do with."""
        if self.own is not None:
            self.own.tidy()
        for journal in list(self.inherited):
            if journal.reported and journal.gone:
                self._forget(journal)

    def close(self, finished: bool) -> None:
        """Let go. finished: nothing is left to ship and the last counters are published, so nothing need stay."""
        for journal in list(self.inherited):
            if journal.reported:
                self._forget(journal)
            else:
                journal.close()
        self.inherited = []
        if self.own is not None:
            if finished and self.own.empty:
                self.own.remove()
            else:
                self.own.close()
            self.own = None
        # No more appends: whoever comes later finds it full.
        self._max_bytes = 0

    def _forget(self, journal: Journal) -> None:
        self.inherited.remove(journal)
        self._damaged += journal.damaged
        journal.remove()

    def _size(self) -> int:
        return (self.own.size if self.own else 0) + sum(one.size for one in self.inherited)

    def _create(self) -> None:
        if time.monotonic() - self._tried_s >= RETRY_S:
            self._tried_s = time.monotonic()
            self.own = Journal.create(self.root, self._emitter)
