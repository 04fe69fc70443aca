"""Workbooks, Parquet of other writers and Arrow give the events that they mean."""

from __future__ import annotations

import io
import subprocess
import sys
import uuid
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tickets_files import NOON, TICKETS, checked, feedback

from headrace.contract.events import Inference
from headrace.errors import EventError
from headrace.importing import Mapping


def workbook(path: Path, fill: Callable[[Any], None], title: str = "Tickets") -> Path:
    book = openpyxl.Workbook()
    book.active.title = title
    fill(book)
    book.save(path)
    return path


def test_a_workbook(tmp_path: Path) -> None:
    """Dates, ids that are numbers, zeros that a format shows, empty rows, a title and the value of a formula."""

    def fill(book: Any) -> None:
        book.create_sheet("Notes", 0).append(["read me"])
        book.create_sheet("Old", 0).sheet_state = "hidden"
        book["Old"].append(["ticket", "at", "who", "stars"])
        sheet = book["Tickets"]
        sheet.append(["Tickets of March"])
        sheet.append([])
        sheet.append(["ticket", "at", "who", "stars", None, "ticket "])
        sheet.append([12345.0, datetime(2026, 3, 2, 13), "a", 4.5])
        sheet.append([])
        sheet.append([7, date(2026, 3, 2), "b", "4,5"])
        sheet.append(["T-3", "02.03.2026 13:00", 17, "#N/A"])
        sheet.append([" ", None, "\u00a0"])
        sheet["A6"].number_format = "00000"

    mapping = Mapping("feedback", TICKETS.columns, TICKETS.constants, id_column="ticket (1)", times=TICKETS.times)
    path = workbook(tmp_path / "t.xlsx", fill)
    midnight = datetime(2026, 3, 1, 23, tzinfo=UTC)
    assert feedback(path, mapping) == [
        (NOON, "a", 4.5, "12345"),
        (midnight, "b", 4.5, "00007"),
        (NOON, "17", None, "T-3"),
    ]
    assert checked(path, mapping)[0].found[:2] == ["workbook, sheet 'Tickets'", "header in row 3"]
    with pytest.raises(EventError, match=r"--sheet März: .* has no such sheet; it has Old, Notes, Tickets"):
        checked(path, mapping, sheet="März")
    with pytest.raises(EventError, match="has no column 'ticket \\(1\\)'"):
        checked(path, mapping, sheet="Old")


def test_a_workbook_of_1904(tmp_path: Path) -> None:
    """Its days are counted from 1904, as the workbook says."""

    def fill(book: Any) -> None:
        book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
        book.active.append(["ticket", "at", "who", "stars"])
        book.active.append([1, datetime(2026, 3, 2, 13), "a", 1])

    assert feedback(workbook(tmp_path / "t.xlsx", fill)) == [(NOON, "a", 1, "1")]


def test_a_workbook_with_iso_dates(tmp_path: Path) -> None:
    """A cell of type d has the zone that it names, and else the caller's."""

    def fill(book: Any) -> None:
        book.iso_dates = True
        book.active.append(["ticket", "at", "who", "stars"])
        for ticket in range(1, 4):
            book.active.append([ticket, datetime(2026, 3, ticket, 13), "a", 1])

    whole = workbook(tmp_path / "whole.xlsx", fill)
    with zipfile.ZipFile(whole) as good, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as other:
        for name in good.namelist():
            content = good.read(name).replace(b"2026-03-01T13:00:00", b"2026-03-02T12:00:00Z")
            other.writestr(name, content.replace(b"2026-03-03T13:00:00", b"2026-03-02T17:30:00+05:30"))
    assert b't="d"' in zipfile.ZipFile(whole).read("xl/worksheets/sheet1.xml")
    assert feedback(tmp_path / "t.xlsx") == [(NOON, "a", 1, str(ticket)) for ticket in (1, 2, 3)]


