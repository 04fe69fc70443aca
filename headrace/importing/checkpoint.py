"""How far an import has come, on disk: replaced whole after each batch that is stored."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class OpenRow:
    """A row whose line had no end: its number, its event's id and digest, or "" where it was rejected.

    report_bytes: of the report before it
    """

    row: int
    event_id: str
    digest: str
    report_bytes: int


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One import of one file by one mapping.

    size, modified_ns, head: of the file, to tell whether it is the same, has grown, or is another
    rows: looked at; events: stored; rejected: rows that could not become events; report_bytes: of the report of them
    tail: digest of the file's last bytes, as far as it had `size`
    upto: the rows after these up to there are being sent, month by month; 0 where none are
    sent_month, sent_row: the month and row of the last event of them that is stored
    open_row: the last row, where the file had no end of it; a file that has grown may say more of it
    """

    size: int
    modified_ns: int
    head: str
    rows: int = 0
    events: int = 0
    rejected: int = 0
    report_bytes: int = 0
    upto: int = 0
    sent_month: str = ""
    sent_row: int = 0
    finished: bool = False
    tail: str = ""
    open_row: OpenRow | None = None

    @classmethod
    def fresh(cls, file: Path) -> Checkpoint:
        """Of a file of which nothing was imported."""
        stat = file.stat()
        return cls(stat.st_size, stat.st_mtime_ns, _head(file, stat.st_size), tail=_digest(file, *_tail(stat.st_size)))

    def continued(self, file: Path, appendable: bool) -> Checkpoint | None:
        """Where to go on in the file as it is now; None where it is another file.

        appendable: rows are only ever added at its end, so that a file that has grown goes on where it ended
        """
        now = Checkpoint.fresh(file)
        if (self.size, self.modified_ns, self.head) == (now.size, now.modified_ns, now.head):
            return self
        if not appendable or now.size <= self.size or _head(file, self.size) != self.head:
            return None
        if self.tail and _digest(file, *_tail(self.size)) != self.tail:
            return None
        grown = replace(self, size=now.size, modified_ns=now.modified_ns, head=now.head, tail=now.tail, finished=False)
        was = self.open_row
        if was is None or self.rows < was.row:
            return grown
        return replace(
            grown,
            rows=self.rows - 1,
            events=self.events - bool(was.event_id),
            rejected=self.rejected - (not was.event_id),
            report_bytes=was.report_bytes,
        )

    def save(self, path: Path) -> None:
        """Replace what is there, so that a kill leaves the one or the other."""
        temporary = path.with_suffix(".tmp")
        with temporary.open("w") as file:
            json.dump(asdict(self), file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    @staticmethod
    def load(path: Path) -> Checkpoint | None:
        """What was saved; None where nothing usable was."""
        try:
            fields = json.loads(path.read_text())
            was = fields.pop("open_row", None)
            return Checkpoint(**fields, open_row=OpenRow(**was) if was else None)
        except (OSError, ValueError, TypeError, AttributeError):
            return None


def _head(file: Path, size: int) -> str:
    """Digest of the file's beginning, as far as it was there when it had `size` bytes."""
    return _digest(file, 0, min(HEAD_BYTES, size))


def _tail(size: int) -> tuple[int, int]:
    """Where the last bytes of so many begin, and how many they are."""
    return max(0, size - HEAD_BYTES), min(HEAD_BYTES, size)


def _digest(file: Path, begin: int, size: int) -> str:
    with file.open("rb") as opened:
        opened.seek(begin)
        return hashlib.sha256(opened.read(size)).hexdigest()
