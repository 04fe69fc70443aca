"""How much memory the processes of a group hold together."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

GIB = 1024**3
_PAGE_BYTES = os.sysconf("SC_PAGESIZE")


def resident_bytes(group: int) -> int:
    """Resident memory of the process group; 0 where the system has no /proc."""
    total = 0
    for entry in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The command's name, in parentheses, may hold spaces; the group is the third field after it.
            fields = entry.read_text(errors="replace").rpartition(")")[2].split()
            if int(fields[2]) == group:
                total += int(fields[21]) * _PAGE_BYTES
    return total
