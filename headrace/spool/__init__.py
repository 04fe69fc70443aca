"""Events on local disk until Kafka has them: what was recorded survives SIGKILL and a Kafka that is away.

Each append is one write() and is not synced: the kernel has it, so the death of the process loses nothing, and a power
cut may lose what it had not written yet (Linux: about the last 30 seconds). What a crash cut off in the middle is
recognised by its checksum and skipped, and so is a frame that the disk damaged.

frame     one append as bytes: a length, a checksum, events
tally     a writer's counts beside its segments, so that they outlive it
segments  the append-only files of one writer, in order
journal   one writer's folder and its lock, taken over when that process is dead
spool     the folder of all writers: this one's journal, those of the dead, the bound
"""

from headrace.spool.frame import Frame
from headrace.spool.journal import Journal
from headrace.spool.spool import MAX_BYTES, Spool, SpoolFull, SpoolState
from headrace.spool.tally import KINDS

__all__ = ["KINDS", "MAX_BYTES", "Frame", "Journal", "Spool", "SpoolFull", "SpoolState"]
