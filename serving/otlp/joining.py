"""What several spans and log records tell of one call, brought together with what earlier exports told.

Two spans tell of one call where they name the same response, or where one is inside the other (ai.generateText around
its doGenerate, LangChain's ChatOpenAI around what instruments the client). Log records tell of the call whose span they
were written in. grouping.py has the rules.

What was told is remembered for some minutes within a bound, each span by itself, so that it may come in several exports
and in any order: what a new span has to do with is grouped again as a whole. Each time a call is known better, or
another span turns out to be the one that a wrapper is around, it is the same inference in a greater revision. One
gateway's memory is its own, and gone with it.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from serving.otlp.attributes import own_answer
from serving.otlp.calls import Call
from serving.otlp.grouping import NEAR, Key, are_twins, as_one, grouped, is_one_response, may_hold, pooled
from serving.otlp.inference import id_of

MAX_BYTES = 64 * 2**20
MAX_AGE_S = 600.0
CALL_BYTES = 4096
"""What a call takes in memory beside its texts, roughly."""
MAX_SPANS = 64
"""Of so many spans and records each is remembered by itself; of more, what they tell together."""
MAX_KEYS = 256
MAX_TRACES = 10_000
"""Of so many traces it is remembered which session and user their other spans name."""


@dataclass(slots=True, eq=False)
class Told:
    """A call as told so far.

    members: what told it; origin: the span that its id is of; number: in which order calls were first told
    full: members are united, since there were too many; keys: it is remembered by
    """

    call: Call
    inference_id: UUID | str
    revision: int
    members: tuple[Call, ...]
    origin: Key
    number: int
    full: bool = False
    keys: tuple[Key, ...] = ()
    traces: tuple[Key, ...] = ()
    bytes: int = 0
    at: float = 0.0


@dataclass(slots=True)
class _Around:
    """Sessions and users that the spans of a trace name which are no calls."""

    sessions: set[str]
    users: set[str]
    at: float


class RecentCalls:
    """The calls that were told lately. Safe to use from several threads.

    clock: seconds that only grow
    """

    def __init__(
        self, max_bytes: int = MAX_BYTES, max_age_s: float = MAX_AGE_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._max_bytes, self._max_age_s, self._clock = max_bytes, max_age_s, clock
        self._told: OrderedDict[int, Told] = OrderedDict()
        self._by_key: dict[Key, Told] = {}
        # Calls that name a response, or are in a trace, the last one last.
        self._by_response: dict[Key, dict[int, Told]] = {}
        self._by_trace: dict[Key, dict[int, Told]] = {}
        self._around: OrderedDict[Key, _Around] = OrderedDict()
        self._bytes = self._number = 0
        self._lock = threading.Lock()

    def join(self, tenant: str, members: Sequence[Call]) -> list[tuple[Told, list[Call]]]:
        """What is known of the calls that these have to do with, each with those of these that told it.

        members: of one call, as far as one export tells. Raises EventError, and then nothing has changed.
        """
        with self._lock:
            linked = self._linked(tenant, members)
            if not linked:
                told = self._made(tenant, members, None)
                self._remember(tenant, told)
                return [(told, list(members))]
            return self._again(tenant, members, linked)

    def name_around(self, tenant: str, trace: str, session: str, user: str) -> None:
        """A span that is no call names a session and a user, "" for none: those of the calls in its trace."""
        with self._lock:
            now = self._clock()
            found = self._around.pop((tenant, trace), None) or _Around(set(), set(), now)
            for names, name in ((found.sessions, session), (found.users, user)):
                if name and len(names) < 2:  # of two nothing is concluded
                    names.add(name)
            found.at = now
            self._around[tenant, trace] = found
            while len(self._around) > MAX_TRACES or next(iter(self._around.values())).at < now - self._max_age_s:
                self._around.popitem(last=False)

    def named_anew(self, tenant: str, traces: Iterable[str]) -> list[Told]:
        """The calls in these traces whose session or user is another one since `name_around`."""
        changed = []
        with self._lock:
            for trace in traces:
                for known in list(self._by_trace.get((tenant, trace), {}).values()):
                    told = self._made(tenant, known.members, known)
                    if told.call != known.call:
                        self._forget(known)
                        self._remember(tenant, told)
                        changed.append(told)
        return changed

    def in_trace(self, tenant: str, trace: str) -> list[Call]:
        """What was told lately of the calls in a trace."""
        with self._lock:
            return [one for told in self._by_trace.get((tenant, trace), {}).values() for one in told.members]

    def inference_of(self, tenant: str, trace: str, span: str) -> UUID | str | None:
        """The inference that a span told lately."""
        with self._lock:
            told = self._by_key.get((tenant, "span", trace, span))
            return told.inference_id if told else None

    def _linked(self, tenant: str, members: Sequence[Call]) -> list[Told]:
        """The calls told before that these may have to do with, the first first."""
        found: dict[int, Told] = {}
        by_key = self._by_key
        for call in members:
            told = by_key.get((tenant, "span", call.trace, call.span))
            if told is not None:
                found[id(told)] = told
            if call.response_id:
                # Its own trace's first: a model server may give each response the same name.
                mine = by_key.get((tenant, "response", call.response_id, call.trace))
                near = list(self._by_response.get((tenant, call.response_id), {}).values())[-NEAR:]
                for told in near if mine is None else (mine, *near):
                    if any(is_one_response(one, call) for one in (told.call, *told.members)):
                        found[id(told)] = told
            told = by_key.get((tenant, "inside", call.trace, call.span))
            if told is not None and not may_hold(call, told.call):
                # The last may be a guard, and the call itself an earlier one.
                told = next((one for one in self._inside(tenant, call) if may_hold(call, one.call)), None)
            if told is not None:
                found[id(told)] = told
            told = by_key.get((tenant, "span", call.trace, call.parent)) if call.parent else None
            if told is not None and call.nested:
                found[id(told)] = told
            if call.question and call.answer:
                for told in list(self._by_trace.get((tenant, call.trace), {}).values())[-NEAR:]:
                    if any(are_twins(one, call) for one in told.members):
                        found[id(told)] = told
        return sorted(found.values(), key=lambda told: told.number) if found else []

    def _inside(self, tenant: str, outer: Call) -> Iterator[Told]:
        """The calls told lately that a span directly inside this one tells, the last to end first."""
        near = list(self._by_trace.get((tenant, outer.trace), {}).values())[-MAX_SPANS:]
        inside = [told for told in near if any(one.parent == outer.span and one.nested for one in told.members)]
        yield from sorted(inside, key=lambda told: _last(told, outer.trace, outer.span), reverse=True)

    def _again(self, tenant: str, members: Sequence[Call], linked: list[Told]) -> list[tuple[Told, list[Call]]]:
        pool = pooled([*(one for known in linked for one in known.members), *members])
        whole = any(known.full for known in linked)
        groups = [pool] if whole else grouped(pool)
        # An id stays with the span that it is of; of two in one group the first one stays.
        kept: dict[int, Told] = {}
        for known in linked:
            place = next((n for n, group in enumerate(groups) if whole or known.origin in _places(group)), None)
            if place is not None:
                kept.setdefault(place, known)
        made = [(self._made(tenant, group, kept.get(place)), group) for place, group in enumerate(groups)]
        before = {known.inference_id: known.call for known in linked}
        for known in linked:
            self._forget(known)
        for told, _ in made:
            self._remember(tenant, told, linked)
        new = _places(members)
        found = []
        for told, group in made:
            here = new & _places(group)
            if here or before.get(told.inference_id) != told.call:
                found.append((told, [one for one in members if (one.trace, one.span) in here]))
        return found

    def _made(self, tenant: str, group: Sequence[Call], known: Told | None) -> Told:
        """Raises EventError."""
        call = self._filled(tenant, as_one(group), group)
        full = len(group) > MAX_SPANS
        members = (call,) if full else tuple(group)
        keys = tuple((tenant, "span", one.trace, one.span) for one in group[:MAX_SPANS]) if full else ()
        if known is not None:
            revision = known.revision + (call != known.call)
            full = full or known.full
            return Told(call, known.inference_id, revision, members, known.origin, known.number, full, keys)
        first = group[0]
        named = first if len(group) == 1 else _naming(group)
        if (first.given_id, first.response_id) != (call.given_id, call.response_id):
            first = replace(first, given_id=call.given_id, response_id=call.response_id)
        self._number += 1
        # Where a gateway knows the span alone, what log records say is not replaced by it.
        revision = 0 if call.spanned else 1
        return Told(call, id_of(first), revision, members, (named.trace, named.span), self._number, full, keys)

    def _filled(self, tenant: str, call: Call, group: Sequence[Call]) -> Call:
        """The call with the session and user that spans around it alone tell.

        A trace is one request, so that it has one of each; where it has more, nothing is concluded.
        """
        if not self._around or (call.session and call.user):
            return call
        found = [self._around.get((tenant, trace)) for trace in dict.fromkeys(one.trace for one in group)]
        sessions = {name for one in found if one for name in one.sessions}
        users = {name for one in found if one for name in one.users}
        session, user = call.session or _only(sessions), call.user or _only(users)
        return call if (session, user) == (call.session, call.user) else replace(call, session=session, user=user)

    def _remember(self, tenant: str, told: Told, before: Collection[Told] = ()) -> None:
        by_key, mark = self._by_key, id(told)
        keys: list[Key] = [(tenant, "span", one.trace, one.span) for one in told.members]
        if told.full:
            # What another call was told by since is that one's.
            former = (key for known in before for key in known.keys[:MAX_KEYS] if key not in by_key)
            keys = list(dict.fromkeys((*keys, *told.keys, *former)))
        told.bytes, traces = 0, dict[Key, None]()
        for one in told.members:
            if one.response_id:
                keys.append((tenant, "response", one.response_id, one.trace))
                self._by_response.setdefault((tenant, one.response_id), {})[mark] = told
            # Of the spans inside one the last counts.
            if one.parent and one.nested:
                inside = (tenant, "inside", one.trace, one.parent)
                last = by_key.get(inside)
                if last is None or _last(last, one.trace, one.parent) <= _ending(one):
                    by_key[inside] = told
                    keys.append(inside)
            told.bytes += CALL_BYTES + len(one.question) + len(one.answer)
            traces[tenant, one.trace] = None
        for key in keys:
            by_key[key] = told
        for trace in traces:
            self._by_trace.setdefault(trace, {})[mark] = told
        told.keys, told.traces, told.at = tuple(keys), tuple(traces), self._clock()
        self._told[id(told)] = told
        self._bytes += told.bytes
        while self._told and (self._bytes > self._max_bytes or self._oldest().at < told.at - self._max_age_s):
            self._forget(self._oldest())

    def _oldest(self) -> Told:
        return next(iter(self._told.values()))

    def _forget(self, told: Told) -> None:
        if self._told.pop(id(told), None) is None:
            return
        self._bytes -= told.bytes
        tenant = told.traces[0][0]
        _drop(self._by_trace, told.traces, told)
        _drop(self._by_response, ((tenant, one.response_id) for one in told.members if one.response_id), told)
        for key in told.keys:
            if self._by_key.get(key) is told:
                del self._by_key[key]


def _drop(index: dict[Key, dict[int, Told]], keys: Iterable[Key], told: Told) -> None:
    for key in keys:
        entries = index.get(key)
        if entries is not None:
            entries.pop(id(told), None)
            if not entries:
                del index[key]


def _naming(group: Sequence[Call]) -> Call:
    """Whose id the group's inference has: of the one that an emitter or a gateway named, or else of the leader."""
    return next((one for one in group if one.given_id or own_answer(one.response_id)), group[0])


def _ending(call: Call) -> tuple[int, int, str]:
    """What the last of the spans inside one has the greatest of."""
    return call.end_ns, call.start_ns, call.span


def _last(told: Told, trace: str, parent: str) -> tuple[int, int, str]:
    ends = (_ending(one) for one in told.members if (one.trace, one.parent) == (trace, parent))
    return max(ends, default=(0, 0, ""))


def _places(calls: Iterable[Call]) -> set[Key]:
    return {(one.trace, one.span) for one in calls}


def _only(names: set[str]) -> str:
    return next(iter(names)) if len(names) == 1 else ""
