"""Feedback finds the answer that was being given, whatever the clocks say and in whatever order all of it arrives."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from headrace.contract.events import Feedback, Inference, new_feedback, new_inference
from headrace.contract.given_ids import NOBODY
from headrace.contract.topics import FEEDBACK, INFERENCES
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.resolver import Reach, Resolver
from streams.rules import Rules
from streams.store import store
from streams.tables import table_of

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def second(at: float) -> datetime:
    return NOON + timedelta(seconds=at)


class Room:
    """A tenant's conversations."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.tenant = f"tenant-{uuid4().hex[:8]}"
        self.warehouse = warehouse
        self.resolver = Resolver(warehouse)

    def answer(self, begun: float, ended: float, **fields: object) -> Inference:
        """An answer that was given between two seconds after noon."""
        given = {"session_id": "s", "latency_ms": 1000 * (ended - begun), "occurred_at": second(ended)} | fields
        return new_inference("router", "router@1", tenant=self.tenant, **given)

    def thumb(self, at: float, **fields: object) -> Feedback:
        given = fields or {"session_id": "s"}
        return new_feedback(None, "user", "thumb", value=1, tenant=self.tenant, occurred_at=second(at), **given)

    def arrive(self, *events: Inference | Feedback) -> None:
        """All of them, and a look of the resolver after."""
        for topic, kind in ((INFERENCES, Inference), (FEEDBACK, Feedback)):
            mine = [event for event in events if isinstance(event, kind)]
            raws = [Raw(topic.name, 0, number, event.to_json()) for number, event in enumerate(mine)]
            if raws:
                assert store(raws, table_of(topic), self.warehouse, Rules()) == []
        self.resolver.step()

    def found(self, said: Sequence[Feedback]) -> list[UUID]:
        """The answers of the feedback."""
        rows = self.warehouse.rows(
            "SELECT feedback_id, inference_id FROM feedback FINAL WHERE tenant = {tenant:String}", tenant=self.tenant
        )
        answers = {row["feedback_id"]: row["inference_id"] for row in rows}
        return [answers[one.feedback_id] for one in said]


@pytest.fixture
def room(warehouse: Warehouse) -> Room:
    return Room(warehouse)


# Seconds at which answers began and ended, at which feedback says that it was given, and which answer is meant.
SESSIONS: list[tuple[list[tuple[float, float]], float, int | None]] = [
    ([(0, 8)], 4, 0),  # while it streams
    ([(0, 8)], 12, 0),
    ([(0, 8)], -10, 0),  # by a clock that is behind
    ([(0, 8)], -900, 0),
    ([(0, 8)], -901, None),
    ([(0, 8), (20, 28), (40, 48)], 25, 1),  # while the second one streams
    ([(0, 8), (20, 28), (40, 48)], 15, 0),  # the next one does not take it
    ([(0, 8), (20, 28), (40, 48)], 20, 1),
    ([(0, 8), (20, 28), (40, 48)], -10, 0),
    ([(0, 30), (10, 12)], 15, 1),  # two at once: the one that began last
    ([(0, 0), (20, 20)], 19, 0),  # of answers that do not say how long they took
    ([(0, 8)], 60 * 86400, 0),
    ([(0, 8)], 60 * 86400 + 1, None),
]


@pytest.mark.parametrize("feedback_first", [False, True])
def test_a_session_means_the_answer_that_had_begun_last(room: Room, feedback_first: bool) -> None:
    """Where none had begun, the first that did soon after; in either order of arrival."""
    given = [
        [room.answer(*span, session_id=f"s-{number}") for span in answers]
        for number, (answers, _, _) in enumerate(SESSIONS)
    ]
    said = [room.thumb(at, session_id=f"s-{number}") for number, (_, at, _) in enumerate(SESSIONS)]
    answers = [one for session in given for one in session]
    for events in (said, answers) if feedback_first else (answers, said):
        room.arrive(*events)
    assert room.found(said) == [
        NOBODY if meant is None else session[meant].inference_id
        for session, (_, _, meant) in zip(given, SESSIONS, strict=True)
    ]