def test_a_formula_that_nobody_computed_costs_its_row(tmp_path: Path) -> None:
    """Where its cell is needed; what came out as an empty text is empty."""

    def fill(book: Any) -> None:
        book.active.append(["ticket", "at", "who", "stars", "share"])
        book.active.append(["T-1", NOON.replace(tzinfo=None), "a", "=IF(1,4,5)", "=D2/5"])
        book.active.append(["T-2", NOON.replace(tzinfo=None), "b", 4, "=D3/5"])
        book.active.append(["T-3", NOON.replace(tzinfo=None), "c", '=""', "=D4/5"])

    whole = workbook(tmp_path / "whole.xlsx", fill)
    with zipfile.ZipFile(whole) as good, zipfile.ZipFile(tmp_path / "t.xlsx", "w") as other:
        for name in good.namelist():
            other.writestr(name, good.read(name).replace(b'<c r="D4">', b'<c r="D4" t="str">'))
    summary, events = checked(tmp_path / "t.xlsx")
    assert [(event.session_id, event.value) for event in events] == [("b", 4), ("c", None)]  # type: ignore[attr-defined]
    says = "value: the formula has no computed value: open the workbook in Excel or LibreOffice and save it"
    assert summary.rejected == 1 and says in summary.reasons[0]


@pytest.mark.parametrize("size", [1, 7, 40, 4096, -1])
@pytest.mark.parametrize(
    ("cell", "read"),
    [
        (b'<c r="A1" s="2"><f>IF(1&gt;0,4,5)</f><v></v></c>', b'<c r="A1" s="2" t="e"><v>#NOT_COMPUTED!</v></c>'),
        (
            b'<x:c t="n" r="A1"><x:f t="shared" si="0"/><x:v/></x:c>',
            b'<x:c r="A1" t="e"><x:v>#NOT_COMPUTED!</x:v></x:c>',
        ),
        (b'<c r="A1"><f>B1</f></c>', b'<c r="A1" t="e"><v>#NOT_COMPUTED!</v></c>'),
        (b'<c r="A1" t="str"><f>B1</f><v></v></c>', None),
        (b'<c r="A1"><f>B1</f><v>0</v></c>', None),
        (b'<c r="A1"/><c r="B1" t="inlineStr"><is><t>f</t></is></c>', None),
    ],
)
def test_a_formula_without_a_value_is_an_error(size: int, cell: bytes, read: bytes | None) -> None:
    """However many bytes of its sheet are read at once."""
    from headrace.importing.workbook import TimesAsText

    source = TimesAsText(io.BytesIO(b"<row>" + cell + b'<c r="Z1"><v>7</v></c></row><row r="2"/>'))
    whole = b"".join(iter(lambda: source.read(size), b""))
    assert whole == b"<row>" + (read or cell) + b'<c r="Z1"><v>7</v></c></row><row r="2"/>'


@pytest.mark.parametrize("size", [1, 7, 40, 4096, -1])
def test_a_sheet_s_times_are_texts_however_it_is_read(size: int) -> None:
    """Pieces of any size give the same sheet; only cells of type d are others than before."""
    from headrace.importing.workbook import TimesAsText

    given = b'<row r="1"><c r="A1" s="1" t="d"><v>2026</v></c><c t=\'d\' r="B1"/><x t="d"/> t="d" &lt;c t="d"</row>'
    wanted = given.replace(b'1" t="d"', b'1" t="str"').replace(b"t='d'", b't="str"')
    source = TimesAsText(io.BytesIO(given))
    assert b"".join(iter(lambda: source.read(size), b"")) == wanted


