"""A label on an answer of months ago reads what that answer's window needs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from long_history import Recorded, answered, rows_read, said, whole_hour
from router_story import Story

from headrace.contract.events import new_feedback
from headrace.contract.topics import LABELS
from headrace.errors import Transient
from headrace.plan import Plan
from headrace.warehouse import clickhouse_time
from streams import audits, progress
from streams.audits import Audits
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def test_a_late_label_reads_what_its_window_needs(story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a year of answers and labels not even as many rows are read as there are answers; it is counted.

    Nor does the first count of a task look for its newest answer in all of them.
    """
    monkeypatch.setattr(progress, "KEPT_EVERY_S", 0.0)
    now, recorded = whole_hour(), Recorded(story.sink)
    began, old = now - 360 * DAY, now - 300 * DAY
    rows = answered(story.sink, "router", began, now, MINUTE)
    said(story.sink, "router", began, now, MINUTE)
    Audits(story.sink).copy()
    assert story.sink.rows("SELECT count() AS n, uniqExact(inference_id) AS ids FROM audit_labels") == [
        {"n": rows, "ids": rows}
    ]
    # As if each label had been copied when it came.
    story.sink.command("ALTER TABLE audit_labels UPDATE ingested_at = labelled_at WHERE 1 SETTINGS mutations_sync = 2")
    recorded.clock, recorded.read["monitor/newest"] = now, 0
    WindowCounts(recorded, plan.tasks).watermark("router")
    assert 0 < recorded.read["monitor/newest"] < rows / 4, (recorded.read["monitor/newest"], rows)
    at = f"{old:%Y-%m-%d %H:%M:%S}"
    (row,) = story.sink.rows("SELECT inference_id FROM inferences WHERE occurred_at = {at:DateTime('UTC')}", at=at)
    wrong = new_feedback(row["inference_id"], "audit", "label", task="router", label="it", rater="expert")
    story.copies = False
    story.put(LABELS, [wrong])
    counts = WindowCounts(recorded, plan.tasks)
    read = rows_read(story.sink, lambda: counts.watermark("router"))
    found = "SELECT labelled, errors FROM windows FINAL WHERE window_from = {at:DateTime('UTC')}"
    assert story.sink.rows(found, at=at) == [{"labelled": 10, "errors": 1}]
    copied = "SELECT error FROM audit_labels FINAL WHERE inference_id = {id:UUID}"
    assert story.sink.rows(copied, id=str(row["inference_id"])) == [{"error": True}]
    assert read < rows, (read, rows)


def test_a_label_that_took_long_to_store_is_copied_though_nothing_else_comes(
    story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its window is counted at once; the copy that reaches further back finds it once that is due."""
    now, recorded = whole_hour(), Recorded(story.sink)
    counts = WindowCounts(recorded, plan.tasks)
    answered(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE)
    counts.watermark("router")
    said(story.sink, "router", now - 60 * MINUTE, now - 30 * MINUTE, MINUTE, ingested_at="now64(3) - 8")
    copied = "SELECT count() AS n FROM audit_labels FINAL"
    recorded.clock = datetime.now(UTC)
    counts.watermark("router")
    assert story.sink.rows("SELECT sum(labelled) AS n FROM windows FINAL") == [{"n": 30}]
    # From then on no count meets it.
    recorded.clock += 2 * MINUTE
    counts.watermark("router")
    assert story.sink.rows(copied) == [{"n": 0}]
    monkeypatch.setattr(audits, "FURTHER_EVERY_S", 0.0)
    counts.watermark("router")
    assert story.sink.rows(copied) == [{"n": 30}]


def test_a_copy_that_fails_reaches_no_further_back_at_the_next_try(
    story: Story, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However often: the cursor stays, and what came in the five minutes before it is asked for."""
    Audits(story.sink).copy()
    (before,) = story.sink.query("audit/audits_cursor")
    failing, asked = Recorded(story.sink), list[str]()

    def query(name: str, **parameters: Any) -> list[dict[str, Any]]:
        if name != "audit/audits_touched":
            return story.sink.query(name, **parameters)
        asked.append(parameters["since"])
        raise Transient("Memory limit exceeded", 241)

    monkeypatch.setattr(failing, "query", query)
    copies = Audits(failing)
    for _ in range(3):
        with pytest.raises(Transient):
            copies.copy()
    assert asked == [clickhouse_time(before["reached"] - audits.LATE - audits.FURTHER_BACK)] * 3
    assert story.sink.query("audit/audits_cursor")[0]["reached"] == before["reached"]
