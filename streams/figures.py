"""The windows of a task's traffic, counted anew where something came: what the rolling figures are made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

from headrace import ids
from headrace.plan import Task
from headrace.warehouse import Warehouse, query_text
from streams.detectors.detector import clickhouse_time

# A row's `ingested_at` is taken when its insert begins, so it may show up this much later.
SLACK = timedelta(seconds=30)
MILLISECOND = timedelta(milliseconds=1)


def known_at(warehouse: Warehouse, task: str) -> datetime:
    """When the task's windows were last counted, by the warehouse's clock; the epoch where they never were."""
    found: datetime = warehouse.query("windows_known", task=task)[0]["known_at"]
    return max(found, ids.EPOCH)


def refresh(
    warehouse: Warehouse, name: str, task: Task, watermark: datetime, changed_since: datetime, now: datetime
) -> list[datetime]:
    """Count anew the windows that got rows since `changed_since`, by ClickHouse's clock; returns their starts.

    However old: a label that comes late corrects its window. Where nothing was counted yet, the rolling span is.
    """
    size = timedelta(seconds=task.windows.size_s)
    horizon = ids.EPOCH
    if changed_since <= ids.EPOCH:
        horizon = max(ids.EPOCH, start_of(watermark, size) - task.windows.rolling * size)
    found = warehouse.query(
        "windows_touched",
        task=name,
        size_ms=size // MILLISECOND,
        horizon=clickhouse_time(horizon),
        changed_since=clickhouse_time(max(changed_since - SLACK, ids.EPOCH)),
    )
    starts = [ids.EPOCH + start * MILLISECOND for start in found[0]["starts"]]
    for first, last in runs(starts, size):
        span = {
            "task": name,
            "size_ms": size // MILLISECOND,
            "window_from": ids.millis(first),
            "window_to": ids.millis(last + size),
            "known_at": clickhouse_time(now),
        }
        warehouse.command(query_text("windows_refresh"), **span, out_of_scope=task.out_of_scope)
        warehouse.command(query_text("strata_refresh"), **span)
    return starts


def start_of(moment: datetime, size: timedelta) -> datetime:
    """The start of the window that `moment` lies in."""
    return ids.EPOCH + (moment - ids.EPOCH) // size * size


def runs(starts: Iterable[datetime], size: timedelta) -> list[tuple[datetime, datetime]]:
    """Windows in a row, as the starts of the first and the last."""
    ordered = sorted(starts)
    if not ordered:
        return []
    breaks = [(one, other) for one, other in pairwise(ordered) if other - one > size]
    firsts = [ordered[0], *(other for _, other in breaks)]
    lasts = [*(one for one, _ in breaks), ordered[-1]]
    return list(zip(firsts, lasts, strict=True))