def test_a_workbook_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is refused by its directory, before it is unpacked."""
    from headrace.importing import workbook as module

    path = workbook(tmp_path / "t.xlsx", lambda book: book.active.append(["ticket"] * 1000))
    monkeypatch.setattr(module, "MAX_BYTES", 1000)
    with pytest.raises(EventError, match=r"unpacks to more than a workbook may; save the sheet as .csv"):
        checked(path)


def test_a_damaged_workbook_is_one_sentence(tmp_path: Path) -> None:
    """Whatever part of it is damaged."""
    whole = workbook(tmp_path / "t.xlsx", lambda book: book.active.append(["ticket", "at", "who", "stars"]))
    for part in ("xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml", "[Content_Types].xml"):
        file = io.BytesIO()
        with zipfile.ZipFile(whole) as good, zipfile.ZipFile(file, "w") as bad:
            for name in good.namelist():
                bad.writestr(name, good.read(name) if name != part else good.read(name)[:-30])
        (tmp_path / "bad.xlsx").write_bytes(file.getvalue())
        with pytest.raises(EventError) as caught:
            checked(tmp_path / "bad.xlsx")
        assert "is a workbook that cannot be read" in str(caught.value) and "\n" not in str(caught.value)


STAMP = pa.array([int(NOON.timestamp() * 10**9)], pa.timestamp("ns", "UTC"))


@pytest.mark.parametrize(
    "columns",
    [
        {"ticket": pa.array([b"12345"]), "at": STAMP, "who": pa.array([b"a"], pa.large_binary())},
        {"ticket": pa.array([12345.0]), "at": pa.array([datetime(2026, 3, 2, 13)]), "who": pa.array(["a"])},
        {
            "ticket": pa.array([Decimal("12345")]),
            "at": STAMP.cast(pa.int64()),
            "who": pa.array(["a"], pa.large_string()),
        },
        {
            "ticket": pa.array(["12345"]).dictionary_encode(),
            "at": pa.array(["2026-03-02 13:00"]),
            "who": pa.array(["a"]),
        },
        {"ticket": pa.array([12345], pa.uint64()), "at": STAMP, "who": pa.array(["a"]).dictionary_encode()},
    ],
)
@pytest.mark.parametrize("codec", ["snappy", "zstd", "lz4", "brotli", "gzip"])
def test_parquet_of_other_writers(tmp_path: Path, columns: dict[str, Any], codec: str) -> None:
    """Bytes without a text's mark, floats and decimals for ids, nanoseconds, local times, dictionaries, every codec."""
    table = pa.table(columns | {"stars": pa.array([4.5]), "nothing": pa.nulls(1)})
    pq.write_table(table, tmp_path / "t.parquet", compression=codec)
    assert feedback(tmp_path / "t.parquet") == [(NOON, "a", 4.5, "12345")]


def test_parquet_with_times_of_nanoseconds(tmp_path: Path) -> None:
    """A remainder of nanoseconds is cut off, within structures too; Impala's times reach beyond nanoseconds' years."""
    at = int(NOON.timestamp() * 10**9) + 123_456_789
    inner = pa.StructArray.from_arrays([pa.array([at], pa.timestamp("ns", "UTC"))], ["at"])
    table = pa.table({"ticket": [1], "ev": inner, "who": ["a"], "stars": [1.0]})
    pq.write_table(table, tmp_path / "t.parquet")
    columns = {"ev.at": "occurred_at", "who": "session_id", "stars": "value"}
    nested = Mapping("feedback", columns, TICKETS.constants, id_column="ticket")
    assert feedback(tmp_path / "t.parquet", nested)[0][0] == NOON.replace(microsecond=123456)
    far = pa.table({"ticket": [1, 2], "at": [NOON, datetime(9999, 1, 1)], "who": ["a", "b"], "stars": [1.0, 2.0]})
    pq.write_table(far, tmp_path / "i.parquet", use_deprecated_int96_timestamps=True)
    summary, events = checked(tmp_path / "i.parquet")
    assert (summary.events, summary.rejected, events[0].occurred_at.year) == (1, 1, 2026)
    assert "between the years 2000 and 2100" in summary.reasons[0]


@pytest.mark.parametrize(
    ("ids", "kept"),
    [
        (pa.array([16777215.0, 16777216.0], pa.float32()), ["16777215"]),
        (pa.array([17.0, 123456789.0], pa.float32()), ["17"]),
        (pa.array([9007199254740991.0, 9007199254740993.0]), ["9007199254740991"]),
    ],
)
@pytest.mark.parametrize("inner", [False, True])
def test_an_id_that_a_float_rounded(tmp_path: Path, ids: Any, kept: list[str], inner: bool) -> None:
    """It is refused, where it may have been another; a value of the same type is taken."""
    column = pa.StructArray.from_arrays([ids], ["id"]) if inner else ids
    table = pa.table({"ticket": column, "at": [NOON] * 2, "who": ["a"] * 2, "stars": pa.array([4.5] * 2, pa.float32())})
    pq.write_table(table, tmp_path / "t.parquet")
    mapping = Mapping("feedback", TICKETS.columns, TICKETS.constants, id_column="ticket.id" if inner else "ticket")
    summary, events = checked(tmp_path / "t.parquet", mapping)
    assert [event.extra["foreign_id"] for event in events] == kept
    assert "was rounded before it came here; export it as text" in summary.reasons[0]


def test_a_number_of_a_short_float(tmp_path: Path) -> None:
    """As a value it is taken, however large."""
    table = pa.table({"at": [NOON], "who": ["a"], "n": pa.array([123456789.0], pa.float32())})
    pq.write_table(table, tmp_path / "t.parquet")
    columns = {"at": "occurred_at", "who": "session_id", "n": "value"}
    mapping = Mapping("feedback", columns, {"source": "user", "signal": "comment", "comment": "x"})
    assert checked(tmp_path / "t.parquet", mapping)[1][0].value == 123456792  # type: ignore[attr-defined]


