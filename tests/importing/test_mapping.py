"""A row becomes an event, or a sentence that says what is wrong with it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from headrace.contract.events import Feedback, Inference
from headrace.errors import EventError
from headrace.importing import Mapping
from headrace.importing.times import Times

TICKET = {"ticket": "T-1", "closed": "2026-03-02 13:00", "conversation": "s-1", "team": "Service Desk", "rating": ""}
TICKETS = Mapping(
    "feedback",
    {"closed": "occurred_at", "conversation": "session_id", "team": "label", "rating": "value"},
    {"source": "outcome", "signal": "label", "task": "router"},
    {"label": {"Service Desk": "it", "*": "out_of_scope"}},
    "ticket",
    Times(ZoneInfo("Europe/Berlin")),
).completed("tickets.csv", TICKET)


def test_a_ticket_is_an_outcome():
    """Columns, constants, words and the zone make the event; an empty cell says nothing; the foreign id is kept."""
    event = TICKETS.event(TICKET)
    assert isinstance(event, Feedback)
    assert (event.source, event.signal, event.task, event.label) == ("outcome", "label", "router", "it")
    assert (event.session_id, event.value, event.extra) == ("s-1", None, {"foreign_id": "T-1"})
    assert event.occurred_at == datetime(2026, 3, 2, 12, tzinfo=UTC)
    assert TICKETS.event(TICKET | {"team": "Canteen"}).label == "out_of_scope"


def test_a_row_keeps_its_id():
    """The id depends on the row's own id and time, or on its content, and on nothing else."""
    assert TICKETS.event(TICKET).event_id == TICKETS.event(TICKET | {"team": "HR"}).event_id
    assert TICKETS.event(TICKET).event_id != TICKETS.event(TICKET | {"ticket": "T-2"}).event_id
    bare = Mapping("feedback", TICKETS.columns, TICKETS.constants, times=TICKETS.times)
    assert bare.event(TICKET).event_id == bare.event(dict(reversed(TICKET.items()))).event_id
    assert bare.event(TICKET).event_id != bare.event(TICKET | {"team": "HR"}).event_id


def test_a_foreign_answer_can_be_named_by_its_foreign_id():
    """An imported inference keeps its foreign id as response_id, so that imported feedback can name it."""
    answers = Mapping(
        "inferences", {"at": "occurred_at"}, {"task": "router", "version": "router@0"}, id_column="request"
    )
    cells = {"at": "2026-03-02T12:00:00Z", "request": 17, "label": "it", "scores": '{"it": 0.9}'}
    event = answers.completed("a.jsonl", cells).event(cells)
    assert isinstance(event, Inference)
    assert (event.response_id, event.label, event.scores) == ("17", "it", {"it": 0.9})


@pytest.mark.parametrize(
    ("mapping", "says"),
    [
        (
            Mapping("feedback", {"tikcet": "label"}),
            "--map tikcet=label: f.csv has no column 'tikcet'; it has at, team, form",
        ),
        (
            Mapping("feedback", {"team": "lable"}),
            "--map team=lable: Feedback has no field 'lable'; it has best, blame, comment",
        ),
        (Mapping("feedback", {}, {"colour": "red"}), "--set colour: Feedback has no field 'colour'"),
        (Mapping("feedback", {}, {}, {"mood": {"a": "b"}}), "--word mood: Feedback has no field 'mood'"),
        (Mapping("feedback", {}, {}, {}, "key"), "--id key: f.csv has no column 'key'; it has at, team, form"),
        (Mapping("feedback", {"team": "label"}), "occurred_at is missing: --map COLUMN=occurred_at or --set"),
        (
            Mapping("feedback", {"at": "occurred_at"}, {"source": "user", "signal": "thumb"}),
            "feedback names the answer that it is about: --map COLUMN=FIELD with one of inference_id, response_id",
        ),
        (Mapping("inferences", {"at": "occurred_at"}, {"task": "router"}), "Inference.version is missing: --map"),
    ],
)
def test_a_wrong_mapping_is_one_sentence(mapping, says):
    """It names the option, what is wrong and what there is instead."""
    with pytest.raises(EventError) as caught:
        mapping.completed("f.csv", ("at", "team", "form"))
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"closed": ""}, "the row has no time"),
        ({"closed": "yesterday"}, "'yesterday' is not a time"),
        ({"ticket": " "}, "the row has no id: its column ticket is empty"),
        ({"rating": "inf"}, "finite number"),
        ({"conversation": ""}, "feedback names its answer by"),
        ({"rating": "good"}, "Feedback.value"),
        ({"closed": "1890-01-01"}, "between the years 2000 and 2100"),
    ],
)
def test_a_wrong_row_is_one_sentence(change, says):
    """It names the field or the column."""
    with pytest.raises(EventError) as caught:
        TICKETS.event(TICKET | change)
    assert says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("times", "value"),
    [
        (Times(), "2026-03-02T12:00:00Z"),
        (Times(), "2026-03-02T13:00:00+01:00"),
        (Times(ZoneInfo("Europe/Berlin")), "2026-03-02T13:00:00"),
        (Times(ZoneInfo("Europe/Berlin"), "%d.%m.%Y %H:%M"), " 02.03.2026 13:00 "),
        (Times(), 1772452800),
        (Times(), "1772452800"),
        (Times(), 1772452800.0),
        (Times(), 1772452800000),
        (Times(), 1772452800000000),
        (Times(), 1772452800000000000),
        (Times(ZoneInfo("UTC")), datetime(2026, 3, 2, 12)),
    ],
)
def test_times(times, value):
    """ISO 8601, a format, seconds to nanoseconds since 1970, and what Parquet gives are one time."""
    assert times.read(value) == datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize("value", ["2026-03-02T12:00:00", "nan", "inf", "17", True, None, "", [], "1e400"])
def test_what_is_no_time_is_refused(value):
    """A time without a zone says which option is missing; anything else says what is expected."""
    with pytest.raises(EventError, match=r"--zone|is not a time"):
        Times().read(value)


def test_scores_as_pandas_writes_them():
    """A column of dicts in a CSV is Python's repr of them."""
    answers = Mapping("inferences", {"at": "occurred_at", "p": "scores"}, {"task": "router", "version": "v"})
    event = answers.event({"at": "2026-03-02T12:00:00Z", "p": "{'it': 0.9, 'hr': 0.1}"})
    assert event.scores == {"it": 0.9, "hr": 0.1}
    with pytest.raises(EventError, match="scores is not JSON"):
        answers.event({"at": "2026-03-02T12:00:00Z", "p": "{'it': x}"})


def test_a_rating_of_another_range():
    """Its range is the same in every row, or a column of its own; a column that is only called so says nothing."""
    columns, said = {"at": "occurred_at", "who": "session_id", "score": "value"}, {"source": "user", "signal": "rating"}
    row = {"at": "2026-03-02T12:00:00Z", "who": "a", "score": "9", "of": "10", "best": "?"}
    for mapping in (
        Mapping("feedback", columns, said | {"best": "10", "worst": "0"}),
        Mapping("feedback", columns | {"of": "best"}, said | {"worst": "0"}),
    ):
        assert mapping.completed("nps.csv", tuple(row)).event(row).value == 4.6
    with pytest.raises(EventError, match="--set best=ten"):
        Mapping("feedback", columns, said | {"best": "ten"}).completed("nps.csv", tuple(row))
