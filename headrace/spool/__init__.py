"""Events on local disk until Kafka has them: what was recorded survives SIGKILL and a Kafka that is away.

    frame.py     one append as bytes: a length, a checksum, events
    tally.py     a writer's counts beside its segments, so that they outlive it
    segments.py  the append-only files of one writer: append, read in order, delete what is acknowledged
    journal.py   one writer's folder and its lock: made by a process, taken over when that process is dead
    spool.py     the folder of all writers: this one's journal, those of the dead, the bound

Each append is one write() and is not synced: the kernel has it, so the death of the process loses nothing, and a power
cut may lose what it had not written yet (Linux: about the last 30 seconds). What a crash cut off in the middle is
recognised by its checksum and skipped.
"""

from headrace.spool.frame import Frame
from headrace.spool.journal import Journal
from headrace.spool.spool import MAX_BYTES, Spool, SpoolFull, SpoolState
from headrace.spool.tally import KINDS

__all__ = ["KINDS", "MAX_BYTES", "Frame", "Journal", "Spool", "SpoolFull", "SpoolState"]
