"""The warehouse's clock ran ahead once and is right again: nothing waits until it gets there."""

from __future__ import annotations

import dataclasses
import json
import logging
from datetime import UTC, datetime, timedelta

import pytest
from books import LONG_AGO, NOW, Books, answer, thumb
from long_history import Recorded, answered, said, whole_hour
from router_story import PLAN, Story

from headrace.plan import Plan, parse
from headrace.warehouse import query_text
from streams import progress, task_labels
from streams.audits import Audits
from streams.draws import Draws
from streams.window_counts import WindowCounts

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)


def sql_time(moment: datetime) -> str:
    return f"toDateTime64('{moment:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"


def counted(story: Story) -> int:
    return int(story.sink.rows("SELECT sum(requests) AS n FROM windows FINAL")[0]["n"])


@pytest.mark.parametrize("successor", [False, True])
def test_a_clock_that_was_ahead_for_one_look_delays_nothing(
    story: Story, plan: Plan, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, successor: bool
) -> None:
    """What came before, meanwhile and afterwards is counted in the next look, by a successor hours later too."""
    monkeypatch.setattr(progress, "KEPT_EVERY_S", 0.0)
    now, recorded = whole_hour(), Recorded(story.sink)

    def come(since: int, until: int, **fields: str) -> None:
        answered(story.sink, "router", now - since * MINUTE, now - until * MINUTE, MINUTE, **fields)

    come(240, 215)
    recorded.clock = now - 215 * MINUTE
    counts = WindowCounts(recorded, plan.tasks)
    assert counts.watermark("router") == now - 216 * MINUTE
    recorded.clock += DAY
    come(215, 213, ingested_at=sql_time(recorded.clock))
    counts.watermark("router")
    come(213, 211, ingested_at=sql_time(recorded.clock + MINUTE))
    come(211, 30)
    recorded.clock = now - 30 * MINUTE
    with caplog.at_level(logging.WARNING):
        counts = WindowCounts(recorded, plan.tasks) if successor else counts
        assert counts.watermark("router") == now - 31 * MINUTE
    assert [record.message for record in caplog.records if "clock was ahead" in record.message]
    assert counted(story) == 240 - 30
    come(30, 20)
    recorded.clock = now - 20 * MINUTE
    caplog.clear()
    assert counts.watermark("router") == now - 21 * MINUTE
    assert counted(story) == 240 - 20 and not caplog.records
    # Two hosts whose clocks differ by a little are no matter.
    recorded.clock -= timedelta(seconds=1)
    counts.watermark("router")
    assert not caplog.records
    # What is written down afterwards beats what was written down then.
    recorded.clock = now - 10 * MINUTE
    come(20, 10)
    assert WindowCounts(recorded, plan.tasks).watermark("router") == now - 11 * MINUTE
    assert counted(story) == 240 - 10 and not caplog.records


def test_a_task_that_is_first_counted_while_the_clock_is_ahead(story: Story, plan: Plan) -> None:
    """It is begun anew."""
    now, recorded = whole_hour(), Recorded(story.sink)
    answered(story.sink, "router", now - 40 * MINUTE, now - 20 * MINUTE, MINUTE)
    recorded.clock = now + DAY
    counts = WindowCounts(recorded, plan.tasks)
    counts.watermark("router")
    answered(story.sink, "router", now - 20 * MINUTE, now - 10 * MINUTE, MINUTE)
    recorded.clock = now - 10 * MINUTE
    assert counts.watermark("router") == now - 11 * MINUTE
    assert counted(story) == 30


