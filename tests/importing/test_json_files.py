"""JSON of every shape gives the rows that it holds: lines, arrays, exports, tables of pandas."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tickets_files import NOON, TICKETS, checked, feedback

from headrace.contract.events import Feedback, Inference
from headrace.errors import EventError
from headrace.importing import Mapping
from headrace.importing.times import Times

ROWS = [{"ticket": n, "at": NOON.isoformat(), "who": {"id": "a"}, "stars": 4.5} for n in (1, 2)]
NESTED = Mapping(
    "feedback",
    {"at": "occurred_at", "who.id": "session_id", "stars": "value"},
    TICKETS.constants,
    id_column="ticket",
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", "\n".join(map(json.dumps, ROWS))),
        ("a.jsonl", "\ufeff" + "\r\n\r\n".join(map(json.dumps, ROWS)) + "\n"),
        ("a.json", json.dumps(ROWS)),
        ("a.json", json.dumps(ROWS, indent=2)),
        ("a.json", "\ufeff" + json.dumps(ROWS, indent=2)),
        ("a.json", "\n".join(json.dumps(row, indent=2) for row in ROWS)),
        ("a.json", "".join(json.dumps(row) for row in ROWS)),
        ("a.json", ",\n".join(json.dumps(row, indent=1) for row in ROWS)),
        ("a.json", json.dumps({"data": ROWS, "meta": {"page": 1, "tags": [{"a": 1}]}})),
        ("a.json", json.dumps({"meta": {"page": 1}, "result": {"items": ROWS}}, indent=2)),
        ("export", json.dumps({"data": ROWS})),
        ("a.jsonl", "\x1e" + "\n\x1e".join(map(json.dumps, ROWS)) + "\n"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_json_of_every_shape(tmp_path: Path, name: str, content: str, encoding: str) -> None:
    """Lines, an array, objects one after the other, an export's list within an object; a path leads into a row."""
    (tmp_path / name).write_bytes(
        content.removeprefix("\ufeff").encode(encoding) if encoding != "utf-8" else content.encode()
    )
    assert feedback(tmp_path / name, NESTED) == [(NOON, "a", 4.5, "1"), (NOON, "a", 4.5, "2")]


def test_a_document_with_several_lists_is_asked_for(tmp_path: Path) -> None:
    """By their paths; --records says which."""
    (tmp_path / "a.json").write_text(json.dumps({"scores": ROWS, "result": {"data": ROWS}, "traces": ROWS[:1]}))
    with pytest.raises(EventError, match="several lists of objects: say which with --records: scores, traces"):
        checked(tmp_path / "a.json", NESTED)
    assert len(feedback(tmp_path / "a.json", NESTED, records="traces")) == 1
    assert len(feedback(tmp_path / "a.json", NESTED, records="result.data")) == 2
    with pytest.raises(
        EventError, match=r"--records data: .* has no list of objects there; it has scores, result.data"
    ):
        checked(tmp_path / "a.json", NESTED, records="data")


