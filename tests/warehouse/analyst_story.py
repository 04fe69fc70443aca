"""Sixty days of a router, until now, as the parts would have written them: what analysts and dashboards look at.

router@0 answers until day 40. On day 35 the questions about finance change and it gets most of them wrong; a trigger, a
job with its candidates and a canary make router@1 live on day 40, which is right again, faster and cheaper.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from analyst_loop import CHANGE, DAYS, PROMOTION, Loop

from headrace.contract import ids
from headrace.contract.events import Arm, Inference, new_feedback, new_inference
from headrace.warehouse import Warehouse

A_DAY = 72
TENANTS = ("acme", "globex", "initech")
QUESTIONS = {
    "hr": ("How many days off do I have?", "Who approves my leave?"),
    "it": ("My VPN is down", "I forgot my password"),
    "finance": ("Where is my invoice?", "Which card do I book the trip on?"),
    "out_of_scope": ("What is the weather like?", "Tell me a joke"),
}

WINDOWS = """
INSERT INTO windows
    (task, version, arm, window_from, window_to, requests, audited, labelled, errors, thumbs_up, thumbs_down,
     out_of_scope, first_token_p50_ms, first_token_p95_ms, latency_p50_ms, latency_p95_ms, cost, known_at)
SELECT i.task, i.version, i.arm, toStartOfHour(i.occurred_at) AS hour, hour + INTERVAL 1 HOUR, count(),
       countIf(i.audited), countIf(s.truth != ''), countIf(s.truth != '' AND s.truth != i.label),
       countIf(s.thumb > 0), countIf(s.thumb < 0), countIf(i.label = 'out_of_scope'),
       quantile(0.5)(i.first_token_ms), quantile(0.95)(i.first_token_ms),
       quantile(0.5)(i.latency_ms), quantile(0.95)(i.latency_ms), sum(i.cost), {known_at:DateTime('UTC')}
