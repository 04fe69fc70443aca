"""What attempts leave behind that a warehouse refused: nothing, however long it is away."""

from __future__ import annotations

import gc
import weakref

from headrace.contract.topics import INFERENCES
from headrace.errors import Transient
from streams.patience import Patience
from streams.pressure import Lane

ATTEMPTS = 20


class Rows:
    """Stands for the rows of an attempt."""


async def test_the_rows_of_refused_attempts_are_let_go() -> None:
    """As by urllib3, the exception is kept by the frame that it came through, in a cycle that only a collector ends.

    The collector itself does not look meanwhile: of so few objects it would not for hours.
    """
    sent: list[weakref.ref[Rows]] = []
    alive = []

    def store() -> None:
        rows = Rows()
        sent.append(weakref.ref(rows))
        alive.append(sum(one() is not None for one in sent))
        if len(sent) > ATTEMPTS:
            return
        try:
            raise ConnectionRefusedError
        except ConnectionRefusedError as error:
            kept = error  # noqa: F841 - the cycle
            raise Transient("ClickHouse does not answer", 0) from None

    gc.collect()
    gc.disable()
    try:
        await Patience(0.001, 0.001).keep_trying(store, Lane(INFERENCES))
    finally:
        gc.enable()
    assert len(sent) == ATTEMPTS + 1 and max(alive) <= 2, alive
