"""Files of each kind are read, what is wrong is reported, and an import goes on where it was."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headrace.access.roles import SOURCES, Principal, Role
from headrace.client.transport import Refused, SomeRefused
from headrace.contract import ids
from headrace.contract.events import Event, Feedback, Source
from headrace.errors import EventError, HeadraceError
from headrace.importing import Import, Mapping, open_rows
from headrace.importing import run as running

ROWS = [{"at": 1772452800 + n, "answer": f"a-{n}", "happy": "yes" if n % 3 else "no"} for n in range(2500)]
FORM = Mapping(
    "feedback",
    {"at": "occurred_at", "answer": "response_id", "happy": "value"},
    {"source": "user", "signal": "thumb"},
    {"value": {"yes": "1", "no": "-1"}},
)


class Kept:
    """Stands for Kafka: keeps events; fails when it is told to."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.batches = 0
        self.fails: set[int] = set()

    async def store(self, events: Sequence[Event]) -> None:
        self.batches += 1
        if self.batches in self.fails:
            raise HeadraceError("no Kafka broker answers")
        self.events += events


def written(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    """Rows as a file of the kind that its name says."""
    if ".csv" in path.name:
        body = "\ufeffat;answer;happy\r\n" + "".join(f"{r['at']};{r['answer']};{r['happy']}\r\n" for r in rows)
    else:
        body = "".join(json.dumps(row) + "\n" for row in rows)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(list(rows)), path)
    elif path.suffix == ".gz":
        path.write_bytes(gzip.compress(body.encode()))
    else:
        path.write_text(body, newline="")
    return path


def importing(path: Path, mapping: Mapping = FORM, principal: Principal | None = None) -> Import:
    rows = open_rows(path)
    state = path.parent / "state" / "import.json"
    return Import(
        path, rows, mapping.completed(path.name, rows.columns), state, state.with_suffix(".rejected.jsonl"), principal
    )


@pytest.mark.parametrize("name", ["form.csv", "form.csv.gz", "form.jsonl", "form.jsonl.gz", "form.parquet"])
async def test_each_kind_of_file_gives_the_same_events(tmp_path: Path, name: str) -> None:
    """The events do not depend on how the rows came; running twice sends nothing twice."""
    kept, path = Kept(), written(tmp_path / name, ROWS)
    shares: list[float] = []
    summary = await importing(path).run(
        kept.store, seen=lambda progress: progress.looking or shares.append(progress.share)
    )
    assert (summary.rows, summary.events, summary.rejected) == (len(ROWS), len(ROWS), 0)
    expected = [FORM.event({key: str(value) for key, value in row.items()}) for row in ROWS]
    assert [event.value for event in kept.events] == [event.value for event in expected]
    assert len({event.event_id for event in kept.events}) == len(ROWS)
    assert shares == sorted(shares) and shares[-1] == 1.0
    again = await importing(path).run(kept.store)
    assert again.nothing_new and len(kept.events) == len(ROWS)
    await importing(path).run(kept.store, again=True)
    assert kept.events[: len(ROWS)] == kept.events[len(ROWS) :]


