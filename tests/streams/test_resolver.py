"""Feedback that names a response, a span, a trace or a session finds the answer that it is about."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from headrace.access.proofs import Proofs
from headrace.contract.events import Arm, Feedback, Inference, new_feedback, new_inference
from headrace.contract.given_ids import NOBODY
from headrace.warehouse import Warehouse
from streams.decode import Raw
from streams.resolver import Resolver
from streams.rules import Rules
from streams.store import store
from streams.tables import TABLES

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
PROOFS = Proofs(b"of a test")


class World:
    """A tenant's events, stored as the worker stores them, and a resolver that can be replaced by its successor."""

    def __init__(self, warehouse: Warehouse) -> None:
        self.tenant = f"tenant-{uuid4().hex[:8]}"
        self.warehouse = warehouse
        self.resolver = Resolver(warehouse)
        self._offset = 0

    def arrive(self, *events: Inference | Feedback) -> None:
        """Each event is a record of its own, and this tenant's where it names none."""
        for kind, table in ((Inference, TABLES[0]), (Feedback, TABLES[1])):
            raws = []
            for event in events:
                if isinstance(event, kind):
                    self._offset += 1
                    mine = event if event.tenant != "default" else event.model_copy(update={"tenant": self.tenant})
                    mine = PROOFS.sign(mine) if isinstance(mine, Inference) else mine
                    raws.append(Raw(f"{table.topic.name}.{self.tenant}", 0, self._offset, mine.to_json()))
            if raws:
                assert store(raws, table, self.warehouse, Rules(proofs=PROOFS)) == []

    def answer_of(self, feedback: Feedback) -> tuple[UUID, str]:
        """What analysts see: the answer, and by which reference it was found."""
        rows = self.warehouse.rows(
            "SELECT inference_id, resolved_by FROM feedback_current WHERE feedback_id = {id:UUID}",
            id=str(feedback.feedback_id),
        )
        assert len(rows) == 1
        return rows[0]["inference_id"], rows[0]["resolved_by"]

    def parked(self) -> int:
        """How much of the tenant's feedback is parked."""
        return self.count("feedback_parked")

    def count(self, table: str) -> int:
        """How many of the tenant's rows are in a table or view."""
        sql = f"SELECT count() AS n FROM {table} WHERE tenant = {{tenant:String}}"
        return int(self.warehouse.rows(sql, tenant=self.tenant)[0]["n"])


@pytest.fixture
def world(warehouse: Warehouse) -> World:
    return World(warehouse)


def answer(minute: float = 0, **fields: object) -> Inference:
    return new_inference("router", "router@1", occurred_at=NOON + timedelta(minutes=minute), label="it", **fields)


def thumb(minute: float = 1, **fields: object) -> Feedback:
    at = NOON + timedelta(minutes=minute)
    return new_feedback(None, "user", "thumb", value=-1, occurred_at=at, **fields)


@pytest.mark.parametrize("feedback_first", [False, True])
def test_each_reference_finds_its_answer_whichever_came_first(world, feedback_first):
    """The answer is found by each kind of reference, before it arrives and after; until then feedback is parked."""
    kinds = {
        "response": ("response_id",),
        "span": ("span_id",),
        "span in its trace": ("span_id", "trace_id"),
        "trace": ("trace_id",),
        "session": ("session_id",),
    }
    names = ("response_id", "span_id", "trace_id", "session_id")
    there = {kind: answer(**{name: f"{name} of {kind}" for name in names}) for kind in kinds}
    said = {kind: thumb(**{name: getattr(there[kind], name) for name in given}) for kind, given in kinds.items()}
    world.arrive(*(said if feedback_first else there).values())
    assert world.resolver.step() == 0
    assert world.parked() == (len(kinds) if feedback_first else 0)
    # Restarts lie in between: nothing that the resolver needs is in its memory.
    world.resolver = Resolver(world.warehouse)
    world.arrive(*(there if feedback_first else said).values())
    assert world.resolver.step() == len(kinds)
    for kind in kinds:
        assert world.answer_of(said[kind]) == (there[kind].inference_id, kind.split()[0])
    assert world.parked() == 0
    assert world.resolver.step() == 0


def test_a_session_means_its_last_answer_before_the_feedback(world):
    """Of a session's answers the last one before the feedback is meant: no later one, no shadow, no other task's."""
    first, last = answer(0, session_id="s"), answer(2, session_id="s")
    later = answer(4, session_id="s")
    shadow = answer(2.5, session_id="s", arm=Arm.SHADOW)
    other = new_inference("expert.hr", "hr@1", session_id="s", occurred_at=NOON + timedelta(minutes=2.8))
    said, precise = thumb(3, session_id="s"), thumb(3, session_id="s", task="router")
    world.arrive(first, last, later, shadow, other, said, precise)
    assert world.resolver.step() == 2
    assert world.answer_of(said)[0] == other.inference_id
    assert world.answer_of(precise)[0] == last.inference_id


def test_a_later_arrival_that_fits_better_takes_the_feedback_over(world):
    """The result does not depend on the order of arrival: a session's last answer may come after the one before."""
    first, last, said = answer(0, session_id="s"), answer(2, session_id="s"), thumb(3, session_id="s")
    world.arrive(first, said)
    world.resolver.step()
    assert world.answer_of(said)[0] == first.inference_id
    world.arrive(last)
    world.resolver.step()
    assert world.answer_of(said)[0] == last.inference_id


