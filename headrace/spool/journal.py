"""One writer's folder and its lock: made by a process, taken over when that process is dead."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import logging
import os
import secrets
import shutil
import threading
import time
import weakref
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from headrace.spool.frame import Frame, encode
from headrace.spool.segments import Segment, Segments, is_segment
from headrace.spool.tally import KINDS, Sums, Tally

log = logging.getLogger(__name__)

LOCK, TALLY = "lock", "tally"
_UNFINISHED = ".new-"
_ABANDONED_S = 3600.0


class Journal:
    """The events of one emitter, in order. Only the process that holds the lock touches the folder.

    A file lock ends with its process, however that ends: then the next one to ask gets it. Safe in threads.

    appended, settled: frames so far, by this process; reported: a successor published the last counters
    """

    def __init__(self, folder: Path, lock: int, tally: Tally) -> None:
        self.folder = folder
        self._lock_file = lock
        self._tally = tally
        self._segments = Segments(folder, tally.first)
        self._tally_file = os.open(folder / TALLY, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self.appended = self.settled = self._taken = 0
        self.reported = False
        self._mutex = threading.Lock()
        _release_in_children(self)

    @classmethod
    def create(cls, root: Path, emitter: str) -> Self:
        """A new writer's. Raises OSError."""
        name = secrets.token_hex(8)
        # Nobody takes a folder over before it has its last name, and by then it is locked.
        unfinished, folder = root / f"{_UNFINISHED}{name}", root / name
        unfinished.mkdir(mode=0o700)
        lock = _locked(unfinished, os.O_CREAT)
        assert lock is not None
        try:
            tally = Tally(emitter)
            file = os.open(unfinished / TALLY, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                tally.write(file)
            finally:
                os.close(file)
            unfinished.rename(folder)
            return cls(folder, lock, tally)
        except OSError:
            os.close(lock)
            shutil.rmtree(unfinished, ignore_errors=True)
            raise

    @classmethod
    def take_over(cls, folder: Path) -> Self | None:
        """A dead writer's; None where it lives, somebody else was first, or, as the log says, it cannot be read now."""
        lock = None
        try:
            if (lock := _locked(folder)) is not None:
                return cls(folder, lock, Tally.read(folder / TALLY) or Tally(""))
        except OSError as error:
            log.warning("what a dead process left in %s cannot be read now (%s); it is tried again", folder, error)
            if lock is not None:
                os.close(lock)
        return None

    @property
    def emitter(self) -> str:
        """Whose events these are; empty where a power cut took the tally."""
        return self._tally.emitter

    @property
    def size(self) -> int:
        """Bytes of events on disk."""
        return self._segments.size

    @property
    def empty(self) -> bool:
        """Whether everything appended is acknowledged or refused."""
        with self._mutex:
            return self._segments.empty

    @property
    def gone(self) -> bool:
        """Whether its segments are deleted too."""
        with self._mutex:
            self._delete(self._segments.done())
            return self._segments.gone

    @property
    def damaged(self) -> int:
        """Bytes that were given up: cut off by a crash, as a rule."""
        return self._segments.damaged

    def append(self, frames: Sequence[Frame]) -> int:
        """With one write; returns what `settled` reaches once they are dealt with.

        Raises OSError, and then none of them is there.
        """
        data = encode(frames)
        with self._mutex:
            if self._lock_file < 0:
                # The folder may be another process's by now.
                raise OSError(errno.EBADF, "it is closed")
            self._segments.append(data)
            self.appended += len(frames)
            return self.appended

    def take(self) -> list[Frame]:
        """The next frames to ship, oldest first; each is taken once by this process."""
        with self._mutex:
            found = self._segments.take()
            self._taken += len(found)
            return found

    def newest(self, max_bytes: int) -> list[Frame]:
        """The newest frames, taken or not."""
        with self._mutex:
            return list(self._segments.newest(max_bytes))

    def settle(self, refused: Counter[int]) -> None:
        """Everything taken is acknowledged, but for so many of each kind that the other side refused for good."""
        with self._mutex:
            self._delete(self._segments.settle(refused))
            self.settled = self._taken

    def put_back(self) -> None:
        """What was taken is neither acknowledged nor refused: it is taken again."""
        with self._mutex:
            self._taken -= self._segments.put_back()

    def tidy(self) -> None:
        """Delete what is dealt with and old enough."""
        with self._mutex:
            self._delete(self._segments.done())

    def count(self, kind: str, emitted: int = 0, acknowledged: int = 0, dropped: int = 0) -> None:
        """Count events that are in no segment."""
        with self._mutex:
            sums = self._tally.sums[kind]
            sums.emitted += emitted
            sums.acknowledged += acknowledged
            sums.dropped += dropped
            self._write_tally()

    def number(self, sequence: int) -> None:
        """A counter with this sequence is about to be published."""
        with self._mutex:
            self._tally.sequence = sequence
            self._write_tally()

    def last(self) -> tuple[int, list[tuple[str, Sums]]]:
        """Once it is empty: the sequence of the writer's last counters, and the sums of the kinds that it used."""
        with self._mutex:
            sums = {kind: replace(found) for kind, found in self._tally.sums.items()}
            for segment in self._segments.files:
                _add(segment, sums)
            return self._tally.sequence + 1, [(kind, found) for kind, found in sums.items() if found.emitted]

    def remove(self) -> None:
        """Forget it: all of it is dealt with, and its last counters are published."""
        with self._mutex:
            self._segments.close()
            # While the lock is held: whoever opened the folder meanwhile finds it gone, see _locked.
            _clear(self.folder)
            self._let_go()

    def close(self) -> None:
        """Leave what is left to the next process."""
        with self._mutex:
            self._delete(self._segments.done())
            self._segments.close()
            self._let_go()

    def _delete(self, segments: list[Segment]) -> None:
        if not segments:
            return
        for segment in segments:
            _add(segment, self._tally.sums)
            self._tally.first = segment.number + 1
        # First: events of a segment that is gone are counted here or nowhere.
        self._write_tally()
        self._segments.delete(segments)

    def _write_tally(self) -> None:
        # In place, so that a full disk does not matter; where it fails all the same, counts trail.
        with contextlib.suppress(OSError):
            self._tally.write(self._tally_file)

    def _let_go(self) -> None:
        for file in (self._tally_file, self._lock_file):
            if file >= 0:
                os.close(file)
        self._tally_file = self._lock_file = -1

    def _forked(self) -> None:
        """A child inherits the open lock, and would hold it on after its parent's death."""
        self._mutex = threading.Lock()
        self._segments.close()
        self._let_go()


def _add(segment: Segment, sums: Mapping[str, Sums]) -> None:
    for kind, name in enumerate(KINDS):
        counted, refused = segment.counted[kind], segment.refused[kind]
        sums[name].emitted += counted + segment.lost[kind]
        sums[name].acknowledged += counted - refused
        sums[name].dropped += refused


def _clear(folder: Path) -> None:
    """Delete a writer's files, its lock last, and the folder where nothing else is in it."""
    with contextlib.suppress(OSError):
        for path in (*filter(is_segment, list(folder.iterdir())), folder / TALLY, folder / LOCK):
            with contextlib.suppress(OSError):
                path.unlink()
        folder.rmdir()


def folders(root: Path) -> list[Path]:
    """Writers' folders, the oldest first; what a crash left of a folder in the making is cleared away."""
    found: list[tuple[float, Path]] = []
    for path in root.iterdir():
        with contextlib.suppress(OSError):
            born_s = (path / LOCK).stat().st_mtime
            if not path.name.startswith(_UNFINISHED):
                found.append((born_s, path))
            elif time.time() - born_s > _ABANDONED_S:
                shutil.rmtree(path, ignore_errors=True)
    return [path for _, path in sorted(found)]


def _locked(folder: Path, flags: int = 0) -> int | None:
    """The open lock file of a folder, locked; None where another process holds it or the folder has gone meanwhile."""
    try:
        lock = os.open(folder / LOCK, os.O_RDWR | os.O_CLOEXEC | flags, 0o600)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), (folder / LOCK).stat()):
            return lock
    except (BlockingIOError, FileNotFoundError):
        os.close(lock)
        return None
    except OSError:
        os.close(lock)
        raise
    os.close(lock)
    return None


def _release_in_children(journal: Journal) -> None:
    held = weakref.ref(journal)

    def after_fork() -> None:
        if (found := held()) is not None:
            found._forked()

    os.register_at_fork(after_in_child=after_fork)
