"""A writer's counts beside its segments, so that whoever finishes its work can say how much it was."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from pathlib import Path

KINDS = ("inferences", "feedback")
_SIZE = 2048
"""Written whole in one page, in place: a process that dies meanwhile leaves the old text or the new one."""


@dataclass(slots=True)
class Sums:
    """Of one kind of event, cumulative; see headrace.client.counts.Count."""

    emitted: int = 0
    acknowledged: int = 0
    dropped: int = 0


@dataclass(slots=True)
class Tally:
    """What is counted of an emitter outside the segments that are still there.

    first: segments before this one are included, whether their files are gone or not
    sequence: the last that a published counter bears
    sums: by kind; the events of segments from `first` on come on top, by their frames
    """

    emitter: str
    first: int = 1
    sequence: int = 0
    sums: dict[str, Sums] = field(default_factory=lambda: {kind: Sums() for kind in KINDS})

    def write(self, file: int) -> None:
        """Replace the text of a file that is open. Raises OSError."""
        os.pwrite(file, json.dumps(asdict(self), ensure_ascii=False).encode().ljust(_SIZE), 0)

    @classmethod
    def read(cls, path: Path) -> Tally | None:
        """None where the file is missing or damaged: a power cut may do that, a crash does not.

        Raises OSError where it cannot be read now: it may be whole.
        """
        try:
            found = json.loads(path.read_bytes())
            sums = {kind: Sums(**found["sums"][kind]) for kind in KINDS}
            return cls(str(found["emitter"]), int(found["first"]), int(found["sequence"]), sums)
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