def test_a_cursor_that_was_written_ahead_holds_nothing_up(story: Story) -> None:
    """What a step writes down afterwards counts, and no step begins later than now."""
    now = datetime.now(UTC)
    ahead = f"{now + DAY:%Y-%m-%d %H:%M:%S}"
    names = ("audit_labels", "expired", "resolver", "alert")
    story.sink.insert("cursors", [json.dumps({"name": name, "reached": ahead, "at": ahead}).encode() for name in names])
    story.sink.insert("balance_passes", [json.dumps({"until": ahead}).encode()])
    for query, column in (
        ("audit/audits_cursor", "reached"), ("resolver/cursor", "reached"), ("alert/since", "reached"),
        ("maintenance/reconcile_pass", "left"), ("maintenance/reconcile_pass", "since"),
    ):  # fmt: skip
        (row,) = story.sink.query(query)
        assert row[column] <= row["now"], query
    for name in names:
        story.sink.command(query_text("shared/cursor_write"), name=name, reached="2026-01-01 00:00:00.000")
    story.sink.command("OPTIMIZE TABLE cursors FINAL")
    assert [row["year"] for row in story.sink.rows("SELECT toYear(reached) AS year FROM cursors")] == [2026] * 4
    answered(story.sink, "router", now - 10 * MINUTE, now - 5 * MINUTE, MINUTE, ingested_at="now64(3)")
    said(story.sink, "router", now - 10 * MINUTE, now - 5 * MINUTE, MINUTE, ingested_at="now64(3)")
    Audits(story.sink).copy()
    assert story.sink.rows("SELECT count() AS n FROM audit_labels FINAL") == [{"n": 5}]


def test_what_a_pass_settled_ahead_is_settled_again(books: Books) -> None:
    """What was parked and missing then comes: it is stored, is missing nowhere, and never expires."""
    never, late = answer(LONG_AGO), answer()
    books.store(answer(), thumb(never, LONG_AGO))
    books.count("inferences", 1, 3)
    books.count("feedback", 1, 1)
    dataclasses.replace(books.keeper, grace=DAY).look()
    for table, column in (("parked", "known_at"), ("reconciliations", "at"), ("balance_passes", "until")):
        moved = f"SELECT * REPLACE({column} + INTERVAL 2 DAY AS {column}) FROM {table} FINAL"
        books.warehouse.command(f"INSERT INTO {table} {moved}")
    books.store(never, late)
    for _ in range(2):
        assert books.keeper.look().missing == 0
        assert books.places("inferences") == {"emitted": 3, "stored": 3}
        assert books.places("feedback") == {"emitted": 1, "stored": 1}
    assert books.one("SELECT count() FROM parked FINAL") == books.one("SELECT count() FROM expired") == 0
    # It waits again, as an answer that was erased is waited for.
    books.warehouse.command(f"DELETE FROM inferences WHERE inference_id = '{never.inference_id}'")
    dataclasses.replace(books.keeper, grace=DAY).look()
    assert books.one("SELECT count() FROM parked FINAL") == 1


def test_what_is_parked_by_mistake_does_not_expire(books: Books) -> None:
    """Whether feedback waits is asked of the answers themselves before it expires, not of what a pass wrote down."""
    there, never = answer(LONG_AGO), answer(LONG_AGO)
    said_ = [thumb(there, LONG_AGO), thumb(never, LONG_AGO)]
    books.store(answer(), there, *said_, inserted=NOW - DAY)
    dataclasses.replace(books.keeper, grace=2 * DAY).look()
    waits = (
        "SELECT feedback_id, tenant, revision, ground_truth, inference_id, resolved, emitter, now64(6), 0 FROM feedback"
    )
    books.warehouse.command(f"INSERT INTO parked {waits}")
    assert books.keeper.look().expired == 1
    assert books.warehouse.rows("SELECT feedback_id FROM feedback FINAL") == [{"feedback_id": said_[0].feedback_id}]
    assert books.places("feedback") == {"stored": 1, "expired": 1, "uncounted": 2}


