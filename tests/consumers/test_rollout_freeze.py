"""Requests that wait for the end of a freeze window, by the owner of promotions itself, over a hold in memory."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from consumers.rollout import owner
from consumers.rollout.owner import Rollouts
from headrace import plan
from headrace.bus.protocol import Message
from headrace.contract import ids
from headrace.contract.control import Promotion, RequestKind, RolloutRequest, Served, Step, Waits
from headrace.contract.topics import PROMOTIONS, ROLLOUTS

AT = datetime(2026, 12, 21, tzinfo=UTC)
PLAN = plan.parse(
    'version = 2\n[tasks.router]\nmode = "auto"\nlabels = ["hr", "it"]\n[tasks.router.incumbent]\n'
    'url = "http://a/v1"\nmodel = "big"\nversion = "router@0"\n[tasks.router.candidates.probe]\nmethod = "probe"\n'
)
ONE, TWO, THREE, FOUR = (Served(version=f"router@{number}", artifact=f"/m/{number}") for number in (1, 2, 3, 4))


class MemoryHold:
    """What Hold promises of order, without Kafka: a record that is passed over comes again at the end."""

    def __init__(self) -> None:
        self.told: list[Promotion] = []
        self.again: list[Message] = []
        self._deferred: dict[int, Message] = {}

    @property
    def deferred(self) -> Sequence[Message]:
        return [self._deferred[offset] for offset in sorted(self._deferred)]

    def defer(self, message: Message) -> None:
        self._deferred[message.offset] = message

    async def write(self, records: Sequence[tuple[Any, Any]], offset: int | None = None) -> None:
        self.told += [record for topic, record in records if topic is PROMOTIONS]
        if offset is not None:
            self.again = [message for at, message in self._deferred.items() if at < offset]
            self._deferred = {at: message for at, message in self._deferred.items() if at > offset}


class NoAlarms:
    """Every topic can be read."""

    async def raise_for(self, *_: object) -> None: ...


@pytest.fixture
def frozen(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A freeze window that lasts until a test ends it."""
    window = SimpleNamespace(says="waits for the end of a freeze window at 2027-01-03 08:00 UTC")
    monkeypatch.setattr(owner, "frozen", lambda *_: window.says)
    monkeypatch.setattr(owner, "_fault", lambda *_: "")
    return window


@pytest.fixture
def rollouts() -> Any:
    """The owner of a task whose live version is @2, before that @1."""
    made: Any = Rollouts.__new__(Rollouts)
    made._hold, made._alarms = MemoryHold(), NoAlarms()
    made._tasks, made._modes = PLAN.tasks, {"router": "auto"}
    made._promotions = {
        "router": Promotion(
            task="router", generation=5, step=Step.STEADY, live=TWO, previous=ONE, since=AT, at=AT, reason="20 requests"
        )
    }
    made._unreadable, made._told_at = {}, {}
    return made


def message(offset: int, kind: RequestKind, candidate: Served | None = None, **fields: Any) -> Message:
    now = datetime.now(UTC)
    asked = RolloutRequest(
        request_id=ids.uuid7(now), task="router", kind=kind, at=now, by="ann", candidate=candidate, **fields
    )
    return Message(ROLLOUTS.name, 0, offset, b"router", asked.to_json())


async def test_a_wait_keeps_the_reason_before_it_and_ends_with_its_refusal(
    frozen: SimpleNamespace, rollouts: Any
) -> None:
    """Why the version before came back stays readable; what is refused after all waits no longer."""
    told = rollouts._hold.told
    await rollouts.take(message(1, RequestKind.PROMOTE, THREE))
    assert (told[-1].waits, told[-1].step) == (Waits.FREEZE, Step.STEADY)
    await rollouts.take(message(2, RequestKind.ROLL_BACK, TWO, reason="wrong about leave"))
    assert told[-1].live == ONE and told[-1].waits is Waits.NOTHING
    (again,) = rollouts._hold.again
    await rollouts.take(Message(again.topic, 0, 3, again.key, again.value))
    assert told[-1].reason.startswith("router@3 waits for the end") and "leave" in told[-1].reason
    count = len(told)
    await rollouts._look_again()
    assert len(told) == count, "told once"
    frozen.says = ""
    rollouts._promotions["router"] = told[-1].model_copy(update={"live": THREE})
    await rollouts._look_again()
    assert told[-1].waits is Waits.NOTHING and "router@3 serves already" in told[-1].reason
    assert not rollouts._hold.deferred


async def test_what_waited_is_answered_before_what_came_later(frozen: SimpleNamespace, rollouts: Any) -> None:
    """When the window has ended, an older request does not take the place of a newer one."""
    told = rollouts._hold.told
    await rollouts.take(message(1, RequestKind.PROMOTE, THREE))
    frozen.says = ""
    await rollouts.take(message(2, RequestKind.PROMOTE, FOUR, by_hand=True))
    assert [one.offset for one in rollouts._hold.deferred] == [1, 2]
    await rollouts._look_again()
    assert [one.shadow and one.shadow.version for one in told[-2:]] == ["router@3", "router@4"]
