"""The rolling accuracy: estimated for everything users saw, and by version, arm, expert and tenant.

Two readings are kept. Each figure is a row that is never rewritten, so what was known then stays; when a label comes
late, the spans that it belongs to are estimated anew into rows of their own, and the newest of those is what is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

from headrace import ids
from headrace.intervals import wilson
from headrace.plan import Windows
from headrace.warehouse import Warehouse
from streams.detectors.detector import clickhouse_time
from streams.estimation import Sample, Stratum, estimate
from streams.figures import MILLISECOND, start_of

KNOWN = "known"
# Neighbours are alike: a stratum with too few labels joins the next.
STRATA = ("corrected", "complained", "silent", "thanked")
CONFIDENCE = ("low", "middle", "high", "")
# What a figure rests on; where none of it changed there is nothing to write.
COUNTS = ("drawn", "labelled", "errors", "known", "known_errors", "thumbs_up", "thumbs_down")

Group = tuple[str, str]


@dataclass(slots=True)
class Accuracy:
    """Writes a task's rolling accuracy; what it remembers spares rows that say nothing new. Blocking."""

    warehouse: Warehouse
    task: str
    windows: Windows
    _written: dict[Group, Sequence[Any]] = field(default_factory=dict)
    _closed: datetime = ids.EPOCH

    def record(self, touched: Iterable[datetime], watermark: datetime, now: datetime) -> None:
        """Estimate the current span, and those closed ones that got something new.

        touched: starts of the windows that were counted anew
        """
        size = timedelta(seconds=self.windows.size_s)
        newest = start_of(watermark + timedelta(seconds=self.windows.lateness_s), size) + size
        closed = self._closed_ends(touched, watermark)
        self._closed = max(self._closed, start_of(watermark, size))
        span = self.windows.rolling * size
        spans = self._spans({newest, *closed}, span)
        self._write_audit(spans.get(newest, []), watermark, newest - span, now)
        rows = [
            self._row(found, watermark, newest - span, now, closed=False)
            for found in spans.get(newest, [])
            if self._news(found)
        ]
        written = self._known(closed)
        rows += [
            self._row(found, end, end - span, now, closed=True)
            for end in closed
            for found in spans.get(end, [])
            if written.get((end, found["by"], found["name"])) != _counts(found, "answers")
        ]
        self.warehouse.insert("accuracy_by", [json.dumps(row).encode() for row in rows])

    def _spans(self, ends: Iterable[datetime], span: timedelta) -> dict[datetime, list[dict[str, Any]]]:
        """The figures of every group, by the end of their span."""
        rows = self.warehouse.query(
            "accuracy_strata", task=self.task, untils=[ids.millis(end) for end in ends], span_ms=span // MILLISECOND
        )
        spans: dict[datetime, list[dict[str, Any]]] = {}
        for (until, _, _), group in groupby(rows, key=lambda row: (int(row["until"]), row["by"], row["name"])):
            spans.setdefault(ids.EPOCH + until * MILLISECOND, []).append(figure(group))
        return spans

    def _closed_ends(self, touched: Iterable[datetime], watermark: datetime) -> list[datetime]:
        """Ends of closed spans with one of these windows in them, and the newest end where it is new."""
        size = timedelta(seconds=self.windows.size_s)
        newest = start_of(watermark, size)
        ends = {start + size * number for start in touched for number in range(1, self.windows.rolling + 1)}
        found = {end for end in ends if end <= newest}
        return sorted(found | {newest} if newest > self._closed else found)

    def _news(self, found: dict[str, Any]) -> bool:
        """Whether a current figure changed: that of all with every answer, the others with what is said of them."""
        group, counts = (found["by"], found["name"]), _counts(found, *(["answers"] if found["by"] == "all" else []))
        if self._written.get(group) == counts:
            return False
        self._written[group] = counts
        return True

    def _known(self, ends: Sequence[datetime]) -> Mapping[tuple[datetime, str, str], Sequence[Any]]:
        """What the newest rows of closed spans rest on."""
        if not ends:
            return {}
        rows = self.warehouse.query("accuracy_written", task=self.task, untils=[ids.millis(end) for end in ends])
        ended = {ids.millis(end): end for end in ends}
        return {(ended[int(row["until"])], row["by"], row["name"]): _counts(row, "answers") for row in rows}

    def _row(
        self, found: dict[str, Any], watermark: datetime, window_from: datetime, now: datetime, closed: bool
    ) -> dict[str, Any]:
        return found | {
            "task": self.task,
            "watermark": clickhouse_time(watermark),
            "window_from": clickhouse_time(max(window_from, ids.EPOCH)),
            "closed": closed,
            "known_at": clickhouse_time(now),
        }

    def _write_audit(
        self, current: Iterable[dict[str, Any]], watermark: datetime, window_from: datetime, now: datetime
    ) -> None:
        """The figure of the audit alone, by version and of all ('*'), where it has labels."""
        rows = [
            {
                "task": self.task,
                "version": found["name"],
                "watermark": clickhouse_time(watermark),
                "window_from": clickhouse_time(max(window_from, ids.EPOCH)),
                "n": found["audit_labelled"],
                "correct": found["audit_labelled"] - found["audit_errors"],
                "value": found["audit_value"],
                "low": found["audit_low"],
                "high": found["audit_high"],
                "known_at": clickhouse_time(now),
            }
            for found in current
            if found["by"] in ("all", "version") and found["audit_labelled"]
        ]
        self.warehouse.insert("accuracy", [json.dumps(row).encode() for row in rows])


