"""History that is generated inside ClickHouse: answers at a steady rate, and what was said about them.

A twentieth of the answers is audited and labelled within two days (one label in a thousand up to a year later), a
twentieth gets a thumb (one in a hundred of these is about an answer that never comes), one in two hundred a judge's
verdict. Every row was stored in its own time.
"""

from __future__ import annotations

import dataclasses
from datetime import datetime, timedelta

from headrace.contract import ids

DAYS = 500
RATE_PER_HOUR = 36_000
CHUNK = 5_000_000
LABELS = "['hr', 'it', 'finance', 'product', 'out_of_scope']"
# SQL: a version 7 id of the time `millis` and the number `n`. Ids of feedback differ from those of inferences by a bit.
ID = (
    "toUUID(hex(bitOr(bitShiftLeft(toUInt128({millis}), 80),"
    " bitOr(toUInt128('{fixed}'), toUInt128(sipHash64({n}) % 1000000000000000)))))"
)
FIXED = (7 << 76) | (2 << 62)
FEEDBACK_FIXED = FIXED | (1 << 64)
# SQL, of answer `number`: what is said of it, as (source, signal, label, milliseconds after it).
SAID = f"""arrayConcat(
    if(number % 20 = 0, [('audit', 'label', {LABELS}[sipHash64(number) % 5 + 1],
        sipHash64(number, 'after') % toUInt64(if(sipHash64(number, 'late') % 1000 = 0, 365, 2) * 86400000))], []),
    if(number % 20 = 10, [('user', 'thumb', '', toUInt64(60000))], []),
    if(number % 200 = 10, [('judge', 'verdict', 'it', toUInt64(300000))], []))"""


@dataclasses.dataclass(frozen=True)
class History:
    """rows inferences, ending at `now`."""

    rows: int
    now: datetime
    per_hour: int = RATE_PER_HOUR

    @classmethod
    def of_days(cls, rows: int, now: datetime) -> History:
        """About so many, in DAYS."""
        per_hour = rows // (DAYS * 24)
        return cls(per_hour * DAYS * 24, now, per_hour)

    def millis(self, n: str) -> str:
        """SQL: the time of inference n."""
        return f"toUInt64({ids.millis(self.at(0))} + intDiv({n} * 3600000, {self.per_hour}))"

    def at(self, n: int) -> datetime:
        """The time of inference n."""
        return self.now - timedelta(hours=(self.rows - n) / self.per_hour)

    def number(self, at: datetime) -> int:
        """The first audited inference from a time on."""
        return round((at - self.at(0)) / timedelta(hours=1) * self.per_hour) // 20 * 20 + 20


def inferences(history: History, first: int, rows: int, ingested: str = "occurred_at", **fields: str) -> str:
    """SQL that writes inferences `first` up to `first + rows`. fields: SQL by column."""
    millis = history.millis("number")
    columns = {
        "inference_id": ID.format(millis=millis, fixed=FIXED, n="number"),
        "occurred_at": f"fromUnixTimestamp64Milli({millis}, 'UTC')", "ingested_at": ingested,
        "tenant": "'default'", "task": "'router'", "version": "'router@1'", "arm": "'live'",
        "session_id": "toString(intDiv(number, 4))",
        "input": "concat('How many days of parental leave are left for me since ', toString(sipHash64(number)), '?')",
        "label": f"{LABELS}[sipHash64(number, 'label') % 5 + 1]",
        "scores": f"map({LABELS}[1], 0.5 + (sipHash64(number, 'score') % 500) / 1000)",
        "audited": "number % 20 = 0", "audit_probability": "0.05", "first_token_ms": "5",
        "latency_ms": "20 + number % 100", "tokens_in": "100", "tokens_out": "3", "cost": "0.0001",
        "emitter": "'bench.1'", "kafka_topic": "'headrace.inferences'", "kafka_offset": "number",
    } | fields  # fmt: skip
    select = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    return f"INSERT INTO inferences ({', '.join(columns)}) SELECT {select} FROM numbers({first}, {rows})"


def feedback(history: History, first: int, rows: int, ingested: str = "occurred_at") -> str:
    """SQL that writes what was said about these inferences until `history.now`, an hour of grace included."""
    asked, at = history.millis("number"), f"({history.millis('number')} + said.4)"
    about = "if(said.2 = 'thumb' AND number % 2000 = 10, 1000000000000 + number, number)"
    columns = {
        "feedback_id": ID.format(millis=at, fixed=FEEDBACK_FIXED, n="(number, said.2)"),
        "inference_id": ID.format(millis=asked, fixed=FIXED, n=about),
        "occurred_at": f"fromUnixTimestamp64Milli({at}, 'UTC')", "ingested_at": ingested,
        "tenant": "'default'", "task": "'router'", "source": "said.1", "signal": "said.2", "label": "said.3",
        "value": "if(said.2 = 'thumb', 1, NULL)", "blame": "if(said.2 = 'verdict', 'routing', '')",
        "ground_truth": "said.1 != 'user'", "rater": "if(said.1 = 'user', '', 'expert')",
        "emitter": "'bench.1'", "kafka_topic": "'headrace.feedback'", "kafka_offset": "number",
    }  # fmt: skip
    select = ", ".join(f"{text} AS {name}" for name, text in columns.items())
    return (
        f"INSERT INTO feedback ({', '.join(columns)}) SELECT {select}"
        f" FROM (SELECT number * 10 AS number FROM numbers({first // 10}, {rows // 10})) ARRAY JOIN {SAID} AS said"
        f" WHERE {at} < {ids.millis(history.now + timedelta(hours=1))}"
    )


COUNTERS = """
INSERT INTO emitters (emitter, kind, sequence, at, emitted, acknowledged, dropped)
SELECT 'bench.1', kind, row_number() OVER hours, hour + INTERVAL 3599 SECOND, sum(events) OVER hours AS sent, sent, 0
FROM
(
    SELECT kind, toStartOfHour(UUIDv7ToDateTime(id, 'UTC')) AS hour, count() AS events
    FROM (SELECT 'inferences' AS kind, inference_id AS id FROM inferences
          UNION ALL SELECT 'feedback', feedback_id FROM feedback
          UNION ALL SELECT 'feedback', feedback_id FROM expired)
    GROUP BY kind, hour
)
WINDOW hours AS (PARTITION BY kind ORDER BY hour)
"""