def test_a_precise_reference_never_falls_back_to_the_session(world):
    """Feedback on a response that has not arrived waits, though its session has other answers."""
    said = thumb(response_id="chatcmpl-2", session_id="s")
    world.arrive(answer(0, session_id="s", response_id="chatcmpl-1"), said)
    assert world.resolver.step() == 0
    assert world.answer_of(said) == (NOBODY, "")


@pytest.mark.parametrize("feedback_first", [False, True])
def test_a_span_that_is_no_answers_own_means_its_trace_or_session(world, feedback_first):
    """In an agent's span around the answer it is about that, and in a later request's about the session's last."""
    inside, last = answer(0, trace_id="a", span_id="call"), answer(0, trace_id="c", span_id="other", session_id="s")
    around = thumb(1, trace_id="a", span_id="agent")
    later = thumb(1, trace_id="b", span_id="request", session_id="s")
    lost = thumb(1, span_id="alone", session_id="s")
    arrivals: list[list[Inference | Feedback]] = [[inside, last], [around, later, lost]]
    for events in reversed(arrivals) if feedback_first else arrivals:
        world.arrive(*events)
        world.resolver.step()
    assert world.answer_of(around) == (inside.inference_id, "trace")
    assert world.answer_of(later) == (last.inference_id, "session")
    assert world.answer_of(lost) == (NOBODY, "")


def test_the_answer_of_a_span_takes_feedback_from_its_trace(world):
    """Another answer of the trace that came first has it until the span's own is there."""
    other, own = (answer(0, trace_id="a", span_id=span, session_id="s") for span in ("other", "own"))
    said = thumb(1, trace_id="a", span_id="own", session_id="s")
    world.arrive(said, other)
    world.resolver.step()
    assert world.answer_of(said) == (other.inference_id, "trace")
    world.arrive(own)
    world.resolver.step()
    assert world.answer_of(said) == (own.inference_id, "span")


@pytest.mark.parametrize("corrected_first", [False, True])
def test_an_answer_is_found_by_what_its_last_revision_says(world, corrected_first):
    """Feedback on a response that a correction took from an answer waits, and that on the new one finds it."""
    first = answer(response_id="wrong", session_id="s")
    last = first.model_copy(update={"response_id": "right", "revision": 1})
    former, present = thumb(response_id="wrong"), thumb(response_id="right")
    for event in (last, first) if corrected_first else (first, last):
        world.arrive(event)
    world.arrive(former, present)
    assert world.resolver.step() == 1
    assert world.answer_of(former) == (NOBODY, "")
    assert world.answer_of(present) == (first.inference_id, "response")


def test_another_tenants_answer_is_never_meant(world):
    """The join is on the tenant too."""
    said = thumb(session_id="s", tenant="acme")
    world.arrive(answer(session_id="s", tenant="other"), said)
    assert world.resolver.step() == 0
    assert world.answer_of(said) == (NOBODY, "")


def test_a_replay_does_not_undo_a_resolution(world):
    """Kafka may give the original again: the row keeps its answer, and stays one row."""
    there, said = answer(session_id="s"), thumb(session_id="s")
    world.arrive(there, said)
    world.resolver.step()
    world.arrive(said)
    assert world.answer_of(said)[0] == there.inference_id
    world.resolver.step()
    assert world.answer_of(said)[0] == there.inference_id
    world.warehouse.command("OPTIMIZE TABLE feedback FINAL")
    assert world.count("feedback") == 1


def test_a_step_cut_short_is_finished_by_the_next(world, monkeypatch):
    """A worker killed after any statement leaves nothing half-done for its successor."""
    there, said = answer(session_id="s"), thumb(session_id="s")
    world.arrive(there, said)

    class Killed(Exception):
        """The process ends here."""

    whole = Resolver._run
    for cut in ("resolver/match", "resolver/write", "resolver/done"):

        def run(self, query, cut=cut, **parameters):
            if query == cut:
                raise Killed
            whole(self, query, **parameters)

        with monkeypatch.context() as patch, pytest.raises(Killed):
            patch.setattr(Resolver, "_run", run)
            Resolver(world.warehouse).step()
    Resolver(world.warehouse).step()
    assert world.answer_of(said)[0] == there.inference_id


def test_many_wait_and_only_the_one_that_is_meant_resolves(world):
    """What never resolves stays parked, each thumb by itself, and ground truth knows nothing of it."""
    lost: Sequence[Feedback] = [thumb(session_id=f"lost-{number}", label="hr") for number in range(300)]
    there, said = answer(session_id="s"), thumb(session_id="s")
    world.arrive(*lost, said)
    world.resolver.step()
    world.arrive(there)
    assert world.resolver.step() == 1
    assert world.parked() == len(lost)
    assert world.count("feedback_current") == len(lost) + 1
    assert world.count("ground_truth_current") == 0
    how = {
        row["how"]: row["n"]
        for row in world.warehouse.rows(
            "SELECT how, count() AS n FROM feedback_references WHERE tenant = {tenant:String} GROUP BY how",
            tenant=world.tenant,
        )
    }
    assert how == {"waiting": len(lost), "session": 1}
