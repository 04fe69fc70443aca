"""The copy of the audit's labels, and the windows, follow what answers are corrected to."""

from __future__ import annotations

from datetime import timedelta

from long_history import Recorded, answered, rows_read, said, whole_hour
from router_story import Story

from headrace.contract import ids
from headrace.plan import Plan
from streams.audits import Audits
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)


def test_an_answer_that_is_corrected_back_is_copied_again(story: Story) -> None:
    """What the last correction says counts, though an earlier copy said the same."""
    now, audits = whole_hour(), Audits(story.sink)
    span = (now - 10 * MINUTE, now, MINUTE)
    said(story.sink, "router", *span)
    for revision, label in enumerate(("hr", "it", "hr")):
        answered(story.sink, "router", *span, label=f"'{label}'", revision=str(revision), ingested_at="now64(3)")
        audits.copy()
        rows = story.sink.rows("SELECT answered, error, count() AS n FROM audit_labels FINAL GROUP BY answered, error")
        assert rows == [{"answered": label, "error": label != "hr", "n": 10}], revision
    audits.copy()
    assert story.sink.rows("SELECT count() <= 30 AS few FROM audit_labels") == [{"few": 1}]


def test_an_answer_that_is_corrected_to_another_hour_leaves_its_window(story: Story, plan: Plan) -> None:
    """Its first window is counted again, too."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    counts = WindowCounts(recorded, plan.tasks)
    answered(story.sink, "router", now, now + 10 * MINUTE, MINUTE)
    recorded.clock = now + 20 * MINUTE
    counts.watermark("router")
    later = "fromUnixTimestamp64Milli(toInt64(bitShiftRight(toUInt128(inference_id), 80)), 'UTC') + INTERVAL 61 MINUTE"
    corrected = {"occurred_at": later, "revision": "1", "ingested_at": f"{later} + INTERVAL 10 MINUTE"}
    answered(story.sink, "router", now, now + 5 * MINUTE, MINUTE, **corrected)
    recorded.clock = now + 90 * MINUTE
    counts.watermark("router")
    rows = story.sink.rows(
        "SELECT window_from < {hour:DateTime('UTC')} AS before, sum(requests) AS n FROM windows FINAL GROUP BY before",
        hour=f"{now + 60 * MINUTE:%Y-%m-%d %H:%M:%S}",
    )
    assert {row["before"]: row["n"] for row in rows} == {1: 5, 0: 5}


def test_a_window_and_a_version_that_a_correction_emptied_count_nothing(story: Story, plan: Plan) -> None:
    """All answers of an hour move to the next, and those of another hour to another version."""
    now, recorded = whole_hour() - 180 * MINUTE, Recorded(story.sink)
    hours = [now, now + 60 * MINUTE]
    counts = WindowCounts(recorded, plan.tasks)
    for hour in hours:
        answered(story.sink, "router", hour, hour + 10 * MINUTE, MINUTE)
    recorded.clock = now + 80 * MINUTE
    counts.watermark("router")
    corrected = {"revision": "1", "ingested_at": f"fromUnixTimestamp64Milli({ids.millis(now + 85 * MINUTE)}, 'UTC')"}
    moved = "fromUnixTimestamp64Milli(toInt64(bitShiftRight(toUInt128(inference_id), 80)), 'UTC') + INTERVAL 1 HOUR"
    answered(story.sink, "router", now, now + 10 * MINUTE, MINUTE, occurred_at=moved, **corrected)
    answered(story.sink, "router", hours[1], hours[1] + 10 * MINUTE, MINUTE, version="'router@7'", **corrected)
    recorded.clock = now + 90 * MINUTE
    counts.watermark("router")
    counted = (
        "SELECT window_from, version, sum({}) AS n FROM {} GROUP BY window_from, version HAVING n > 0 ORDER BY ALL"
    )
    for column, table in (("requests", "windows FINAL"), ("answers", "strata FINAL"), ("answers", "strata_current")):
        rows = story.sink.rows(counted.format(column, table))
        assert [(row["window_from"], row["version"], row["n"]) for row in rows] == [
            (hours[1], "router@1", 10),
            (hours[1], "router@7", 10),
        ], table
    rows = story.sink.rows("SELECT name, answers FROM accuracy_latest WHERE by = 'version' ORDER BY name")
    assert rows == [{"name": "router@1", "answers": 10}, {"name": "router@7", "answers": 10}]
    assert story.sink.rows("SELECT sum(requests) AS n FROM days WHERE isFinite(latency_p50_ms)") == [{"n": 20}]


def test_an_answer_that_is_corrected_to_another_version_counts_once(story: Story) -> None:
    """Its label is one of the version that answered by now, whichever it was before, and there and back again."""
    now, audits = whole_hour(), Audits(story.sink)
    span = (now - 10 * MINUTE, now, MINUTE)
    said(story.sink, "router", *span)
    for revision, (task, version) in enumerate([("router", 1), ("router", 2), ("support", 2), ("router", 1)]):
        fields = {"task": f"'{task}'", "version": f"'router@{version}'", "revision": str(revision)}
        answered(story.sink, "router", *span, ingested_at="now64(3)", **fields)
        audits.copy()
        for source in ("audit_labels FINAL WHERE NOT unknown", "audit_current"):
            rows = story.sink.rows(f"SELECT task, version, count() AS n FROM {source} GROUP BY task, version")
            assert rows == [{"task": task, "version": f"router@{version}", "n": 10}], source
    assert story.sink.rows("SELECT * FROM labels_unknown") == story.sink.rows("SELECT * FROM labels_judged") == []


def test_the_copy_of_a_day_reads_that_day(story: Story) -> None:
    """More answers than are named one by one: their day is read, and not the copies of two months."""
    now, audits = whole_hour(), Audits(story.sink)
    since = now - timedelta(days=60)
    answered(story.sink, "router", since, now, MINUTE)
    said(story.sink, "router", since, now, MINUTE)
    copied = "SELECT count() AS n, countIf(answered = 'it') AS put_right FROM audit_labels FINAL"
    audits.copy()
    assert story.sink.rows(copied) == [{"n": 86_400, "put_right": 0}]
    audits.copy()  # moves the cursor past what was copied
    day = since + timedelta(days=20)
    answered(story.sink, "router", day, day + 300 * MINUTE, MINUTE, label="'it'", revision="1", ingested_at="now64(3)")
    assert rows_read(story.sink, audits.copy) < 100_000
    assert story.sink.rows(copied) == [{"n": 86_400, "put_right": 300}]


def test_a_label_is_copied_without_asking_once_more_what_came(story: Story, plan: Plan) -> None:
    """The count of windows has met it, also one on an answer of a task that the plan does not have."""
    now, recorded = whole_hour(), Recorded(story.sink)
    span = (now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
    counts = WindowCounts(recorded, plan.tasks)
    for task in ("router", "unplanned"):
        answered(story.sink, task, *span)
    assert counts.watermark("router") == now - 31 * MINUTE
    assert recorded.asked.pop("audit/audits_touched", None) is not None
    for task in ("router", "unplanned"):
        said(story.sink, task, *span, ingested_at="now64(3)")
    counts.watermark("router")
    assert "audit/audits_touched" not in recorded.asked
    rows = story.sink.rows("SELECT task, count() AS n FROM audit_labels FINAL GROUP BY task ORDER BY task")
    assert rows == [{"task": "router", "n": 30}, {"task": "unplanned", "n": 30}]
    answered(story.sink, "router", now - 30 * MINUTE, now + 220 * MINUTE, MINUTE, ingested_at="now64(3)")
    counts.watermark("router")
    assert "audit/audits_touched" in recorded.asked, "more answers than a statement names"