def figure(rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """A group's columns of `accuracy_by`, from its strata (rows of accuracy_strata.sql)."""
    rows = sorted(rows, key=_place)
    sampled = [row for row in rows if row["stratum"] != KNOWN]
    told = [row for row in rows if row["stratum"] == KNOWN]
    known, known_errors = _sum(told, "labelled"), _sum(told, "errors")
    found = estimate([_stratum(list(same)) for _, same in groupby(sampled, key=_place)], known, known_errors)
    audited, wrong = _sum(rows, "audit_labelled"), _sum(rows, "audit_errors")
    audit_low, audit_high = wilson(audited - wrong, audited)
    return {
        "by": rows[0]["by"],
        "name": rows[0]["name"],
        "answers": _sum(rows, "answers"),
        "drawn": _sum([row for row in sampled if row["probability"] > 0], "answers"),
        "labelled": _sum(sampled, "labelled"),
        "errors": _sum(sampled, "errors"),
        "known": known,
        "known_errors": known_errors,
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "effective": found.effective,
        "audit_labelled": audited,
        "audit_errors": wrong,
        "audit_value": (audited - wrong) / audited if audited else 0.0,
        "audit_low": audit_low,
        "audit_high": audit_high,
        "thumbs_up": _sum(rows, "thumbs_up"),
        "thumbs_down": _sum(rows, "thumbs_down"),
    }


def _stratum(rows: Sequence[Mapping[str, Any]]) -> Stratum:
    samples = (
        Sample(row["probability"], int(row["answers"]), int(row["labelled"]), int(row["errors"]))
        for row in rows
        if row["probability"] > 0
    )
    return Stratum(_sum(rows, "answers"), tuple(samples))


def _place(row: Mapping[str, Any]) -> tuple[int, int]:
    return (
        STRATA.index(row["stratum"]) if row["stratum"] in STRATA else len(STRATA),
        CONFIDENCE.index(row["confidence"]),
    )


def _sum(rows: Iterable[Mapping[str, Any]], column: str) -> int:
    return sum(int(row[column]) for row in rows)


def _counts(row: Mapping[str, Any], *more: str) -> list[int]:
    return [int(row[column]) for column in (*COUNTS, *more)]
