"""What a correction leaves counts nowhere: another task or time, a version without answers, a month that has gone."""

from __future__ import annotations

from datetime import datetime, timedelta

from long_history import Recorded, answered, said, whole_hour
from router_story import Story

from headrace.contract import ids
from headrace.plan import Plan
from headrace.warehouse import clickhouse_time, query_text
from streams.audits import Audits
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
ID_TIME = "fromUnixTimestamp64Milli(toInt64(bitShiftRight(toUInt128(inference_id), 80)), 'UTC')"


def at(moment: datetime) -> str:
    return f"fromUnixTimestamp64Milli({ids.millis(moment)}, 'UTC')"


def test_a_label_stays_where_its_giver_thumbs_too(story: Story, plan: Plan) -> None:
    """An outcome's label is known, whatever a reviewer says without a label; their thumb is none of a user's."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    counts, span = WindowCounts(recorded, plan.tasks), (now, now + 10 * MINUTE, MINUTE)
    answered(story.sink, "router", *span, audited="false", audit_probability="0")
    said(story.sink, "router", *span, source="'outcome'", label="'it'")
    fields = {"feedback_id": "generateUUIDv7(number)", "source": "'reviewer'", "signal": "'thumb'", "label": "''"}
    said(story.sink, "router", *span, value="1", **fields)
    recorded.clock = now + 20 * MINUTE
    counts.watermark("router")
    columns = "stratum, sum(answers) AS n, sum(labelled) AS labelled, sum(errors) AS errors, sum(thumbs_up) AS up"
    rows = story.sink.rows(f"SELECT {columns} FROM strata_current GROUP BY stratum")
    assert rows == [{"stratum": "known", "n": 10, "labelled": 10, "errors": 10, "up": 0}]
    assert story.sink.rows("SELECT thumbs_up FROM windows FINAL") == [{"thumbs_up": 10}]


def test_a_label_leaves_the_day_that_its_answer_left(story: Story) -> None:
    """A correction of version and time: the former version's day is counted without it, as the hard trigger counts."""
    now, audits = whole_hour() - timedelta(days=5), Audits(story.sink)
    span, day = (now, now + 10 * MINUTE, MINUTE), (now - ids.EPOCH).days
    said(story.sink, "router", *span)
    answered(story.sink, "router", *span, ingested_at="now64(3)")
    audits.copy()
    fields = {"version": "'router@2'", "revision": "1", "occurred_at": f"{ID_TIME} - INTERVAL 2 DAY"}
    answered(story.sink, "router", *span, ingested_at="now64(3)", **fields)
    audits.copy()
    rows = story.sink.query(
        "monitor/label_days", tasks=["router"], versions=["router@1"],
        sinces=[clickhouse_time(now - timedelta(days=1))],
        watermarks=[clickhouse_time(whole_hour())], first_days=[day], last_days=[day + 1],
    )  # fmt: skip
    assert sum(row["labels"] for row in rows) == 0
    copied = story.sink.query(
        "monitor/copied", tasks=["router"], changed_since=clickhouse_time(now - timedelta(days=1))
    )
    assert {(row["version"], row["days"][0]) for row in copied} == {("router@1", day), ("router@2", day - 2)}


def test_an_answer_that_is_corrected_to_another_task_is_one_answer(story: Story, plan: Plan) -> None:
    """The former task's window is counted again, and has it no longer."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    tasks = {"router": plan.tasks["router"], "support": plan.tasks["router"]}
    counts, span = WindowCounts(recorded, tasks), (now, now + 10 * MINUTE, MINUTE)
    answered(story.sink, "router", *span)
    recorded.clock = now + 20 * MINUTE
    counts.watermark("router")
    fields = {"task": "'support'", "version": "'support@1'", "revision": "1", "ingested_at": at(now + 25 * MINUTE)}
    answered(story.sink, "router", *span, **fields)
    for minutes in (40, 60):
        recorded.clock = now + minutes * MINUTE
        counts.watermark("router")
    for column, table in (("requests", "windows FINAL"), ("answers", "strata_current")):
        rows = story.sink.rows(f"SELECT task, sum({column}) AS n FROM {table} GROUP BY task HAVING n > 0")
        assert rows == [{"task": "support", "n": 10}], table


def test_a_closed_span_has_no_version_without_answers(story: Story, plan: Plan) -> None:
    """All answers of a version become another's: its figure of that span says none."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    counts, span = WindowCounts(recorded, plan.tasks), (now, now + 10 * MINUTE, MINUTE)
    answered(story.sink, "router", *span)
    for minutes in (80, 95):
        recorded.clock = now + minutes * MINUTE
        counts.watermark("router")
    fields = {"version": "'router@7'", "revision": "1", "ingested_at": at(now + 96 * MINUTE)}
    answered(story.sink, "router", *span, **fields)
    for minutes in (98, 112):
        recorded.clock = now + minutes * MINUTE
        counts.watermark("router")
    sql = "SELECT DISTINCT `by`, name, answers FROM accuracy_corrected WHERE `by` IN ('all', 'version') ORDER BY name"
    assert {(row["by"], row["name"]): row["answers"] for row in story.sink.rows(sql)} == {
        ("all", "*"): 10,
        ("version", "router@1"): 0,
        ("version", "router@7"): 10,
    }


