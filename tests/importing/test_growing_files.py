"""A file that grows, is cut or replaced between two imports: each row arrives once, as its whole line says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from headrace.contract.events import Event, Feedback
from headrace.importing import Import, Mapping, Reading, Summary, open_rows

FORM = Mapping(
    "feedback", {"at": "occurred_at", "who": "session_id", "team": "label"}, {"source": "outcome", "signal": "label"}
)


class Topic:
    """Stands for Kafka and the warehouse: the greatest revision of an event counts."""

    def __init__(self) -> None:
        self.sent: list[Feedback] = []

    async def store(self, events: Sequence[Event]) -> None:
        self.sent += [event for event in events if isinstance(event, Feedback)]

    def current(self) -> list[tuple[str, str]]:
        last = {event.event_id: event for event in sorted(self.sent, key=lambda one: one.revision)}
        return sorted((event.session_id, event.label) for event in last.values())


def importing(path: Path, mapping: Mapping = FORM) -> Import:
    rows = open_rows(path, Reading(wanted=mapping.names))
    state = path.parent / "state" / "import.json"
    completed = mapping.completed(path.name, rows.columns)
    return Import(path, rows, completed, state, state.with_suffix(".rejected.jsonl"), None)


async def grown(path: Path, pieces: Sequence[str], mapping: Mapping = FORM) -> tuple[Topic, list[Summary]]:
    """What arrived after the file was imported at each of these sizes."""
    topic, summaries, content = Topic(), [], ""
    for piece in pieces:
        content += piece
        path.write_text(content, newline="")
        summaries.append(await importing(path, mapping).run(topic.store))
    return topic, summaries


HEADER = "at,who,team\n"
FIRST = "1772452800,a,it\n"
SECOND = "1772452801,b,human resources\n"
BOTH = [("a", "it"), ("b", "human resources")]


@pytest.mark.parametrize("at", range(1, len(SECOND)))
@pytest.mark.parametrize("identified", [False, True])
async def test_a_line_that_is_torn_anywhere(tmp_path: Path, at: int, identified: bool) -> None:
    """After the next run the row is there once, with all of its cells, whatever of it was seen before."""
    mapping = Mapping("feedback", FORM.columns, FORM.constants, id_column="who" if identified else "")
    pieces = [HEADER + FIRST + SECOND[:at], SECOND[at:]]
    topic, (first, second) = await grown(tmp_path / "a.csv", pieces, mapping)
    assert topic.current() == BOTH
    assert (second.rows, second.events, second.rejected) == (2, 2, 0)
    complete = SECOND[:at].count(",") == 2
    assert bool(first.left) is not complete or SECOND[:at].endswith(",")
    if first.left:
        assert first.left.startswith("row 2 has no end yet (the row has ") and "left for the next run" in first.left
    assert [event.session_id for event in topic.sent].count("a") == 1


async def test_a_row_without_its_line_end_is_sent_once(tmp_path: Path) -> None:
    """A whole last row is imported without a line end, and not sent again when the end is there."""
    topic, summaries = await grown(tmp_path / "a.csv", [HEADER + FIRST + SECOND[:-1], "\n", FIRST.replace("a", "c")])
    assert [one.left for one in summaries] == ["", "", ""]
    assert [event.session_id for event in topic.sent] == ["a", "b", "c"]
    assert summaries[-1].events == 3


async def test_a_rejected_row_without_its_line_end_is_read_again(tmp_path: Path) -> None:
    """It is in the report once at most, and as an event when the file says more."""
    topic, summaries = await grown(tmp_path / "a.csv", [HEADER + FIRST + "17724,b,h", "r\n1772452801,b,hr\n"])
    assert summaries[0].rejected == 1 and summaries[1].rejected == 1 and topic.current() == [("a", "it"), ("b", "hr")]
    assert importing(tmp_path / "a.csv").report.read_text().count("\n") == 1
    topic, summaries = await grown(tmp_path / "b.csv", [HEADER + FIRST + '1772452801,"b\nc', '",hr\n'])
    assert "a quote in it is not closed" in summaries[0].left
    assert topic.current() == [("a", "it"), ("b\nc", "hr")]


@pytest.mark.parametrize("at", range(2, 57, 7))
async def test_a_torn_line_of_json(tmp_path: Path, at: int) -> None:
    """It does not parse, so it is left and told, and arrives once when it is whole."""
    line = '{"at": 1772452801, "who": "b", "team": "human resources"}\n'
    pieces = ['{"at": 1772452800, "who": "a", "team": "it"}\n' + line[:at], line[at:]]
    topic, (first, _) = await grown(tmp_path / "a.jsonl", pieces)
    assert topic.current() == BOTH and len(topic.sent) == 2
    assert bool(first.left) is (at < len(line) - 1)


async def test_a_character_that_is_torn(tmp_path: Path) -> None:
    """Half of a character at the end is left, in UTF-8 and in UTF-16."""
    for encoding in ("utf-8", "utf-16"):
        whole = (HEADER + FIRST + "1772452801,ä,hr\n").encode(encoding)
        topic, path = Topic(), tmp_path / f"{encoding}.csv"
        path.write_bytes(whole[: whole.index("ä".encode(encoding)[-2:]) + 1])
        summary = await importing(path).run(topic.store)
        assert summary.left.startswith("row 2 has no end yet") and summary.events == 1
        path.write_bytes(whole)
        await importing(path).run(topic.store)
        assert topic.current() == [("a", "it"), ("ä", "hr")] and len(topic.sent) == 2


@pytest.mark.parametrize(
    "other",
    [HEADER + "1772452802,c,it\n", HEADER + FIRST, HEADER + FIRST.replace("a", "z") + SECOND + SECOND],
)
async def test_a_file_that_was_replaced_is_noticed(tmp_path: Path, other: str) -> None:
    """Rotated, cut or written anew: its rows are imported from the first, and it is told."""
    path, topic = tmp_path / "a.csv", Topic()
    path.write_text(HEADER + FIRST + SECOND)
    await importing(path).run(topic.store)
    path.write_text(other)
    summary = await importing(path).run(topic.store)
    assert (summary.replaced, summary.resumed_after, summary.nothing_new) == (2, 0, False)
    assert summary.rows == other.count("\n") - 1


async def test_a_file_with_the_same_beginning_is_another(tmp_path: Path) -> None:
    """Its end is compared too: a file that is longer and differs behind its first bytes was replaced."""
    path, topic = tmp_path / "a.csv", Topic()
    rows = [f"{1772452800 + n},conversation-{n},it\n" for n in range(6000)]
    path.write_text(HEADER + "".join(rows))
    await importing(path).run(topic.store)
    path.write_text(HEADER + "".join(rows[:4000]) + "".join(row.replace("it", "hr") for row in rows[4000:]) + rows[0])
    summary = await importing(path).run(topic.store)
    assert summary.replaced == 6000 and ("conversation-5000", "hr") in topic.current()


async def test_the_columns_show_the_same_when_a_file_grows(tmp_path: Path) -> None:
    """The import goes on where it was though a later row shows the order of day and month."""
    from zoneinfo import ZoneInfo

    from headrace.importing.times import Times

    mapping = Mapping("feedback", FORM.columns, FORM.constants, times=Times(ZoneInfo("UTC")))
    pieces = [HEADER + "13/2/2026 10:00,a,it\n", "3/2/2026 10:00,b,human resources\n"]
    topic, summaries = await grown(tmp_path / "a.csv", pieces, mapping)
    assert topic.current() == BOTH and {event.occurred_at.month for event in topic.sent} == {2}
    assert summaries[1].resumed_after == 1