def test_a_document_of_many_lists_is_looked_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many lists it has; beyond a bound it is refused, unless one of them is named."""
    from headrace.importing.json_documents import MAX_LISTS
    from headrace.importing.text import TextFile

    opened, opening = [], TextFile.open
    monkeypatch.setattr(TextFile, "open", lambda file: opened.append(file) or opening(file))  # type: ignore[func-returns-value]
    few, many = ({f"conv-{n}": [{"a": n}] for n in range(count)} | {"rows": ROWS} for count in (200, MAX_LISTS + 1))
    (tmp_path / "a.json").write_text(json.dumps(few))
    assert len(feedback(tmp_path / "a.json", NESTED)) == 2
    assert len(opened) < 10
    (tmp_path / "a.json").write_text(json.dumps(many))
    with pytest.raises(
        EventError, match=r"has more than 1000 lists of objects \(conv-0, conv-1, conv-2, …\): say which"
    ):
        checked(tmp_path / "a.json", NESTED)
    assert len(feedback(tmp_path / "a.json", NESTED, records="rows")) == 2


@pytest.mark.parametrize(
    "table",
    [
        {"ticket": {"0": 1, "1": 2}, "at": {"0": "x", "1": "y"}},
        {"0": {"ticket": 1}, "1": {"ticket": 2}},
        {"columns": ["ticket", "at"], "index": [0], "data": [[1, "x"]]},
    ],
)
def test_a_table_of_pandas_is_asked_for_as_records(tmp_path: Path, table: dict[str, Any]) -> None:
    """Where it is written by columns, by its index or split."""
    (tmp_path / "a.json").write_text(json.dumps(table))
    with pytest.raises(EventError, match=r"is a table of pandas; write it with to_json\(orient='records'\)"):
        checked(tmp_path / "a.json", NESTED)


def test_brackets_without_end_take_no_memory(tmp_path: Path) -> None:
    """A small packed file of open brackets is refused, before it is unpacked."""
    (tmp_path / "a.json.gz").write_bytes(gzip.compress(b'{"a":[' + b"[" * 3_000_000))
    tracemalloc.start()
    with pytest.raises(EventError, match="has JSON nested more than 10000 levels deep; it is damaged"):
        checked(tmp_path / "a.json.gz", NESTED)
    assert tracemalloc.get_traced_memory()[1] < 32 * 1024 * 1024
    tracemalloc.stop()


def test_a_bad_value_of_a_document_is_one_rejected_row(tmp_path: Path) -> None:
    """No object, no JSON, nested too deeply, too long a number: its neighbours are read."""
    good = json.dumps(ROWS[0])
    bad = ["17", "null", '{"a": }', '{"a": ' + "[" * 5000 + "]" * 5000 + "}", '{"a": ' + "9" * 5000 + "}", "[1]"]
    (tmp_path / "a.json").write_text("[" + ",".join(text for one in bad for text in (good, one)) + f",{good}]")
    summary, _ = checked(tmp_path / "a.json", NESTED)
    assert (summary.events, summary.rejected) == (len(bad) + 1, len(bad))
    assert [reason.split(":")[0] for reason in summary.reasons] == ["row 2", "row 4", "row 6", "row 8", "row 10"]


def test_numbers_in_json(tmp_path: Path) -> None:
    """NaN says nothing, a large integer stays what it is, and a float for an id has no fraction."""
    row = '{"ticket": 9007199254740993, "at": 1772452800.0, "who": {"id": 12345.0}, "stars": NaN}\n'
    (tmp_path / "a.jsonl").write_text(row)
    assert feedback(tmp_path / "a.jsonl", NESTED) == [(NOON, "12345", None, "9007199254740993")]


def test_values_of_mongoexport(tmp_path: Path) -> None:
    """Numbers and ids that its canonical form writes as objects."""
    row = {"_id": {"$oid": "5f"}, "at": {"$date": {"$numberLong": "1772452800000"}}, "who": {"id": {"$uuid": "u"}}}
    (tmp_path / "a.json").write_text(json.dumps(row | {"stars": {"$numberDouble": "4.5"}}) + "\n")
    assert feedback(tmp_path / "a.json", replace(NESTED, id_column="_id")) == [(NOON, "u", 4.5, "5f")]


@pytest.mark.parametrize(
    ("columns", "row"),
    [
        (
            {"timestamp": "occurred_at", "input": "input", "output": "output", "sessionId": "session_id"},
            {
                "id": "tr-1",
                "timestamp": "2026-03-02T12:00:00.000Z",
                "input": {"messages": [{"role": "user", "content": "My VPN is down"}]},
                "output": {"role": "assistant", "content": "it"},
                "sessionId": "s-1",
                "scores": [{"name": "thumb", "value": 1}],
            },
        ),
        (
            {"created_at": "occurred_at", "request_body": "input", "response_body": "output", "props.s": "session_id"},
            {
                "id": "tr-1",
                "created_at": "2026-03-02 12:00:00.000+00",
                "request_body": {
                    "messages": [{"role": "user", "content": [{"type": "text", "text": "My VPN is down"}]}]
                },
                "response_body": {"choices": [{"message": {"role": "assistant", "content": "it"}}]},
                "props": {"s": "s-1"},
            },
        ),
        (
            {"start_time": "occurred_at", "inputs.question": "input", "outputs.answer": "output", "sid": "session_id"},
            {
                "id": "tr-1",
                "start_time": "2026-03-02T12:00:00.000000",
                "inputs": {"question": "My VPN is down"},
                "outputs": {"answer": "it"},
                "sid": "s-1",
            },
        ),
    ],
)
def test_exports_of_tracing_systems(tmp_path: Path, columns: dict[str, str], row: dict[str, Any]) -> None:
    """Messages become texts, paths lead into a row, and a list that is called scores is not the labels' scores."""
    (tmp_path / "a.json").write_text(json.dumps({"data": [row], "meta": {"page": 1}}))
    constants = {"task": "router", "version": "router@0"}
    mapping = Mapping("inferences", columns, constants, id_column="id", times=Times(ZoneInfo("UTC")))
    (event,) = checked(tmp_path / "a.json", mapping)[1]
    assert isinstance(event, Inference)
    assert (event.input, event.output, event.session_id) == ("My VPN is down", "it", "s-1")
    assert (event.occurred_at, event.response_id, event.scores) == (NOON, "tr-1", {})


@pytest.mark.parametrize("name", ["a.jsonl", "a.json"])
def test_dicts_that_python_printed(tmp_path: Path, name: str) -> None:
    """A line each, as print writes them; one that is neither JSON nor a dict is a rejected row."""
    lines = [repr(ROWS[0]), "{'ticket': open('x')}", json.dumps(ROWS[1])]
    (tmp_path / name).write_text("\n".join(lines) + "\n")
    summary, events = checked(tmp_path / name, NESTED)
    assert summary.rejected == 1 and summary.reasons[0].startswith("row 2")
    assert [event.value for event in events if isinstance(event, Feedback)] == [4.5, 4.5]