def test_labels_of_a_plan_that_were_written_ahead_change_with_the_plan(story: Story, plan: Plan) -> None:
    """The labels that were written last are the task's, and are settled once."""
    size = timedelta(seconds=600)
    task_labels.write(story.sink, plan.tasks, size)
    ahead = "SELECT * REPLACE(known_at + INTERVAL 2 DAY AS known_at) FROM task_labels FINAL"
    story.sink.command(f"INSERT INTO task_labels {ahead}")
    tasks = parse(PLAN.replace('"finance"]', '"finance", "legal"]')).tasks
    task_labels.write(story.sink, tasks, size)
    assert {"label": "legal"} in story.sink.rows("SELECT label FROM labels_known WHERE task = 'router'")
    assert {row["settled"] for row in story.sink.query("monitor/labels_listed")} == {True}


@pytest.mark.parametrize("successor", [False, True])
def test_figures_and_draws_go_back_with_the_watermark(
    story: Story, monkeypatch: pytest.MonkeyPatch, successor: bool
) -> None:
    """The latest figures are those that were written last, and what comes afterwards is drawn from."""
    monkeypatch.setattr(progress, "KEPT_EVERY_S", 0.0)
    now, recorded = whole_hour(), Recorded(story.sink)
    tasks = parse(f"{PLAN}\n[tasks.router.audit]\nreviews_per_day = 2000\n").tasks
    counts, draws = WindowCounts(recorded, tasks), Draws(story.sink, "router", tasks["router"], b"secret")

    def come(since: timedelta, until: timedelta) -> datetime:
        answered(story.sink, "router", now - since, now - until, MINUTE, audited="false", audit_probability="0")
        recorded.clock = now - until
        watermark = counts.watermark("router")
        assert watermark is not None
        draws.draw(watermark)
        return watermark

    come(240 * MINUTE, 200 * MINUTE)
    assert come(200 * MINUTE - DAY, 160 * MINUTE - DAY) > now
    if successor:
        counts, draws = WindowCounts(recorded, tasks), Draws(story.sink, "router", tasks["router"], b"secret")
    come(200 * MINUTE, 100 * MINUTE)
    watermark = come(100 * MINUTE, 20 * MINUTE)
    assert watermark < now
    latest = story.sink.rows("SELECT DISTINCT watermark FROM accuracy_latest WHERE `by` = 'all'")
    assert latest == [{"watermark": watermark}]
    drawn = (
        "SELECT count() AS n FROM audit_draws WHERE drawn_at BETWEEN {since:DateTime64(3)} AND {until:DateTime64(3)}"
    )
    span = {"since": f"{now - 60 * MINUTE:%F %T}", "until": f"{now:%F %T}"}
    assert story.sink.rows(drawn, **span)[0]["n"] > 0


def test_the_last_look_and_the_last_figure_are_those_that_were_written_last(story: Story) -> None:
    """`why` and `status` show no look of the time at which the clock was ahead."""
    now = datetime.now(UTC)

    def row(watermark: datetime, **fields: object) -> bytes:
        times = {name: f"{at:%F %T}" if isinstance(at, datetime) else at for name, at in fields.items()}
        return json.dumps({"task": "router", "version": "router@1", "watermark": f"{watermark:%F %T}"} | times).encode()

    looks = [
        row(now + DAY, detector="policy", looked_at=now - 60 * MINUTE),
        row(now + DAY, detector="policy", looked_at=now + DAY),
        row(now - MINUTE, detector="policy", looked_at=now - MINUTE, reason="held"),
    ]
    story.sink.insert("evaluations", looks)
    for query in ("cli/why_quiet", "console/detectors"):
        (seen,) = story.sink.query(query, task="router")
        assert "held" in (seen.get("reason"), seen.get("words", {}).get("reason")), query
    # Of figures the row that is written later is later, too.
    known = [(now + DAY, now + DAY), (now, now + DAY + MINUTE)]
    figures = [json.loads(row(mark, looked_at=at, known_at=at, n=n)) for n, (mark, at) in enumerate(known, 1)]
    story.sink.insert("accuracy", [json.dumps(each | {"version": "*"}).encode() for each in figures])
    story.sink.insert("promotions", [json.dumps({"task": "router", "generation": 1, "step": "live"}).encode()])
    (task,) = story.sink.query("cli/status_tasks")
    assert task["labels"] == 2
