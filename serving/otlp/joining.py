"""What several spans and log records tell of one call, brought together: within one export, and with earlier ones.

Two spans tell of one call where they name the same response in one trace, or where one is directly inside the other
(ai.generateText around its doGenerate, LangChain's ChatOpenAI around what instruments the client). In traces of their
own they do where different instrumentations name the same response at the same time. Log records tell of the call
whose span they were written in.

What was told is remembered for some minutes within a bound, so that it may come in several exports and in any order:
each time the call is known better it is the same inference in a greater revision. One gateway's memory is its own, and
gone with it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from serving.otlp.calls import Call, united
from serving.otlp.inference import id_of

MAX_BYTES = 64 * 2**20
MAX_AGE_S = 600.0
CALL_BYTES = 4096
"""What a call takes in memory beside its texts, roughly."""
MAX_SPANS = 64
"""By so many of its spans a call is found again."""
MAX_KEYS = 256
NEAR = 8
"""With so many calls before it that name the same response, in other traces, a call is compared."""

_Key = tuple[str, ...]


@dataclass(slots=True)
class Told:
    """A call as told so far. spans: that told it; outer: one of them is around another; keys: it is remembered by"""

    call: Call
    inference_id: str
    revision: int
    spans: frozenset[_Key]
    outer: bool
    keys: tuple[_Key, ...] = ()
    trace: _Key = ()
    at: float = 0.0


def grouped(calls: Iterable[Call]) -> list[list[Call]]:
    """The calls of one export by what they are told of; the innermost, or else the first to start, leads its group."""
    group: dict[_Key, list[Call]] = {}
    at: dict[_Key, Call] = {}
    ordered = sorted(calls, key=lambda call: (call.start_ns, call.end_ns, call.span))
    for call in ordered:
        group.setdefault((call.trace, call.span), []).append(call)
        at.setdefault((call.trace, call.span), call)
    for call, mate in _mates(ordered):
        _unite(group, mate, call)
    last_inside: dict[_Key, Call] = {}
    for call in sorted(ordered, key=lambda call: call.end_ns):
        if call.parent and call.nested:
            last_inside[call.trace, call.parent] = call
    for place, inner in last_inside.items():
        if place in at and may_hold(at[place], inner):
            _unite(group, inner, at[place])
    return list({id(members): members for members in group.values()}.values())


def _mates(ordered: Sequence[Call]) -> Iterator[tuple[Call, Call]]:
    """Each call that names a response as an earlier one does, and that one: of its own trace, if there is one."""
    named = [call.response_id for call in ordered if call.response_id]
    if len(set(named)) == len(named):  # as nearly always
        return
    by_trace: dict[_Key, Call] = {}
    recent: dict[str, deque[Call]] = {}
    for call in ordered:
        if not call.response_id:
            continue
        near = by_trace.setdefault((call.response_id, call.trace), call)
        before = recent.setdefault(call.response_id, deque(maxlen=NEAR))
        mate = next((one for one in (near, *reversed(before)) if one is not call and is_one_response(one, call)), None)
        if mate is not None:
            yield call, mate
        before.append(call)


def is_one_response(one: Call, other: Call) -> bool:
    """Whether two calls that name the same response are one; a model server may give each response the same name."""
    if not _same_task(one, other):
        return False
    if one.trace == other.trace:
        return True
    at_once = one.start_ns <= other.end_ns and other.start_ns <= one.end_ns
    return at_once and one.scope != other.scope and _agree(one, other)


def may_hold(outer: Call, inner: Call) -> bool:
    """Whether a call is the one that a span directly inside it tells of as well."""
    if outer.response_id and inner.response_id and outer.response_id != inner.response_id:
        return False
    return outer.nested and inner.nested and _same_task(outer, inner)


class RecentCalls:
    """The calls that were told lately. Safe to use from several threads.

    clock: seconds that only grow
    """

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes, self._max_age_s, self._clock = max_bytes, max_age_s, clock
        self._told: OrderedDict[int, Told] = OrderedDict()
        self._by_key: dict[_Key, Told] = {}
        self._by_trace: dict[_Key, dict[int, Told]] = {}
        self._bytes = 0
        self._lock = threading.Lock()

    def join(self, tenant: str, members: list[Call]) -> Told:
        """What is known of a call with what these tell; each the same call, the first leads. Raises EventError."""
        call = members[0]
        for other in members[1:]:
            call = united(call, other)
        spans: frozenset[_Key] = frozenset((one.trace, one.span) for one in members[:MAX_SPANS])
        with self._lock:
            known = self._known(tenant, members, spans)
            if known is None:
                # Where a gateway knows the span alone, what log records say is not replaced by it.
                revision = 0 if call.spanned else 1
                told = Told(call, id_of(_named(members[0], call)), revision, spans, len(spans) > 1)
            else:
                both = united(known.call, call)
                revision = known.revision + (both != known.call)
                spans = known.spans | spans if len(known.spans) < MAX_SPANS else known.spans
                told = Told(both, known.inference_id, revision, spans, known.outer or len(members) > 1)
                self._forget(known)
            self._remember(tenant, told, members, known.keys if known else ())
        return told

    def in_trace(self, tenant: str, trace: str) -> list[Call]:
        """The calls of a trace that were told lately."""
        with self._lock:
            return [told.call for told in self._by_trace.get((tenant, trace), {}).values()]

    def inference_of(self, tenant: str, trace: str, span: str) -> str | None:
        """The inference that a span told lately."""
        with self._lock:
            told = self._by_key.get((tenant, "span", trace, span))
            return told.inference_id if told else None

    def _known(self, tenant: str, members: list[Call], spans: frozenset[_Key]) -> Told | None:
        for call in members:
            told = self._by_key.get((tenant, "span", call.trace, call.span))
            if told is not None:
                return told
        parents = {(one.trace, one.parent) for one in members}
        for call in members:
            told = self._by_key.get((tenant, "response", call.response_id)) if call.response_id else None
            if told is not None and is_one_response(told.call, call):
                return told
            # Of the spans inside one the last counts; what holds one already holds no other.
            told = self._by_key.get((tenant, "inside", call.trace, call.span))
            if told is not None and (call.trace, call.span) not in parents and may_hold(call, told.call):
                return told
            told = self._by_key.get((tenant, "span", call.trace, call.parent)) if call.parent else None
            if told is not None and not told.outer and may_hold(told.call, call):
                return told
        return None

    def _remember(self, tenant: str, told: Told, members: list[Call], before: tuple[_Key, ...]) -> None:
        keys = {(tenant, "span", *span) for span in told.spans}
        few = members[:MAX_SPANS]
        keys |= {(tenant, "inside", one.trace, one.parent) for one in few if one.parent and one.nested}
        keys |= {(tenant, "response", one.response_id) for one in (told.call, *few) if one.response_id}
        # What another call was told by since is that one's.
        keys |= {key for key in before[:MAX_KEYS] if key not in self._by_key}
        told.keys, told.at = tuple(keys), self._clock()
        for key in keys:
            self._by_key[key] = told
        self._told[id(told)] = told
        told.trace = (tenant, told.call.trace)
        self._by_trace.setdefault(told.trace, {})[id(told)] = told
        self._bytes += _bytes(told)
        while self._told and (self._bytes > self._max_bytes or self._oldest().at < told.at - self._max_age_s):
            self._forget(self._oldest())

    def _oldest(self) -> Told:
        return next(iter(self._told.values()))

    def _forget(self, told: Told) -> None:
        if self._told.pop(id(told), None) is None:
            return
        self._bytes -= _bytes(told)
        of_trace = self._by_trace[told.trace]
        del of_trace[id(told)]
        if not of_trace:
            del self._by_trace[told.trace]
        for key in told.keys:
            if self._by_key.get(key) is told:
                del self._by_key[key]


def _named(first: Call, call: Call) -> Call:
    """The first with the names of the whole."""
    if (first.given_id, first.response_id) == (call.given_id, call.response_id):
        return first
    return replace(first, given_id=call.given_id, response_id=call.response_id)


def _bytes(told: Told) -> int:
    return CALL_BYTES + len(told.call.question) + len(told.call.answer)


def _unite(group: dict[_Key, list[Call]], first: Call, second: Call) -> None:
    mine, its = group[first.trace, first.span], group[second.trace, second.span]
    if mine is its:
        return
    # The smaller moves to the larger; who led the first leads both.
    larger, smaller = (mine, its) if len(mine) >= len(its) else (its, mine)
    place = len(larger)
    larger += smaller
    if larger is its:
        larger[0], larger[place] = larger[place], larger[0]
    for call in smaller:
        group[call.trace, call.span] = larger


def _agree(one: Call, other: Call) -> bool:
    """Whether what both know of texts and tokens is the same."""
    known = (one.question, other.question), (one.answer, other.answer), (one.tokens_out, other.tokens_out)
    return all(not mine or not its or mine == its for mine, its in known)


def _same_task(one: Call, other: Call) -> bool:
    return not one.task or not other.task or one.task == other.task