def test_parquet_within_parquet(tmp_path: Path) -> None:
    """A path leads into structures and lists, and messages become the text of their last user."""
    messages = [{"role": "system", "content": "Route."}, {"role": "user", "content": "My VPN is down"}]
    said = [{"message": {"role": "assistant", "content": "it"}}]
    row = {"id": uuid.UUID(int=5).bytes, "t": NOON, "req": {"messages": messages, "user": {"id": 17}}, "choices": said}
    pq.write_table(pa.Table.from_pylist([row]), tmp_path / "t.parquet")
    mapping = Mapping(
        "inferences",
        {"t": "occurred_at", "req.messages": "input", "choices.0.message.content": "label", "req.user.id": "user_ref"},
        {"task": "router", "version": "router@0"},
        id_column="id",
    )
    (event,) = checked(tmp_path / "t.parquet", mapping)[1]
    assert isinstance(event, Inference)
    assert (event.input, event.label, event.user_ref) == ("My VPN is down", "it", "17")


def test_a_column_of_bytes_that_are_no_text(tmp_path: Path) -> None:
    """Such a row is rejected by its column; sixteen bytes are a UUID."""
    rows = {"ticket": ["1", "2"], "at": [NOON, NOON], "who": [b"\xff\xfe", uuid.UUID(int=7).bytes], "stars": [1.0, 1.0]}
    pq.write_table(pa.table(rows), tmp_path / "t.parquet")
    summary, events = checked(tmp_path / "t.parquet")
    assert summary.reasons == ["row 1: session_id: it holds bytes that are not UTF-8, b'\\xff\\xfe'"]
    assert events[0].session_id in (str(uuid.UUID(int=7)), "\0" * 15 + "\x07")  # type: ignore[attr-defined]


def test_sixteen_bytes_of_text_are_no_uuid(tmp_path: Path) -> None:
    """With a line end or a tab, in a text or an id; a text has none, whatever its bytes are."""
    texts = [b"VPN down\nplease!", "Größe\tfalsch".encode().ljust(16, b"!"), uuid.UUID(int=7).bytes, b"\xff" * 16]
    names = [b"ticket\t000000017", b"T-1".ljust(16, b"\0"), uuid.UUID(int=7).bytes, b"\xff" * 16]
    pq.write_table(pa.table({"at": [NOON] * 4, "q": texts, "who": names}), tmp_path / "t.parquet")
    columns = {"at": "occurred_at", "q": "input", "who": "session_id"}
    summary, events = checked(
        tmp_path / "t.parquet", Mapping("inferences", columns, {"task": "router", "version": "router@0"})
    )
    assert [event.input for event in events] == ["VPN down\nplease!", "Größe\tfalsch!!", "\ufffd" * 15 + "\a"]  # type: ignore[attr-defined]
    kept = ["ticket\t000000017", "T-1", str(uuid.UUID(int=7))]
    assert [event.session_id for event in events] == kept  # type: ignore[attr-defined]
    assert summary.reasons == [f"row 4: input: it holds bytes that are not UTF-8, {texts[3]!r}"]


def test_parquet_takes_no_pandas(tmp_path: Path) -> None:
    """It is read where pandas is not installed."""
    table = pa.table({"at": pa.array([1], pa.timestamp("ns")), "who": ["a"]})
    pq.write_table(table, tmp_path / "t.parquet")
    code = (
        "import sys; sys.modules['pandas'] = None\n"
        "from pathlib import Path; from headrace.importing import open_rows\n"
        f"print([row.cells for row in open_rows(Path({str(tmp_path / 't.parquet')!r})).read()])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "datetime.datetime(1970, 1, 1, 0, 0)" in done.stdout


def test_arrow(tmp_path: Path) -> None:
    """A Feather file of version 2, which is Arrow's file format."""
    table = pa.table({"ticket": [1.0], "at": STAMP, "who": ["a"], "stars": [4.5]})
    with pa.ipc.new_file(tmp_path / "t.arrow", table.schema) as file:
        file.write_table(table)
    assert feedback(tmp_path / "t.arrow") == [(NOON, "a", 4.5, "1")]
