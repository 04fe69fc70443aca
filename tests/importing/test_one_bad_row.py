"""One bad row of a thousand costs itself: the others are stored, and it is named with its number, column and reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.contract.events import Event
from headrace.importing import Import, Mapping, Reading, open_rows

MANY = 1000
FORM = Mapping(
    "feedback", {"at": "occurred_at", "who": "session_id", "stars": "value"}, {"source": "user", "signal": "rating"}
)
GOOD = [{"at": f"2026-03-02T12:00:00.{n:06}Z", "who": f"conversation-{n}", "stars": "4.5"} for n in range(MANY)]
PLACES = pytest.mark.parametrize("place", [0, MANY // 2, MANY - 1], ids=["first", "middle", "last"])

# Cells that no row may have, and what is said of them.
CELLS: dict[str, tuple[dict[str, Any], str]] = {
    "no time": ({"at": ""}, "the row has no time: the column of occurred_at is empty"),
    "a time that is none": ({"at": "never"}, "'never' is not a time"),
    "a time without a zone": ({"at": "2026-03-02 12:00"}, "has no zone: say which with --zone"),
    "a zone that is not known": ({"at": "2026-03-02 12:00 XQZ"}, "the zone 'XQZ' is not known"),
    "a time of long ago": ({"at": "1890-01-01T00:00:00Z"}, "between the years 2000 and 2100"),
    "a number that is none": ({"stars": "good"}, "value"),
    "another decimal mark": ({"stars": "4,5"}, "value: '4,5' has a comma, and a point is before fractions here"),
    "no reference": ({"who": ""}, "feedback names its answer by"),
    "a rounded id": ({"who": "1.23457E+11"}, "session_id: '1.23457E+11' was rounded by a spreadsheet"),
}
# Whole lines that are no row.
LINES: dict[str, tuple[bytes, str]] = {
    "a quote that is not closed": (b'2026-03-02T12:00:00Z,"conversation,4.5', "a quote in it is not closed"),
    "text after a quote": (b'2026-03-02T12:00:00Z,"a"b"c,4.5', "its quotes are not CSV"),
    "too many cells": (b"2026-03-02T12:00:00Z,a,4.5,6", "the row has 4 cells and the header 3"),
    "a byte of another encoding": (
        b"2026-03-02T12:00:00Z,Gespr\xe4ch,4.5",
        "who: byte 0xe4 is not of the file's encoding, in 'Gespr\ufffdch', which reads 'Gespräch' in Windows-1252",
    ),
    "a cell without end": (
        b"2026-03-02T12:00:00Z," + b"x" * 1_100_000 + b",4.5",
        "a cell is longer than 1048576 characters",
    ),
    "a line without end": (b"2026-03-02T12:00:00Z," + b"x" * 4_300_000 + b",4.5", "the line is longer than"),
}


class Kept:
    """Stands for Kafka."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    async def store(self, events: Sequence[Event]) -> None:
        self.events += events


async def one_is_named(path: Path, place: int, says: str, column: str = "") -> None:
    rows = open_rows(path, Reading(wanted=FORM.names))
    report = path.with_suffix(".report")
    kept = Kept()
    one = Import(path, rows, FORM.completed(path.name, rows.columns), path.with_suffix(".state"), report, None)
    summary = await one.run(kept.store)
    assert (summary.events, summary.rejected, summary.left) == (MANY - 1, 1, "")
    assert {event.session_id for event in kept.events} == {  # type: ignore[attr-defined]
        row["who"] for number, row in enumerate(GOOD) if number != place
    }
    (line,) = [json.loads(text) for text in report.read_text().splitlines()]
    assert line["row"] == place + 1 and says in line["reason"]
    assert summary.reasons == [f"row {place + 1}: {line['reason']}"]


def as_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(",".join(map(str, row)) + "\n" for row in [GOOD[0], *(row.values() for row in rows)]))


def as_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def as_document(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text(json.dumps({"data": rows}))


def as_parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    pq.write_table(pa.Table.from_pylist(rows), path)


def as_workbook(path: Path, rows: list[dict[str, Any]]) -> None:
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet("Form")
    for row in [dict.fromkeys(GOOD[0]), *rows]:
        sheet.append(list(row.values()) if row["at"] is not None else list(row))
    book.save(path)


@PLACES
@pytest.mark.parametrize("kind", CELLS)
async def test_a_bad_cell(tmp_path: Path, kind: str, place: int) -> None:
    """In a row of CSV, whichever of its cells is bad."""
    change, says = CELLS[kind]
    as_csv(tmp_path / "a.csv", [*GOOD[:place], GOOD[place] | change, *GOOD[place + 1 :]])
    # A quoted cell keeps its comma.
    if "," in "".join(change.values()):
        text = (tmp_path / "a.csv").read_text()
        (tmp_path / "a.csv").write_text(text.replace(change["stars"], f'"{change["stars"]}"'))
    await one_is_named(tmp_path / "a.csv", place, says)


@pytest.mark.parametrize("place", [0, MANY - 1], ids=["first", "last"])
@pytest.mark.parametrize(
    ("name", "write"),
    [("a.jsonl", as_lines), ("a.json", as_document), ("a.parquet", as_parquet), ("a.xlsx", as_workbook)],
)
async def test_a_bad_cell_of_other_files(
    tmp_path: Path, name: str, write: Callable[[Path, list[dict[str, Any]]], None], place: int
) -> None:
    """In a row of JSON, Parquet or a workbook."""
    write(tmp_path / name, [*GOOD[:place], GOOD[place] | {"at": "never"}, *GOOD[place + 1 :]])
    await one_is_named(tmp_path / name, place, "'never' is not a time")


@PLACES
@pytest.mark.parametrize("kind", LINES)
async def test_a_bad_line(tmp_path: Path, kind: str, place: int) -> None:
    """That is no row at all."""
    line, says = LINES[kind]
    lines = [",".join(row.values()).encode() for row in GOOD]
    (tmp_path / "a.csv").write_bytes(b"\n".join([b"at,who,stars", *lines[:place], line, *lines[place + 1 :], b""]))
    await one_is_named(tmp_path / "a.csv", place, says)


@PLACES
@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b'{"at": ', "not JSON"),
        (b"17", "it is not a JSON object"),
        (b'{"at": "\xff"}', "byte 0xff is not of the file's encoding"),
        (b'{"a": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested more than"),
        (b'{"a": ' + b"9" * 5000 + b"}", "thousands of digits"),
        (b'{"a": "' + b"x" * 4_300_000 + b'"}', "it is longer than"),
    ],
)
async def test_a_bad_line_of_json(tmp_path: Path, line: bytes, says: str, place: int) -> None:
    """That is no object, or none that can be read."""
    lines = [json.dumps(row).encode() for row in GOOD]
    (tmp_path / "a.jsonl").write_bytes(b"\n".join([*lines[:place], line, *lines[place + 1 :], b""]))
    await one_is_named(tmp_path / "a.jsonl", place, says)


def test_the_good_rows_are_good() -> None:
    """What the others are measured by."""
    assert all(FORM.event(row).occurred_at > datetime(2026, 3, 2, tzinfo=UTC) for row in GOOD[:10])
