"""Dead letters, whoever writes them: where a record came from, why it cannot be used, as much of its bytes as fits."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from headrace.contract.control import DeadLetter
from headrace.contract.elements import element, id_of
from headrace.contract.excerpt import kept

WHOLE = -1
MAX_REASON = 1000


class Origin(Protocol):
    """A record's place."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...


def dead_letter(
    origin: Origin, original: bytes, reason: str, at: datetime, index: int = WHOLE, code: int = 0
) -> DeadLetter:
    """The dead letter of a record, or of the event at `index` of it.

    original: its own bytes; code: ClickHouse's, 0 where it could not be read
    """
    return DeadLetter(
        topic=origin.topic,
        partition=origin.partition,
        offset=origin.offset,
        record_index=index,
        at=at,
        # A lone surrogate in a reason could not be sent.
        reason=reason.encode(errors="backslashreplace").decode()[:MAX_REASON],
        code=code,
        event_id=id_of(element(original, enveloped=True)) if index != WHOLE else None,
        **kept(original),
    )
