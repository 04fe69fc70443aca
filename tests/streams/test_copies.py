"""The copy of the audit's labels, and the windows, follow what answers are corrected to."""

from __future__ import annotations

from datetime import timedelta

from long_history import Recorded, answered, said, whole_hour
from router_story import Story

from headrace.plan import Plan
from streams.audits import Audits
from streams.figures import Figures

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
    figures = Figures(recorded, plan.tasks)
    answered(story.sink, "router", now, now + 10 * MINUTE, MINUTE)
    recorded.clock = now + 20 * MINUTE
    figures.watermark("router")
    later = "fromUnixTimestamp64Milli(toInt64(bitShiftRight(toUInt128(inference_id), 80)), 'UTC') + INTERVAL 61 MINUTE"
    corrected = {"occurred_at": later, "revision": "1", "ingested_at": f"{later} + INTERVAL 10 MINUTE"}
    answered(story.sink, "router", now, now + 5 * MINUTE, MINUTE, **corrected)
    recorded.clock = now + 90 * MINUTE
    figures.watermark("router")
    rows = story.sink.rows(
        "SELECT window_from < {hour:DateTime('UTC')} AS before, sum(requests) AS n FROM windows FINAL GROUP BY before",
        hour=f"{now + 60 * MINUTE:%Y-%m-%d %H:%M:%S}",
    )
    assert {row["before"]: row["n"] for row in rows} == {1: 5, 0: 5}
