"""Ids are never made twice, in no thread and no child process."""

from __future__ import annotations

import os
import threading

from headrace.contract import ids

MADE = 3_000


def test_ids_of_threads_differ() -> None:
    """Eight threads at once, past what is drawn at once."""
    made: list[list[int]] = []

    def make() -> None:
        made.append([ids.uuid7().int for _ in range(MADE)])

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({one for some in made for one in some}) == 8 * MADE


def test_a_child_does_not_go_on_with_its_parents_numbers() -> None:
    """Both take the next ones after the fork, in the same millisecond or not."""
    ids.uuid7()
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        os.write(writes, b"".join(ids.uuid7().bytes[6:] for _ in range(20)))
        os._exit(0)
    os.waitpid(child, 0)
    theirs = os.read(reads, 1 << 16)
    os.close(reads)
    os.close(writes)
    ours = {ids.uuid7().bytes[6:] for _ in range(20)}
    assert len(theirs) == 200 and ours.isdisjoint(theirs[at : at + 10] for at in range(0, 200, 10))
