"""The ingest benchmark measures what it says: real events, distinct ids, rows of one shape."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import ingest
from benchmarks.ingesting.events import Emitter, thumbs
from benchmarks.table import keep
from headrace.contract.events import Feedback, Inference
from headrace.contract.topics import INFERENCES
from streams.decode import Raw
from streams.packed import packed
from streams.rules import Rules
from streams.tables import table_of


@pytest.mark.parametrize(("short", "least", "most"), [(False, 600, 750), (True, 280, 360)])
def test_its_events_are_real_ones(short: bool, least: int, most: int) -> None:
    """Valid, of the stated size, each with an id of its own, and such as the worker takes the short way."""
    values = list(Emitter(short).records(1000, 50))
    events = [Inference.strict(json.dumps(fields)) for value in values for fields in json.loads(value)]
    assert len({event.inference_id for event in events}) == 1000
    assert least < sum(map(len, values)) / 1000 < most
    assert packed(Raw(INFERENCES.name, 0, 0, values[0]), table_of(INFERENCES), Rules()) is not None
    assert Inference.strict(next(iter(Emitter(short).records(1, 1)))).task == "router"
    assert len([Feedback.strict(json.dumps(fields)) for fields in json.loads(thumbs(3))]) == 3


def test_its_rows_have_one_shape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every case gives the same columns, null where it measures nothing, and the file holds conditions and rows."""

    def run(stage: object, name: str, events: int) -> dict[str, object]:
        return {"events_per_s": events}

    monkeypatch.setitem(ingest.CASES, "collector-100", (run, 4000, {}))
    row = ingest._run(None, "collector-100", 0.5)  # type: ignore[arg-type]
    assert (row["case"], row["events"], row["events_per_s"], row["visible_p99_s"], row["wrong"]) == (
        "collector-100", 2000, 2000, None, 0,
    )  # fmt: skip
    assert json.loads(keep("x", {"cores": 2}, [row], tmp_path).read_text()) == {
        "conditions": {"cores": 2},
        "rows": [row],
    }
    wanted = {"plain-50", "plain-50-short", "faust-empty-1", "headrace-1", "headrace-10", "headrace-50", "headrace-200"}
    assert wanted | {"headrace-50-short", "collector-100"} == set(ingest.CASES)
