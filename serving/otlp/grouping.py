"""Which of several spans and log records tell of one call, and what they tell together. The order decides nothing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from serving.otlp.calls import Call, united

NEAR = 8
"""With so many calls before it that name the same response, or are in the same trace, a call is compared."""
SKEW_NS = 300 * 10**9
"""So far apart the clocks of a client and of a proxy may be."""
MIN_HEAD = 50
"""A text of so many characters may be the head of another, cut off by an instrumentation."""

Key = tuple[str, ...]

_TEXTS = ("question", "answer")


def grouped(calls: Iterable[Call]) -> list[list[Call]]:
    """Calls by what they are told of; the innermost, or else the first to start, leads its group."""
    group: dict[Key, list[Call]] = {}
    told: dict[Key, list[Call]] = {}
    ordered = sorted(calls, key=lambda call: (call.start_ns, call.end_ns, call.span))
    for call in ordered:
        group.setdefault((call.trace, call.span), []).append(call)
        told.setdefault((call.trace, call.span), []).append(call)
    for mate, call in (*_mates(ordered), *_twins(ordered)):
        _unite(group, mate, call)
    last_inside: dict[Key, Call] = {}
    for call in sorted(ordered, key=lambda call: call.end_ns):
        place = (call.trace, call.parent)
        if not (call.parent and call.nested and place in told):
            continue
        # The texts of either may stand in log records.
        if may_hold(_of_span(told[place]), _of_span(told[call.trace, call.span])):
            last_inside[place] = call
    for outer, inner in last_inside.items():
        _unite(group, inner, told[outer][0])
    return list({id(members): members for members in group.values()}.values())


def _mates(ordered: Sequence[Call]) -> Iterator[tuple[Call, Call]]:
    """Each call that names a response as an earlier one does, behind that one: of its own trace, if there is one."""
    named = [call.response_id for call in ordered if call.response_id]
    if len(set(named)) == len(named):  # as nearly always
        return
    by_trace: dict[Key, Call] = {}
    recent: dict[str, deque[Call]] = {}
    for call in ordered:
        if not call.response_id:
            continue
        near = by_trace.setdefault((call.response_id, call.trace), call)
        before = recent.setdefault(call.response_id, deque(maxlen=NEAR))
        mate = next((one for one in (near, *reversed(before)) if one is not call and is_one_response(one, call)), None)
        if mate is not None:
            yield mate, call
        before.append(call)


def _twins(ordered: Sequence[Call]) -> Iterator[tuple[Call, Call]]:
    """Each call that is a twin of an earlier one, behind that one."""
    if len({call.trace for call in ordered}) == len(ordered) or len({call.scope for call in ordered}) == 1:
        return
    recent: dict[Key, deque[Call]] = {}
    for call in ordered:
        if not (call.question and call.answer and call.spanned):
            continue
        before = recent.setdefault((call.trace, call.answer.strip()), deque(maxlen=NEAR))
        if (twin := next((one for one in reversed(before) if are_twins(one, call)), None)) is not None:
            yield twin, call
        before.append(call)


def is_one_response(one: Call, other: Call) -> bool:
    """Whether two calls that name the same response are one; a model server may give each response the same name.

    In one trace they are where what both know agrees, or where two instrumentations tell of the same time. In two, as
    of a client and a proxy, they are where it agrees and two instrumentations tell of the same time; where both know
    the texts their clocks may differ, and it may be one instrumentation, one of whose spans lies within the other.
    """
    if not _same_task(one, other):
        return False
    agree, strange = _agree(one, other), one.scope != other.scope
    if one.trace == other.trace:
        return agree or (strange and _apart_ns(one, other) <= 0)
    if not agree:
        return False
    if strange and _apart_ns(one, other) <= 0:
        return True
    texts = bool(one.question and other.question and one.answer and other.answer)
    return texts and (_apart_ns(one, other) <= SKEW_NS if strange else _differ(one, other) and _within(one, other))


def are_twins(one: Call, other: Call) -> bool:
    """Whether spans of two instrumentations tell of one call with the same texts, one of them somewhere in the other.

    So are those that are inside each other by a span which is not known (yet).
    """
    return (
        one.trace == other.trace
        and one.scope != other.scope
        and one.span != other.span
        and bool(one.question and one.answer)
        and one.spanned
        and other.spanned
        and may_hold(one, other)
        and one.answer.strip() == other.answer.strip()
        and one.question.strip() == other.question.strip()
        and _within(one, other)
    )


def may_hold(outer: Call, inner: Call) -> bool:
    """Whether a call is the one that a span directly inside it tells of as well.

    A guard's question and answer are its own: it runs inside the call that it checks, and is another one.
    """
    if outer.response_id and inner.response_id and outer.response_id != inner.response_id:
        return False
    return outer.nested and inner.nested and _same_task(outer, inner) and not _contradict(outer, inner)


def as_one(members: Sequence[Call]) -> Call:
    """What calls of one group tell together."""
    if len(members) == 1:
        return members[0]
    by_span: dict[Key, list[Call]] = {}
    for one in members:
        by_span.setdefault((one.trace, one.span), []).append(one)
    first, *others = (_of_span(calls) for calls in by_span.values())
    for other in others:
        first = united(first, other)
    question, answer = (_whole(getattr(first, name), [getattr(one, name) for one in members]) for name in _TEXTS)
    if (question, answer) == (first.question, first.answer):
        return first
    return replace(first, question=question, answer=answer)


def pooled(calls: Iterable[Call]) -> list[Call]:
    """Calls of which each span is one, and its log records follow; what is told again is not there twice."""
    by_span: dict[Key, list[Call]] = {}
    for call in calls:
        mine = by_span.setdefault((call.trace, call.span), [])
        place = next((n for n, one in enumerate(mine) if one == call or (one.spanned and call.spanned)), None)
        if place is None:
            mine.append(call)
        elif call.spanned:
            mine[place] = united(mine[place], call)
    return [one for mine in by_span.values() for one in mine]


def _of_span(calls: list[Call]) -> Call:
    """What a span and its log records tell: texts of later records go before those of earlier ones."""
    if len(calls) == 1:
        return calls[0]
    spans = [one for one in calls if one.spanned]
    records = sorted((one for one in calls if not one.spanned), key=lambda call: (call.start_ns, call.end_ns))
    if len(records) > 1:
        whole, question, answer, recalled = records[0], "", "", False
        for one in records:
            whole = united(whole, one)
            if one.question:
                question = one.question
                if recalled:
                    answer = ""
            # What an assistant said before is no answer once there is one.
            if one.answer and (not one.recalled or recalled or not answer):
                answer, recalled = one.answer, one.recalled
        whole = replace(whole, question=question, answer=answer, recalled=recalled)
        records = [replace(whole, start_ns=records[0].start_ns, end_ns=max(one.end_ns for one in records))]
    first, *others = [*spans, *records]
    for other in others:
        first = united(first, other)
    return first


def _unite(group: dict[Key, list[Call]], first: Call, second: Call) -> None:
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
    """Whether what both know of the texts is the same."""
    return _alike(one.question, other.question) and _alike(one.answer, other.answer)


def _contradict(one: Call, other: Call) -> bool:
    """Whether both know what was asked and what was answered, and agree on neither."""
    if one.recalled or other.recalled:
        return False
    for which in _TEXTS:
        mine, its = getattr(one, which), getattr(other, which)
        if _alike(mine, its) or (which in one.cut and its.startswith(mine)):
            return False
        if which in other.cut and mine.startswith(its):
            return False
    return True


def _alike(one: str, other: str) -> bool:
    if not one or not other or one == other:
        return True
    shorter, longer = sorted((one.strip(), other.strip()), key=len)
    head = shorter.rstrip(" .…")
    return shorter == longer or (len(head) >= MIN_HEAD and longer.startswith(head))


def _whole(text: str, told: Iterable[str]) -> str:
    """The text, or the whole of which it is the head, where another call tells that."""
    longer = [one for one in told if len(one) > len(text) and _alike(text, one) and one.strip() != text.strip()]
    return max(longer, key=len) if text and longer else text


def _apart_ns(one: Call, other: Call) -> int:
    """How long after the end of one the other starts, 0 or less where they overlap."""
    return max(one.start_ns, other.start_ns) - min(one.end_ns, other.end_ns)


def _within(one: Call, other: Call) -> bool:
    inner, outer = sorted((one, other), key=lambda call: call.end_ns - call.start_ns)
    return outer.start_ns <= inner.start_ns and inner.end_ns <= outer.end_ns


def _differ(one: Call, other: Call) -> bool:
    return (one.start_ns, one.end_ns) != (other.start_ns, other.end_ns)


def _same_task(one: Call, other: Call) -> bool:
    return not one.task or not other.task or one.task == other.task
