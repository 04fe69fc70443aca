"""The copy of the audit's labels follows what answers are corrected to."""

from __future__ import annotations

from datetime import timedelta

from long_history import answered, said, whole_hour
from router_story import Story

from streams.audits import Audits

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
