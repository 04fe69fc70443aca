"""Answers about tasks, each kept while what it rests on is the same, and asked of all tasks at once where it is not.

Planning a question takes ClickHouse longer than reading what it is about, and a monitor that has just started has ten
questions a task. All of it can be lost unharmed.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

from headrace.errors import WarehouseError

if TYPE_CHECKING:
    from streams.detectors.detector import View

# After a question about several tasks failed, each is asked alone for so long.
ALONE_S = 60.0

Basis = TypeVar("Basis")
Answer = TypeVar("Answer")
Thing = TypeVar("Thing")

log = logging.getLogger(__name__)


class Together(Generic[Basis, Answer]):
    """The last answer about each task.

    basis: what the answer about a view rests on; None: there is nothing to ask about it
    ask: the answers about several views, in their order; raises WarehouseError
    """

    def __init__(
        self, basis: Callable[[View], Basis | None], ask: Callable[[Sequence[View]], Sequence[Answer]]
    ) -> None:
        self._basis, self._ask = basis, ask
        self._known: dict[str, tuple[Basis, Answer]] = {}
        self._alone_until = float("-inf")

    def about(self, view: View) -> Answer | None:
        """None where there is nothing to ask. Raises WarehouseError."""
        basis = self._basis(view)
        if basis is None:
            return None
        if not self._is_known(view, basis):
            try:
                self._learn([(view, basis), *self._others(view)])
            except WarehouseError as error:
                # Another task's question may have failed: this one is asked alone.
                self._alone_until = time.monotonic() + ALONE_S
                log.warning("what is asked of all tasks at once is asked one by one for %.0f s: %s", ALONE_S, error)
                self._learn([(view, basis)])
        return self._known[view.task][1]

    def _others(self, view: View) -> Iterator[tuple[View, Basis]]:
        if time.monotonic() >= self._alone_until:
            for other in view.others():
                basis = self._basis(other)
                if basis is not None and not self._is_known(other, basis):
                    yield other, basis

    def _is_known(self, view: View, basis: Basis) -> bool:
        known = self._known.get(view.task)
        return known is not None and known[0] == basis

    def _learn(self, due: Sequence[tuple[View, Basis]]) -> None:
        answers = self._ask([view for view, _ in due])
        for (view, basis), answer in zip(due, answers, strict=True):
            self._known[view.task] = basis, answer


def near(
    things: Iterable[Thing], moment: Callable[[Thing], datetime], most: timedelta, newest_first: bool = False
) -> list[list[Thing]]:
    """Things by their moments, each at most `most` from the first of its group: what lies between is read with them."""
    groups: list[list[Thing]] = []
    for thing in sorted(things, key=moment, reverse=newest_first):
        if groups and abs(moment(thing) - moment(groups[-1][0])) <= most:
            groups[-1].append(thing)
        else:
            groups.append([thing])
    return groups