def test_a_window_whose_answers_have_left_stays(story: Story, plan: Plan) -> None:
    """What retention took is in the roll-up for good, also where one of its answers is corrected late."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    counts = WindowCounts(recorded, plan.tasks)
    answered(story.sink, "router", now, now + 10 * MINUTE, MINUTE)
    answered(story.sink, "router", now, now + 5 * MINUTE, timedelta(seconds=7), version="'router@2'")
    recorded.clock = now + 20 * MINUTE
    counts.watermark("router")
    sql = "SELECT sum(requests) AS n FROM days WHERE version = 'router@1'"
    before = story.sink.rows(sql)
    # As a pass of retention by a plan that keeps little: the set of the expired, the ledger, the rows.
    story.sink.command("INSERT INTO expired_inferences SELECT inference_id, tenant, emitter, now64(3) FROM inferences")
    story.sink.command(query_text("maintenance/expire_ledger"), since=clickhouse_time(now))
    story.sink.command("TRUNCATE TABLE inferences")
    counts = WindowCounts(recorded, plan.tasks)
    fields = {"version": "'router@2'", "revision": "1", "ingested_at": at(now + 25 * MINUTE)}
    answered(story.sink, "router", now, now + MINUTE, MINUTE, **fields)
    recorded.clock = now + 40 * MINUTE
    counts.watermark("router")
    assert story.sink.rows(sql) == before != [{"n": 0}]


def test_what_a_count_wrote_is_not_emptied_by_a_replica_that_lags(story: Story) -> None:
    """The rows of nothing are a tick older than the count's, which a replica may not see yet."""
    now = whole_hour() - 180 * MINUTE
    answered(story.sink, "router", now, now + 10 * MINUTE, MINUTE)
    span = {"tasks": ["router"], "size_ms": 600_000}
    whole = span | {"window_from": ids.millis(now), "window_to": ids.millis(now + 10 * MINUTE), "out_of_scope": [""]}
    for minutes in (20, 30):
        if minutes == 30:
            for table in ("windows", "strata"):
                story.sink.command(f"CREATE TABLE {table}_behind AS {table}")
                story.sink.command(f"INSERT INTO {table}_behind SELECT * FROM {table}")
        story.sink.command(
            query_text("monitor/windows_refresh"), **whole, known_at=clickhouse_time(now + minutes * MINUTE)
        )
    behind = query_text("monitor/windows_emptied")
    for table in ("windows", "strata"):
        behind = behind.replace(f"FROM {table} FINAL", f"FROM {table}_behind FINAL")
    story.sink.command(behind, **span, starts=[ids.millis(now)], known_at=clickhouse_time(now + 30 * MINUTE))
    assert story.sink.rows("SELECT requests FROM windows FINAL") == [{"requests": 10}]
    assert story.sink.rows("SELECT sum(answers) AS n FROM strata_current") == [{"n": 10}]


def test_a_uniform_draw_follows_its_answer(story: Story) -> None:
    """An answer that was drawn after it was stored, and not by the base audit, is corrected to another version."""
    now, audits = whole_hour() - 180 * MINUTE, Audits(story.sink)
    span, fields = (now, now + 10 * MINUTE, MINUTE), {"audited": "false", "audit_probability": "0"}
    said(story.sink, "router", *span)
    answered(story.sink, "router", *span, **fields)
    story.sink.command(
        "INSERT INTO audit_draws (task, tenant, inference_id, drawn_at, purpose, inclusion_probability, ingested_at)"
        " SELECT task, tenant, inference_id, occurred_at, 'uniform', 1, occurred_at FROM inferences"
    )
    audits.copy()
    answered(story.sink, "router", *span, version="'router@2'", revision="1", ingested_at="now64(3)", **fields)
    audits.copy()
    for source in ("audit_labels FINAL WHERE NOT unknown", "audit_current"):
        rows = story.sink.rows(f"SELECT version, count() AS n FROM {source} GROUP BY version")
        assert rows == [{"version": "router@2", "n": 10}], source
