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

from headrace.contract import ids
from headrace.plan import Windows
from headrace.statistics.intervals import wilson
from headrace.warehouse import Warehouse, clickhouse_time
from streams.estimation import Sample, Stratum, estimate
from streams.spans import MILLISECOND, start_of

KNOWN = "known"
# Neighbours are alike: a stratum with too few labels joins the next.
STRATA = ("corrected", "complained", "silent", "thanked")
CONFIDENCE = ("low", "middle", "high", "")
# What a figure rests on; where none of it changed there is nothing to write.
COUNTS = ("drawn", "labelled", "errors", "known", "known_errors", "unknown", "thumbs_up", "thumbs_down")

Group = tuple[str, str, str]
"""A task, what it is grouped by, and which of them."""


@dataclass(slots=True)
class Accuracy:
    """Writes the rolling accuracy of tasks with these windows; what it remembers spares rows that say nothing new."""

    warehouse: Warehouse
    windows: Windows
    _written: dict[Group, Sequence[int]] = field(default_factory=dict)
    _newest: dict[str, datetime] = field(default_factory=dict)
    _closed: dict[str, datetime] = field(default_factory=dict)

    def record(
        self, touched: Mapping[str, Sequence[datetime]], watermarks: Mapping[str, datetime], now: datetime
    ) -> None:
        """Estimate the current span and the closed ones of each task that got something new. Raises WarehouseError.

        touched: by task, the starts of the windows that were counted anew
        """
        size = timedelta(seconds=self.windows.size_s)
        lateness = timedelta(seconds=self.windows.lateness_s)
        ends = {name: start_of(watermarks[name] + lateness, size) + size for name in touched}
        # A label that came for an answer of long ago changes nothing about the current span.
        newest = {
            name: end
            for name, end in ends.items()
            if end != self._newest.get(name) or any(start >= end - self._span for start in touched[name])
        }
        closed = [(name, end) for name in touched for end in self._closed_ends(name, touched[name], watermarks[name])]
        spans = self._spans([*newest.items(), *closed])
        current = [found for one in newest.items() for found in spans.get(one, [])]
        self._write_audit(current, newest, watermarks, now)
        rows = [
            self._row(found, watermarks[found["task"]], newest[found["task"]], now, closed=False)
            for found in current
            if self._written.get(_group(found)) != _news(found)
        ]
        written = self._known(closed)
        shown = {(end, *_group(found)) for (_, end), groups in spans.items() for found in groups}
        # A correction took the last answer of a group, and its figure of before is none any more.
        rows += [
            self._row(figure([], *group), end, end, now, closed=True)
            for (end, *group), counts in written.items()
            if (group[0], end) in closed and (end, *group) not in shown and any(counts)
        ]
        rows += [
            self._row(found, end, end, now, closed=True)
            for name, end in closed
            for found in spans.get((name, end), [])
            if written.get((end, *_group(found))) != _counts(found, "answers")
        ]
        self.warehouse.insert("accuracy_by", [json.dumps(row).encode() for row in rows])
        self._written |= {_group(found): _news(found) for found in current}
        self._newest |= newest
        self._closed |= {name: start_of(watermarks[name], size) for name in touched}

    def _spans(self, ends: Sequence[tuple[str, datetime]]) -> dict[tuple[str, datetime], list[dict[str, Any]]]:
        """The figures of every group, by task and the end of their span."""
        spans: dict[tuple[str, datetime], list[dict[str, Any]]] = {}
        for near in self._near(ends):
            rows = self.warehouse.query(
                "monitor/accuracy_strata",
                tasks=[name for name, _ in near],
                untils=[ids.millis(end) for _, end in near],
                span_ms=self._span // MILLISECOND,
            )
            groups: dict[tuple[int, Group], list[dict[str, Any]]] = {}
            for row in rows:
                groups.setdefault((int(row["until"]), _group(row)), []).append(row)
            for (until, named), group in groups.items():
                found = figure(group, *named)
                spans.setdefault((found["task"], ids.EPOCH + until * MILLISECOND), []).append(found)
        return spans

    def _near(self, ends: Sequence[tuple[str, datetime]]) -> list[list[tuple[str, datetime]]]:
        """Ends whose spans overlap are asked about together: what lies between spans far apart is not read."""
        found: list[list[tuple[str, datetime]]] = []
        for task, end in sorted(set(ends), key=lambda one: one[1]):
            if found and end - found[-1][-1][1] <= self._span:
                found[-1].append((task, end))
            else:
                found.append([(task, end)])
        return found

    @property
    def _span(self) -> timedelta:
        return self.windows.rolling * timedelta(seconds=self.windows.size_s)

    def _closed_ends(self, name: str, touched: Iterable[datetime], watermark: datetime) -> list[datetime]:
        """Ends of closed spans with one of these windows in them, and the newest end where it is new."""
        size = timedelta(seconds=self.windows.size_s)
        newest = start_of(watermark, size)
        ends = {start + size * number for start in touched for number in range(1, self.windows.rolling + 1)}
        found = {end for end in ends if end <= newest}
        # The end may go back, where the warehouse's clock was ahead.
        return sorted(found | {newest} if newest != self._closed.get(name, ids.EPOCH) else found)

    def _known(self, ends: Sequence[tuple[str, datetime]]) -> Mapping[tuple[datetime, str, str, str], Sequence[int]]:
        """What the newest rows of closed spans rest on."""
        if not ends:
            return {}
        rows = self.warehouse.query(
            "monitor/accuracy_written",
            tasks=sorted({name for name, _ in ends}),
            ends=[clickhouse_time(end) for end in sorted({end for _, end in ends})],
        )
        return {(row["until"], *_group(row)): _counts(row, "answers") for row in rows}

    def _row(
        self, found: dict[str, Any], watermark: datetime, end: datetime, now: datetime, closed: bool
    ) -> dict[str, Any]:
        return found | {
            "watermark": clickhouse_time(watermark),
            "window_from": clickhouse_time(max(end - self._span, ids.EPOCH)),
            "closed": closed,
            "known_at": clickhouse_time(now),
        }

    def _write_audit(
        self,
        current: Iterable[dict[str, Any]],
        ends: Mapping[str, datetime],
        watermarks: Mapping[str, datetime],
        now: datetime,
    ) -> None:
        """The figure of the audit alone, by version and of all ('*'), where it has labels."""
        rows = [
            {
                "task": found["task"],
                "version": found["name"],
                "watermark": clickhouse_time(watermarks[found["task"]]),
                "looked_at": clickhouse_time(now),
                "window_from": clickhouse_time(max(ends[found["task"]] - self._span, ids.EPOCH)),
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


def figure(rows: Iterable[Mapping[str, Any]], task: str, by: str, name: str) -> dict[str, Any]:
    """A group's columns of `accuracy_by`, from its strata, rows of monitor/accuracy_strata.sql; of none: unknown."""
    rows = sorted(rows, key=lambda row: (_place(row), row["probability"]))
    sampled = [row for row in rows if row["stratum"] != KNOWN]
    told = [row for row in rows if row["stratum"] == KNOWN]
    known, known_errors = _sum(told, "labelled"), _sum(told, "errors")
    found = estimate([_stratum(list(same)) for _, same in groupby(sampled, key=_place)], known, known_errors)
    audited, wrong = _sum(rows, "audit_labelled"), _sum(rows, "audit_errors")
    audit_low, audit_high = wilson(audited - wrong, audited)
    return {
        "task": task,
        "by": by,
        "name": name,
        "answers": _sum(rows, "answers"),
        "drawn": _sum([row for row in sampled if row["probability"] > 0], "answers"),
        "labelled": _sum(sampled, "labelled"),
        "errors": _sum(sampled, "errors"),
        "known": known,
        "known_errors": known_errors,
        "unknown": _sum(rows, "unknown"),
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


def _news(found: Mapping[str, Any]) -> list[int]:
    """Where none of it changed, a current figure is none: that of all with every answer, others with what is said."""
    return _counts(found, *(["answers"] if found["by"] == "all" else []))


def _group(row: Mapping[str, Any]) -> Group:
    return row["task"], row["by"], row["name"]
