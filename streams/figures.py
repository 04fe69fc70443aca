"""The rolling figures: windows of traffic and the accuracy of what users saw, each with what was known when."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from headrace import ids
from headrace.intervals import wilson
from headrace.plan import Windows
from headrace.warehouse import Warehouse, query_text
from streams.detectors.detector import clickhouse_time

# A row's `ingested_at` is taken when its insert begins, so it may show up this much later.
SLACK = timedelta(seconds=30)


def refresh_windows(
    warehouse: Warehouse, task: str, plan: Windows, watermark: datetime, changed_since: datetime, now: datetime
) -> None:
    """Write anew the windows of the rolling span that got rows since `changed_since`, by ClickHouse's clock."""
    size = timedelta(seconds=plan.size_s)
    horizon = ids.EPOCH + ((watermark - ids.EPOCH) // size - plan.rolling) * size
    warehouse.command(
        query_text("windows_refresh"),
        task=task,
        size_ms=size // timedelta(milliseconds=1),
        horizon=clickhouse_time(max(horizon, ids.EPOCH)),
        changed_since=clickhouse_time(max(changed_since - SLACK, ids.EPOCH)),
        known_at=clickhouse_time(now),
    )


def record_accuracy(warehouse: Warehouse, task: str, plan: Windows, watermark: datetime, now: datetime) -> None:
    """Add the rolling accuracy at this watermark, of each version and of all together, with its 95 % interval."""
    window_from = max(ids.EPOCH, watermark - timedelta(seconds=plan.size_s * plan.rolling))
    found = warehouse.query(
        "accuracy_rolling",
        task=task,
        window_from=clickhouse_time(window_from),
        watermark=clickhouse_time(watermark),
    )
    rows = []
    for row in found:
        low, high = wilson(row["correct"], row["n"])
        rows.append(
            {
                "task": task,
                "version": row["version"],
                "watermark": clickhouse_time(watermark),
                "window_from": clickhouse_time(window_from),
                "n": row["n"],
                "correct": row["correct"],
                "value": row["correct"] / row["n"],
                "low": low,
                "high": high,
                "known_at": clickhouse_time(now),
            }
        )
    warehouse.insert("accuracy", [json.dumps(row).encode() for row in rows])
