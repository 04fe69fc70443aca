"""The append-only files of one writer, in order."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import stat
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from headrace.spool.frame import MAGIC, Frame, decode
from headrace.spool.tally import KINDS

log = logging.getLogger(__name__)

SEGMENT_BYTES = 4 * 1024 * 1024
"""A segment that is larger takes no more; it is read whole, so this bounds memory too (and one append on top)."""
KEEP_S = 2.0
"""How long a segment is kept after its last append though all of it is acknowledged: files are not made for single
events, and a successor knows an event again that was kept, and its caller not yet told so."""
SUFFIX = ".segment"
_NAME = re.compile(r"[0-9]{12}\.segment")
SAID_EVERY_S = 60.0


@dataclass(slots=True)
class Segment:
    """One file.

    size: bytes that are whole; read: of those, how many were taken, and settled: taken and dealt with
    counted: events of the settled frames, by kind; refused: of those, how many the other side will never take
    lost: events of damaged frames, by kind: emitted, and neither acknowledged nor dropped
    """

    number: int
    path: Path
    size: int
    read: int = len(MAGIC)
    settled: int = len(MAGIC)
    touched_s: float = field(default_factory=time.time)
    counted: Counter[int] = field(default_factory=Counter)
    refused: Counter[int] = field(default_factory=Counter)
    lost: Counter[int] = field(default_factory=Counter)


@dataclass(slots=True)
class Taken:
    """What was read of a segment at once.

    frames: the whole ones
    lost: events of damaged frames, by kind, as far as their headers can be believed
    damaged: bytes that are in no whole frame
    """

    segment: Segment
    frames: list[Frame] = field(default_factory=list)
    lost: Counter[int] = field(default_factory=Counter)
    damaged: int = 0


class Segments:
    """Appended to at one end, taken and deleted at the other. Not safe in threads: see headrace.spool.journal.

    A frame is settled when it is acknowledged, or proven unreadable: by its checksum, or because its file is gone. An
    error of reading proves nothing. The segment is read again at the next call, and those after it wait, in order.
    Files that bear another name, such as a person's copy of a segment, are left alone.

    first: segments before this one are dealt with
    files: oldest first
    size: bytes on disk; damaged: how many were given up: cut off by a crash as a rule
    """

    def __init__(self, folder: Path, first: int) -> None:
        """Raises OSError where the folder cannot be read now."""
        self._folder = folder
        self.files: deque[Segment] = deque()
        self._taken: list[Taken] = []
        self._next = first
        self._open = -1
        self.damaged = 0
        self.size = 0
        self._said_s = -SAID_EVERY_S
        # Not glob, to which a folder that it may not read is empty.
        for path in sorted(path for path in folder.iterdir() if path.suffix == SUFFIX):
            number = int(path.stem) if is_segment(path) else None
            if number is not None and number < first:
                # Its end was written down, and then the process died.
                _unlink(path)
                continue
            if number is None or not stat.S_ISREG((found := path.stat()).st_mode):
                log.warning("%s is no segment of the spool, it is left alone; move it elsewhere", path)
                continue
            self.files.append(Segment(number, path, found.st_size, touched_s=found.st_mtime))
            self.size += self.files[-1].size
            self._next = number + 1

    @property
    def gone(self) -> bool:
        """Whether no file is left."""
        return not self.files

    @property
    def empty(self) -> bool:
        """Whether everything that was appended is settled."""
        return all(segment.settled >= segment.size for segment in self.files)

    def append(self, data: bytes) -> None:
        """One write. Raises OSError, and then nothing of it is there."""
        if self._open < 0 or self.files[-1].size >= SEGMENT_BYTES:
            self._start()
        segment = self.files[-1]
        try:
            written = os.write(self._open, data)
            if written < len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            try:
                os.ftruncate(self._open, segment.size)
            except OSError:
                # Its whole part is still read, up to `size`; what follows goes elsewhere.
                self._finish()
            raise
        segment.size += len(data)
        segment.touched_s = time.time()
        self.size += len(data)

    def take(self) -> list[Frame]:
        """The oldest frames that were not taken yet, at most those of one segment; empty where there are none.

        Empty, too, where they cannot be read now, which the log says once a minute: they are there at a later call.
        """
        for segment in self.files:
            if segment.read >= segment.size:
                continue
            try:
                taken = _read(segment)
            except OSError as error:
                self._complain(segment, error)
                return []
            segment.read = segment.size
            if not taken.frames:
                self._settle(taken)
                continue
            self._taken.append(taken)
            return taken.frames
        return []

    def put_back(self) -> int:
        """What was taken and is not settled is taken again; returns how many frames it is."""
        frames = 0
        for taken in self._taken:
            taken.segment.read = taken.segment.settled
            frames += len(taken.frames)
        self._taken = []
        return frames

    def settle(self, refused: Counter[int]) -> list[Segment]:
        """Everything taken is acknowledged, but for so many that were refused; returns the segments to delete."""
        for taken in self._taken:
            self._settle(taken)
        if self._taken:
            self._taken[-1].segment.refused.update(refused)
        self._taken = []
        return self.done()

    def done(self) -> list[Segment]:
        """Segments from the oldest on that nothing is left to do with."""
        found = []
        for segment in self.files:
            if segment.settled < segment.size or time.time() - segment.touched_s < KEEP_S:
                break
            found.append(segment)
        return found

    def newest(self, max_bytes: int) -> Iterator[Frame]:
        """The frames of the newest segments, some `max_bytes` of them, whether they are taken or not."""
        for segment in reversed(self.files):
            if max_bytes <= 0:
                return
            try:
                data = segment.path.read_bytes()
            except OSError as error:
                self._complain(segment, error)
                continue
            max_bytes -= len(data)
            yield from (frame for frame, whole in decode(data[len(MAGIC) :]) if whole)

    def delete(self, segments: list[Segment]) -> None:
        """Delete the oldest ones, which are these."""
        for segment in segments:
            if self._open >= 0 and segment is self.files[-1]:
                self._finish()
            self.files.popleft()
            self.size -= segment.size
            _unlink(segment.path)

    def close(self) -> None:
        """No more appends."""
        self._finish()

    def _start(self) -> None:
        self._finish()
        path = self._folder / f"{self._next:012d}{SUFFIX}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
        file = os.open(path, flags, 0o600)
        self._next += 1
        try:
            if os.write(file, MAGIC) < len(MAGIC):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(file)
            path.unlink(missing_ok=True)
            raise
        self._open = file
        self.files.append(Segment(self._next - 1, path, len(MAGIC)))
        self.size += len(MAGIC)

    def _finish(self) -> None:
        if self._open >= 0:
            os.close(self._open)
            self._open = -1

    def _settle(self, taken: Taken) -> None:
        segment = taken.segment
        # Appends may have followed since, but nothing else was taken.
        segment.settled = segment.read
        for frame in taken.frames:
            segment.counted[frame.kind] += frame.counted
        segment.lost.update(taken.lost)
        self.damaged += taken.damaged
        if taken.damaged:
            log.error(
                "%d bytes of %s are given up: damaged, cut off by a crash, or gone with the file",
                *(taken.damaged, segment.path),
            )

    def _complain(self, segment: Segment, error: OSError) -> None:
        now = time.monotonic()
        if now - self._said_s >= SAID_EVERY_S:
            self._said_s = now
            log.warning(
                "%s cannot be read (%s); its events wait, and it is tried again. Where that lasts, mend the disk or the"
                " file's mode, or move the file away to give its events up (said once a minute)",
                segment.path, error.strerror,
            )  # fmt: skip


def is_segment(path: Path) -> bool:
    """Whether a file is named as one."""
    return _NAME.fullmatch(path.name) is not None


def _read(segment: Segment) -> Taken:
    """What of a segment was not taken yet. Raises OSError where it cannot be read now."""
    taken = Taken(segment)
    data = b""
    # Where its first bytes are damaged the frames are not: each has its own checksum.
    with contextlib.suppress(FileNotFoundError), segment.path.open("rb") as file:
        file.seek(segment.read)
        data = file.read(segment.size - segment.read)
    for frame, whole in decode(data):
        if whole:
            taken.frames.append(frame)
        elif frame.kind < len(KINDS) and frame.counted <= frame.events:
            taken.lost[frame.kind] += frame.counted
    taken.damaged = segment.size - segment.read - sum(frame.size for frame in taken.frames)
    return taken


def _unlink(path: Path) -> None:
    """Delete a file that is dealt with; where that fails whoever opens the folder next does it."""
    with contextlib.suppress(OSError):
        path.unlink()
