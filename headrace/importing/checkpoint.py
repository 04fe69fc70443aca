"""How far an import has come, on disk: replaced whole after each batch that is stored."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass, replace
from pathlib import Path

HEAD_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One import of one file by one mapping.

    size, modified_ns, head: of the file, to tell whether it is the same, has grown, or is another
    rows: looked at; events: stored; rejected: rows that could not become events; report_bytes: of the report of them
    upto: the rows after these up to there are being sent, month by month; 0 where none are
    sent_month, sent_row: the month and row of the last event of them that is stored
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

    @classmethod
    def fresh(cls, file: Path) -> Checkpoint:
        """Of a file of which nothing was imported."""
        stat = file.stat()
        return cls(stat.st_size, stat.st_mtime_ns, _head(file, stat.st_size))

    def continued(self, file: Path, appendable: bool) -> Checkpoint | None:
        """Where to go on in the file as it is now; None where it is another file.

        appendable: rows are only ever added at its end, so that a file that has grown goes on where it ended
        """
        now = Checkpoint.fresh(file)
        if (self.size, self.modified_ns, self.head) == (now.size, now.modified_ns, now.head):
            return self
        if appendable and now.size > self.size and _head(file, self.size) == self.head:
            return replace(self, size=now.size, modified_ns=now.modified_ns, head=now.head, finished=False)
        return None

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
            return Checkpoint(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None


def _head(file: Path, size: int) -> str:
    """Digest of the file's beginning, as far as it was there when it had `size` bytes."""
    with file.open("rb") as opened:
        return hashlib.sha256(opened.read(min(HEAD_BYTES, size))).hexdigest()