FROM inferences AS i
LEFT JOIN
(
    SELECT inference_id, maxIf(label, source = 'audit') AS truth, maxIf(value, signal = 'thumb') AS thumb
    FROM feedback GROUP BY inference_id
) AS s ON s.inference_id = i.inference_id
GROUP BY i.task, i.version, i.arm, hour
"""


class AnalystStory:
    """Tells the story into a warehouse.

    end: the present of the story; an answer comes every 20 minutes before it
    feedback_id, dataset, trigger_id: of the expert's label that trained router@1, of its data set and of its trigger
    """

    def __init__(self, warehouse: Warehouse, seed: int = 5) -> None:
        self.warehouse = warehouse
        self.random = random.Random(seed)
        self.end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
        self.start = self.end - timedelta(days=DAYS)
        self.dataset = "d" * 64
        self.trigger_id = ids.derived(self.day(38), "trigger")
        self.job_id = ids.derived(self.day(38), "job")
        self.lineage: list[dict[str, Any]] = []
        self.feedback: list[Any] = []
        self.sent: Counter[tuple[str, str]] = Counter()

    def day(self, number: float) -> datetime:
        return self.start + timedelta(days=number)

    @property
    def feedback_id(self) -> str:
        """Of an audit's label that went into the data set."""
        return str(self.lineage[0]["feedback_id"])

    def tell(self) -> None:
        """Write all of it."""
        answers = [answer for number in range(DAYS * A_DAY) for answer in self._answer(number)]
        self._events("inferences", answers)
        self._events("feedback", self.feedback)
        Loop(self).tell()
        self._ingest()
        self._windows()

    def _answer(self, number: int) -> list[Inference]:
        at = self.start + timedelta(days=(number + 0.4) / A_DAY)
        days = number / A_DAY
        truth = self.random.choices(list(QUESTIONS), (35, 35, 20, 10))[0]
        wrong = 0.7 if truth == "finance" and CHANGE <= days < PROMOTION else 0.04
        label = (
            self.random.choice([name for name in QUESTIONS if name != truth]) if self.random.random() < wrong else truth
        )
        canary = PROMOTION - 1 <= days < PROMOTION and number % 4 == 0
        new = days >= PROMOTION or canary
        answer = new_inference(
            "router",
            "router@1" if new else "router@0",
            arm="canary" if canary else "live",
            occurred_at=at,
            label=label,
            tenant=self.random.choices(TENANTS, (6, 3, 1))[0],
            session_id=f"s{number // 3}",
            user_ref=f"u{number % 40}",
            input=self.random.choice(QUESTIONS[truth]),
            scores={label: self.random.uniform(0.5, 1)},
            first_token_ms=20 if new else 200,
            latency_ms=self.random.gammavariate(8, 3 if new else 100),
            tokens_in=120,
            tokens_out=4,
            cost=0.00002 if new else 0.002,
            audited=number % 3 == 0,
            audit_probability=1 / 3,
            emitter="helpdesk",
        )
        self._said(answer, truth, number)
        shadow = [
            answer.model_copy(
                update={
                    "inference_id": ids.uuid7(at),
                    "arm": Arm.SHADOW,
                    "version": "router@1",
                    "parent_id": answer.inference_id,
                    "latency_ms": 25.0,
                }
            )
        ]
        return [answer, *(shadow if PROMOTION - 2 <= days < PROMOTION - 1 else [])]

    def _said(self, answer: Inference, truth: str, number: int) -> None:
        wrong = answer.label != truth

        def say(source: str, signal: str, hours: float, **fields: Any) -> None:
            at = answer.occurred_at + timedelta(hours=hours)
            if at < self.end:
                said = new_feedback(
                    answer.inference_id,
                    source,
                    signal,
                    tenant=answer.tenant,
                    task="router",
                    occurred_at=at,
                    **{"emitter": "helpdesk"} | fields,
                )
                self.feedback.append(said)

        if answer.audited:
            say(
                "audit",
                "label",
                self.random.uniform(1, 30),
                label=truth,
                rater=f"expert-{number % 2}",
                inclusion_probability=1 / 3,
                emitter="console",
            )
        if self.random.random() < (0.4 if wrong else 0.1):
            say("user", "thumb", 0.01, value=-1 if wrong or number % 9 == 0 else 1)
        if wrong and number % 2 == 0:
            say("user", "reroute", 0.02, label=truth)
        if wrong or number % 50 == 0:
            blame = "routing" if wrong or number % 100 == 0 else "no_error"
            say(
                "judge",
                "verdict",
                0.1,
                blame=blame,
                label=truth if blame == "routing" else "",
                rater="big",
                rater_version="judge@1",
                emitter="judge",
            )
            say(
                "reviewer",
                "verdict",
                20,
                blame="routing" if wrong else "no_error",
                label=truth,
                rater="expert-0",
                emitter="console",
            )
        if number % 5 == 0:
            say("outcome", "resolution", 48, value=1, label=truth, rater="tickets")

    def _ingest(self) -> None:
        """Counters, a dead letter, feedback whose answer has not come, a pass, and what is in the ledger."""
        at = self.end.isoformat()
        self.rows(
            "dead_letters",
            [
                {
                    "topic": "headrace.feedback",
                    "partition": 1,
                    "offset": 7,
                    "record_index": 0,
                    "at": at,
                    "reason": "Feedback.signal: the field is missing",
                    "code": 0,
                    "original": "e30=",
                }
            ],
        )
        waiting = [
            new_feedback(
                ids.uuid7(self.day(number)),
                "user",
                "thumb",
                value=-1,
                tenant="acme",
                emitter="helpdesk",
                occurred_at=self.day(number),
            )
            for number in (10, 50, 59.9)
        ]
        self._events("feedback", waiting)
        self.rows(
            "emitters",
            [
                {
                    "emitter": emitter,
                    "kind": kind,
                    "sequence": 1,
                    "at": at,
                    "emitted": sent + 2,
                    "acknowledged": sent,
                    "dropped": 2,
                }
                for (emitter, kind), sent in self.sent.items()
            ],
        )
        self.rows("balance_passes", [{"until": self.day(59).isoformat(), "seconds": 0.6, "by": "streams-0"}])
        self.rows(
            "ledger",
            [
                {
                    "entry_id": str(ids.uuid7()),
                    "at": at,
                    "what": "erased",
                    "kind": "inferences",
                    "tenant": "acme",
                    "events": 2,
                    "reason": "asked by the person",
                    "emitter": "legacy",
                    "hour": self.day(1).strftime("%F %H:00:00"),
                }
            ],
        )
        self.rows(
            "offset_proofs",
            [
                {
                    "topic": "headrace.inferences",
                    "partition": 0,
                    "proven": 90,
                    "begin": 0,
                    "committed": 90,
                    "end": 96,
                    "checked_at": at,
                }
            ],
        )

    def _windows(self) -> None:
        """Windows of an hour, counted from what was answered and said."""
        self.warehouse.command(WINDOWS, known_at=self.end.strftime("%F %T"))

    def _events(self, table: str, events: Sequence[Any]) -> None:
        topic = {"kafka_topic": f"headrace.{table}", "kafka_partition": 0}
        self.sent.update((event.emitter, table) for event in events)
        rows = [json.loads(event.to_json()) | topic | {"kafka_offset": place} for place, event in enumerate(events)]
        self.rows(table, rows)

    def rows(self, table: str, rows: Iterable[dict[str, Any]]) -> None:
        self.warehouse.insert(table, [json.dumps(row).encode() for row in rows])