@pytest.mark.parametrize("named", ["id", "text"])
@pytest.mark.parametrize("feedback_first", [False, True])
def test_an_answer_sent_again_with_a_later_time_keeps_its_feedback(
    room: Room, feedback_first: bool, named: str
) -> None:
    """It had begun when its first sending says, whether feedback came before the second or after."""
    ids = {} if named == "id" else {"inference_id": f"{room.tenant}-1"}
    first, last = room.answer(-60, -58), room.answer(-20, -20, **ids)
    again = last.model_copy(update={"occurred_at": second(30)})
    if named == "text":
        again = again.settled()
    said = room.thumb(-15)
    for events in ([first, last, said], [again]) if feedback_first else ([first, last], [again, said]):
        room.arrive(*events)
    assert room.found([said]) == [last.inference_id]


def test_a_clock_ahead_does_not_make_feedback_later_than_its_arrival(room: Room) -> None:
    """An answer that begins after the feedback had arrived does not take it, though the feedback says it is later."""
    now = (datetime.now(UTC) - NOON).total_seconds()
    before, after = room.answer(now - 30, now - 22), room.answer(now + 300, now + 308)
    said = [room.thumb(now + ahead) for ahead in (600, 86_400 * 3)]
    room.arrive(before, *said)
    room.arrive(after)
    assert room.found(said) == [before.inference_id] * 2


@pytest.mark.parametrize("feedback_first", [False, True])
def test_what_is_exact_needs_no_clock(room: Room, feedback_first: bool) -> None:
    """A trace means its last answer, of its task where feedback names one, and a span or response its own, at any time.

    The clock may be days behind or ahead, and the feedback may come before the answer's end.
    """
    steps: list[Inference] = []
    said: list[Feedback] = []
    expected: list[UUID] = []
    for number, at in enumerate([-600, -86_400 * 3, 4, 15, 600, 86_400 * 3], start=1):
        names = {"trace_id": f"{number:032x}"}
        mine = [room.answer(0, 2, **names), room.answer(2, 8, **names), room.answer(8, 9, **names)]
        mine[1] = mine[1].model_copy(update={"response_id": f"r-{number}", "span_id": f"{number:016x}"})
        mine[2] = mine[2].model_copy(update={"task": "guard"})
        steps += mine
        said += [room.thumb(at, **names), room.thumb(at, task="router", **names)]
        said += [room.thumb(at, response_id=f"r-{number}"), room.thumb(at, span_id=f"{number:016x}")]
        expected += [mine[2].inference_id] + [mine[1].inference_id] * 3
    for events in (said, steps) if feedback_first else (steps, said):
        room.arrive(*events)
    assert room.found(said) == expected


def meant(answers: Sequence[Inference], said: Feedback) -> UUID:
    """The rule of docs/events.md for a session."""
    at = said.occurred_at
    mine = [
        (one.occurred_at - timedelta(milliseconds=one.latency_ms), one.inference_id)
        for one in answers
        if one.session_id == said.session_id and said.task in ("", one.task)
    ]
    before = [(begun, name.int, name) for begun, name in mine if at - Reach().loose <= begun <= at]
    after = [(at - begun, name.int, name) for begun, name in mine if at < begun <= at + Reach().early]
    return max(before or after, default=(at, 0, NOBODY))[2]


@pytest.mark.parametrize("seed", range(2))
def test_the_order_of_arrival_decides_nothing(room: Room, seed: int) -> None:
    """Conversations of any shape, feedback at any time, all of it in any order and any pieces: the rule's answers."""
    chance = random.Random(seed)
    answers, said = list[Inference](), list[Feedback]()
    for _ in range(30):
        begun = chance.choice([0, 5, 10, 20, 60, 700]) * chance.choice([-1, 1])
        one = room.answer(begun, begun + chance.choice([0, 1, 8, 30]), session_id=f"s-{chance.randrange(6)}")
        answers.append(one.model_copy(update={"task": chance.choice(["router", "guard"])}))
    for _ in range(40):
        at = chance.choice([-1500, -900, -30, -5, 0, 3, 10, 21, 65, 800])
        said.append(room.thumb(at, session_id=f"s-{chance.randrange(6)}", task=chance.choice(["", "router"])))
    everything = [*answers, *said, *chance.sample(answers, 5), *chance.sample(said, 5)]
    chance.shuffle(everything)
    for start in range(0, len(everything), 24):
        room.arrive(*everything[start : start + 24])
    assert room.found(said) == [meant(answers, one) for one in said]