@pytest.mark.parametrize("name", ["form.csv", "form.jsonl", "form.parquet"])
async def test_an_import_that_ended_goes_on(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a failure that lasts the next run begins after the last batch that was stored."""
    monkeypatch.setattr(running, "RETRIES", 1)
    kept, path = Kept(), written(tmp_path / name, ROWS)
    kept.fails = {2}
    with pytest.raises(HeadraceError, match="no Kafka"):
        await importing(path).run(kept.store)
    summary = await importing(path).run(kept.store)
    assert summary.resumed_after == running.BATCH
    assert (summary.rows, summary.events) == (len(ROWS), len(ROWS))
    assert len(kept.events) == len({event.event_id for event in kept.events}) == len(ROWS)


MONTH_S = 31 * 86_400
MIXED = [{"at": 1740830400 + n % 12 * MONTH_S + n, "answer": f"a-{n}", "happy": "yes"} for n in range(600)]


async def test_a_file_that_mixes_months_is_sent_by_months(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows of a year in turn are sent a month after the other, whole, as far as the memory for them reaches."""
    monkeypatch.setattr(running, "BATCH", 40)
    path = written(tmp_path / "form.csv", MIXED)
    for held, rounds in ((running.HELD_BYTES, 1), (40_000, 4)):
        monkeypatch.setattr(running, "HELD_BYTES", held)
        kept = Kept()
        summary = await importing(path).run(kept.store, again=True)
        assert summary.events == len({event.event_id for event in kept.events}) == len(MIXED)
        months = [event.occurred_at.strftime("%Y%m") for event in kept.events]
        changes = sum(one != other for one, other in pairwise(months))
        assert 12 * rounds - 1 <= changes <= 13 * (rounds + 1)


async def test_a_mixed_file_goes_on_within_a_month(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was stored before a failure is not sent again, though the file grew meanwhile, and nothing is left out."""
    monkeypatch.setattr(running, "RETRIES", 1)
    monkeypatch.setattr(running, "BATCH", 40)
    kept, path = Kept(), written(tmp_path / "form.csv", MIXED[:500])
    kept.fails = {7}
    with pytest.raises(HeadraceError, match="no Kafka"):
        await importing(path).run(kept.store)
    assert len(kept.events) == 240
    written(path, MIXED)
    summary = await importing(path).run(kept.store)
    assert (summary.rows, summary.events) == (600, 600)
    assert len(kept.events) == len({event.event_id for event in kept.events}) == 600


async def test_times_far_from_now_are_told(tmp_path: Path) -> None:
    """How many rows are of long ago, and how many of a time that has not come yet, checked or sent."""
    rows = [ROWS[0], ROWS[1] | {"at": 1_200_000_000}, ROWS[2] | {"at": 4_000_000_000}, ROWS[3] | {"at": 1_100_000_000}]
    one, kept = importing(written(tmp_path / "form.jsonl", rows)), Kept()
    for summary in (one.check()[0], await one.run(kept.store)):
        assert (summary.events, summary.before, summary.ahead) == (4, 2, 1)


async def test_ids_of_another_day_are_told(tmp_path: Path) -> None:
    """An answer with such an id is stored and counted in no window, which nothing else would say."""
    days = [datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=apart) for apart in (0, 2, -3)]
    rows = [{"at": 1772452800, "answer": str(ids.uuid7(day))} for day in days] + [{"at": 1772452800, "answer": "a-7"}]
    answers = Mapping(
        "inferences", {"at": "occurred_at", "answer": "inference_id"}, {"task": "router", "version": "router@0"}
    )
    one, kept = importing(written(tmp_path / "form.jsonl", rows), answers), Kept()
    for summary in (one.check()[0], await one.run(kept.store)):
        assert (summary.events, summary.apart) == (4, 2)


async def test_rows_of_one_id_are_told(tmp_path: Path) -> None:
    """How many have the id and the time of another row and say something else, checked or sent."""
    rows = [ROWS[0] | {"ticket": "T-1"}, ROWS[0] | {"ticket": "T-1"}, ROWS[0] | {"ticket": "T-1", "happy": "yes"}]
    rows += [ROWS[0] | {"ticket": "T-2"}, ROWS[1] | {"ticket": "T-1"}]
    path, named = written(tmp_path / "form.jsonl", rows), replace(FORM, id_column="ticket")
    one, kept = importing(path, named), Kept()
    for summary in (one.check()[0], await one.run(kept.store)):
        assert (summary.events, summary.repeated) == (5, 1)
    assert len({event.event_id for event in kept.events}) == 3
    assert importing(path).check()[0].repeated == 0


async def test_a_short_failure_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A broker that is away for a moment costs nothing but time."""
    monkeypatch.setattr(running, "FIRST_RETRY_S", 0.001)
    kept = Kept()
    kept.fails = {1, 3}
    await importing(written(tmp_path / "form.csv", ROWS)).run(kept.store)
    assert len(kept.events) == len(ROWS)


async def test_a_file_that_grew_goes_on_and_another_one_starts_over(tmp_path: Path) -> None:
    """Only what was added is sent; a file with another beginning is imported whole."""
    kept, path = Kept(), written(tmp_path / "form.jsonl", ROWS[:100])
    await importing(path).run(kept.store)
    written(path, ROWS[:150])
    grown = await importing(path).run(kept.store)
    assert (grown.resumed_after, len(kept.events)) == (100, 150)
    written(path, ROWS[200:300])
    assert (await importing(path).run(kept.store)).resumed_after == 0
    assert len(kept.events) == 250


async def test_rejected_rows_are_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each with its number, its reason and its cells; the others are stored; a resumed run repeats none."""
    monkeypatch.setattr(running, "RETRIES", 1)
    monkeypatch.setattr(running, "BATCH", 4)
    path = tmp_path / "form.csv"
    path.write_text(
        "at,answer,happy\n1772452800,a,yes\nsoon,b,no\n1772452802,c\n\n1772452803,,no\n1772452804,e,perhaps\n"
    )
    kept = Kept()
    kept.fails = {1}
    with pytest.raises(HeadraceError):
        await importing(path).run(kept.store)
    summary = await importing(path).run(kept.store)
    assert (summary.rows, summary.events, summary.rejected) == (5, 2, 3)
    report = [json.loads(line) for line in importing(path).report.read_text().splitlines()]
    assert [(line["row"], line["line"]) for line in report] == [(2, 3), (4, 6), (5, 7)]
    assert "'soon' is not a time" in report[0]["reason"] and report[0]["cells"]["answer"] == "b"
    assert "Feedback.value" in report[2]["reason"]


def test_a_check_sends_nothing(tmp_path: Path) -> None:
    """Every row is mapped, the first events are shown, and no state is left."""
    one = importing(written(tmp_path / "form.csv", [*ROWS[:20], ROWS[0] | {"at": ""}]))
    summary, first = one.check()
    assert (summary.events, summary.rejected, len(first)) == (20, 1, 5)
    assert not one.state.parent.exists()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.xlsx", b"PK", "is not workbook, as its name says"),
        (
            "b.xlsx",
            b"a,b\n1,2\n",
            "is not workbook, as its name says; it is damaged, or of another kind; where it is text",
        ),
        ("a.csv", b"", "is empty"),
        ("a.csv", b" \n\n", "is empty"),
        ("a.csv", b"\xff\xfe\x00\xd8a\x00", "is not UTF-16-LE: 1 lines of 0 are not"),
        ("a.csv.gz", b"\x1f\x8ba,b\n", "cannot be read as gzip"),
        (
            "a.csv.gz",
            gzip.compress(b"a,b\n1,2\n", mtime=0)[:-9],
            "it ends early; it is damaged, or still being written",
        ),
        ("a.json", b'[{"a": 1}, {"a"', "has JSON without its end; it is damaged, or still being written"),
        ("a.jsonl", b"a\nb\n", "no JSON object"),
        ("a.parquet", b"nothing of the kind", "is not parquet, as its name says"),
        ("a.parquet", b"PAR1nothing of the kind", "cannot be read as Parquet"),
        ("a.parquet", b"PARE" + bytes(20), "is encrypted Parquet; write it without encryption"),
        ("a.zip", b"PK\x03\x04" + bytes(30), "cannot be read as zip"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "save it as .xlsx without a password"),
        ("a.xml", b"<rows><row/></rows>", "is XML or HTML; CSV, TSV, JSON, JSON lines, Parquet"),
        ("a.pdf", b"%PDF-1.7", "is PDF; CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path: Path, name: str, content: bytes, says: str) -> None:
    """It names the file and what to do."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(EventError) as caught:
        open_rows(tmp_path / name)
    assert says in str(caught.value) and "\n" not in str(caught.value)


async def test_a_line_that_is_not_json_is_one_rejected_row(tmp_path: Path) -> None:
    """The lines around it are imported."""
    path = written(tmp_path / "form.jsonl", ROWS[:2])
    path.write_bytes(
        path.read_bytes() + b"{broken\n" + b"17\n" + b"x" * 5_000_000 + b"\n" + json.dumps(ROWS[2]).encode()
    )
    kept = Kept()
    summary = await importing(path).run(kept.store)
    assert (summary.rows, summary.events, summary.rejected) == (6, 3, 3)


@pytest.mark.parametrize("role", [Role.INGEST, Role.OUTCOME, Role.REVIEW])
async def test_a_row_takes_the_role_of_its_source(tmp_path: Path, role: Role) -> None:
    """What the key may not say is rejected by its row, checked or sent; the rest is its tenant's, with its id."""
    rows = [{"at": 1772452800, "answer": "a-1", "source": source, "tenant": "default"} for source in Source]
    rows += [rows[0] | {"tenant": "globex"}, rows[0] | {"source": sorted(SOURCES[role])[0], "tenant": "globex"}]
    path = tmp_path / "form.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    mapping = Mapping("feedback", {"at": "occurred_at", "answer": "response_id"}, {"signal": "comment"})
    one = importing(path, mapping, Principal("acme", frozenset({role}), "0123456789", "key"))
    kept = Kept()
    for summary in (one.check()[0], await one.run(kept.store)):
        assert summary.rejected == len(rows) - len(SOURCES[role])
        assert any(re.match(r"row \d+: source \w+ takes a key with the role", reason) for reason in summary.reasons)
    report = [json.loads(line) for line in one.report.read_text().splitlines()]
    assert {line["row"] for line in report} == {
        number for number, source in enumerate(Source, 1) if source not in SOURCES[role]
    } | {len(rows) - 1, len(rows)}
    assert "the tenant is 'globex', but the API key is tenant 'acme''s" in report[-1]["reason"]
    assert {(event.tenant, event.key_id) for event in kept.events} == {("acme", "0123456789")}
    assert {event.source for event in kept.events if isinstance(event, Feedback)} == SOURCES[role]


async def test_what_the_gateway_refuses_is_not_sent_again(tmp_path: Path) -> None:
    """A refusal is final: the import stops with the gateway's sentence, at once."""

    async def refusing(_: Sequence[Event]) -> None:
        nonlocal asked
        asked += 1
        raise Refused("1 of 1 events were refused: source audit takes a key with the role review")

    asked = 0
    with pytest.raises(HeadraceError, match="takes a key with the role review"):
        await importing(written(tmp_path / "form.csv", ROWS[:3])).run(refusing)
    assert asked == 1


async def test_what_the_gateway_refuses_of_a_batch_is_a_rejected_row(tmp_path: Path) -> None:
    """The others of the batch are stored, and the row is in the report with the gateway's reason."""
    stored: dict[Any, Event] = {}

    async def taking(events: Sequence[Event]) -> None:
        bad = [
            event for event in events if isinstance(event, Feedback) and event.response_id in ("a-0", "a-7", "a-1999")
        ]
        stored.update({event.event_id: event for event in events if event not in bad})
        if bad:
            error = Refused if len(bad) == len(events) else SomeRefused
            raise error(f"{len(bad)} of {len(events)} events were refused: no role")

    one = importing(written(tmp_path / "form.csv", ROWS))
    summary = await one.run(taking)
    assert (summary.events, summary.rejected, len(stored)) == (len(ROWS) - 3, 3, len(ROWS) - 3)
    report = [json.loads(line) for line in one.report.read_text().splitlines()]
    assert [line["row"] for line in report] == [1, 8, 2000] and "no role" in report[0]["reason"]
    assert (await importing(tmp_path / "form.csv").run(taking)).nothing_new
