"""The judge at work: complaints in, verdicts out, each answer once.

A complaint waits until its answer is in the warehouse, then for the model, then for Kafka's acknowledgement of the
verdict; only then may its offset be committed. Complaints overtake one another, so one that waits holds up no other,
and no more than MAX_UNDER_WAY wait at a time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter, OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from consumers.judge.complaint import DisputedAnswer, Key
from consumers.judge.lookup import Lookup
from consumers.judge.offsets import Pending
from consumers.judge.verdict import Malformed, feedback_of, request_of, verdict_by, verdict_of
from headrace.client import AsyncClient
from headrace.contract.events import Feedback
from headrace.errors import HeadraceError
from headrace.judging.endpoint import Endpoint, Unanswered
from headrace.plan import Judge, Plan, Task

log = logging.getLogger(__name__)

MAX_UNDER_WAY = 2000
BATCH = 200
REMEMBERED = 100_000
LOOK_S = 0.3
SEND_RETRY_S = 1.0


@dataclass(slots=True)
class Case:
    """A complaint under way.

    pending: the record it came in
    due, until: when to look for its answer next, and how long to go on looking (monotonic seconds)
    wait_s: how long after the next look
    """

    key: Key
    signal: str
    pending: Pending
    due: float
    until: float
    wait_s: float = LOOK_S


class Worker:
    """Judges what `take` gives it until it is closed.

    patience_s: how long an answer may be missing before its complaint is given up, and counted
    tally: what became of complaints so far
    """

    def __init__(self, plan: Plan, lookup: Lookup, client: AsyncClient, patience_s: float = 120.0) -> None:
        self._judges: dict[str, tuple[Task, Judge, Endpoint]] = {
            name: (task, task.judge, Endpoint(task.judge, task.judge.concurrency))
            for name, task in plan.tasks.items()
            if task.judge and task.kind == "classify"
        }
        self._lookup = lookup
        self._client = client
        self._patience_s = patience_s
        self._cases: list[Case] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._seen: OrderedDict[Key, None] = OrderedDict()
        self.tally: Counter[str] = Counter()

    @property
    def full(self) -> bool:
        """No more may be taken now."""
        return len(self._cases) + len(self._asking) >= MAX_UNDER_WAY

    @property
    def idle(self) -> bool:
        """Nothing is under way."""
        return not self._cases and not self._asking

    def take(self, feedback: Feedback, pending: Pending) -> None:
        """Begin with a complaint; `pending` counts down when it is done with."""
        key = (feedback.tenant, feedback.inference_id)
        if key in self._seen or (feedback.task and feedback.task not in self._judges):
            self._done(pending, "repeated" if key in self._seen else "no judge")
            return
        self._remember(key)
        now = time.monotonic()
        self._cases.append(Case(key, feedback.signal.value, pending, now, now + self._patience_s))

    async def run(self) -> None:
        """Look for answers, and judge those that are there, for ever."""
        while True:
            now = time.monotonic()
            due = [case for case in self._cases if case.due <= now][:BATCH]
            found = await self._lookup.answers([case.key for case in due]) if due else {}
            for case in due:
                self._sort(case, found)
            for task in [task for task in self._asking if task.done()]:
                self._asking.discard(task)
                task.result()
            if len(due) < BATCH:
                await asyncio.sleep(LOOK_S)

    async def close(self) -> None:
        """Stop asking; what is not done with stays uncommitted."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        for _, _, endpoint in self._judges.values():
            await endpoint.close()

    def _sort(self, case: Case, found: Mapping[Key, DisputedAnswer] | None) -> None:
        """What the look says of the case: judge it, look again later, or be done with it."""
        answer = found.get(case.key) if found is not None else None
        if answer is None:
            now = time.monotonic()
            # While the warehouse is away nobody knows whether the answer is there.
            if found is not None and now > case.until:
                self._seen.pop(case.key, None)
                self._cases.remove(case)
                self._done(case.pending, "answer missing")
            else:
                case.due, case.wait_s = now + case.wait_s, min(2 * case.wait_s, 10.0)
            return
        self._cases.remove(case)
        judged_by = self._judges.get(answer.task)
        if judged_by is None or answer.arm == "shadow":
            self._done(case.pending, "no judge")
        elif answer.judged:
            self._done(case.pending, "judged before")
        else:
            self._asking.add(asyncio.create_task(self._judge(case, answer, *judged_by)))

    async def _judge(self, case: Case, answer: DisputedAnswer, task: Task, judge: Judge, endpoint: Endpoint) -> None:
        if case.signal not in answer.signals:
            # The complaint itself may not be in the warehouse yet.
            answer = DisputedAnswer(
                **{name: getattr(answer, name) for name in DisputedAnswer.__slots__}
                | {"signals": (*answer.signals, case.signal)}
            )
        try:
            feedback = await self._ask(answer, task, judge, endpoint)
        except (Malformed, Unanswered) as error:
            log.warning("no verdict on %s of %s: %s", answer.inference_id, answer.tenant, error)
            self._done(case.pending, "malformed" if isinstance(error, Malformed) else "unanswered")
            return
        while True:
            with contextlib.suppress(HeadraceError):
                await self._client.send([feedback])
                break
            await asyncio.sleep(SEND_RETRY_S)
        self._done(case.pending, f"judged {feedback.blame}")

    async def _ask(self, answer: DisputedAnswer, task: Task, judge: Judge, endpoint: Endpoint) -> Feedback:
        """One more attempt where the model's answer is no verdict. Raises Malformed, Unanswered."""
        if judge.api == "decisions":
            found = await endpoint.decided(judge.model, answer.input, task.labels)
            return feedback_of(verdict_by(found, answer), answer, judge, datetime.now(UTC))
        request = request_of(answer, task, judge)
        try:
            said = await endpoint.said(request)
            verdict, tokens = verdict_of(said.text, answer, task), (said.tokens_in, said.tokens_out)
        except Malformed as error:
            log.info("the judge is asked again about %s: %s", answer.inference_id, error)
            again = await endpoint.said(request)
            verdict = verdict_of(again.text, answer, task)
            tokens = said.tokens_in + again.tokens_in, said.tokens_out + again.tokens_out
        return feedback_of(verdict, answer, judge, datetime.now(UTC), tokens)

    def _remember(self, key: Key) -> None:
        self._seen[key] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)

    def _done(self, pending: Pending, how: str) -> None:
        pending.left -= 1
        self.tally[how] += 1
