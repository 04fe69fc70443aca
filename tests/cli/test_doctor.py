"""`headrace doctor` beside the real Kafka and ClickHouse."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.contract.events import new_feedback, new_inference
from headrace.contract.ids import uuid7
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack

DAY = timedelta(days=1)


def levels(said: Any) -> dict[str, str]:
    """The worst level of each thing that was looked at."""
    order = ("ok", "warning", "problem")
    found: dict[str, str] = {}
    for one in said.json:
        found[one["about"]] = max(found.get(one["about"], "ok"), one["level"], key=order.index)
    return found


def test_what_is_well_and_what_is_not(headrace: Any) -> None:
    """Servers, topics, tables and clocks are well; parts that do not run are told, and the exit status says so."""
    said = headrace("doctor", "--json")
    found = levels(said)
    assert said.code == 1
    assert {name: found[name] for name in ("plan", "files", "kafka", "warehouse", "clocks", "poison")} == dict.fromkeys(
        ("plan", "files", "kafka", "warehouse", "clocks", "poison"), "ok"
    ), said.out
    assert (found["parts"], found["gateway"]) == ("warning", "problem")


def test_a_secret_that_others_may_read(headrace_with: Any, tmp_path: Path) -> None:
    """A key file with loose rights is named, with the command that mends it; servers that are away end nothing."""
    settings = Settings(
        home=tmp_path, kafka="127.0.0.1:9", clickhouse="http://127.0.0.1:9", gateway="http://127.0.0.1:9"
    )
    settings.keys.write_text("{}")
    settings.keys.chmod(0o644)
    said = headrace_with(settings)("doctor")
    assert said.code == 1
    assert f"chmod 600 {settings.keys}" in said.out
    assert {"kafka", "warehouse", "gateway"} <= {line.split()[1] for line in said.out.splitlines()}


def test_an_event_is_followed(headrace: Any, warehouse: Warehouse) -> None:
    """An answer is told as corrected, with the feedback about it; an id that is nowhere with the time that it bears."""
    answer = new_inference("router", "router@7", label="hr", revision=1)
    former = answer.model_copy(update={"label": "it", "revision": 0})
    thumb = new_feedback(answer.inference_id, "user", "thumb", value=-1)
    origin = {"kafka_topic": "headrace.inferences", "kafka_partition": 3, "kafka_offset": 41, "kafka_index": 2}
    for table, event in (("inferences", answer), ("inferences", former), ("feedback", thumb)):
        row = (
            event.model_dump_json(exclude={"proof"})[:-1]
            + "".join(f',"{k}":{v!r}'.replace("'", '"') for k, v in origin.items())
            + "}"
        )
        warehouse.insert(table, [row.encode()])
    said = headrace("doctor", str(answer.inference_id))
    assert said.code == 0, said.err
    assert "router@7 (live) answered router with hr" in said.out and "router with it" not in said.out
    assert "headrace.inferences/3/41/2" in said.out
    assert f"user said thumb, {thumb.feedback_id}" in said.out
    nowhere = headrace("doctor", str(uuid7()))
    assert nowhere.code == 1
    assert "is nowhere" in nowhere.out


def test_an_answer_whose_id_is_of_another_time_is_named(headrace: Any, warehouse: Warehouse) -> None:
    """It is stored and no window counts it: by its id, and by its emitter among the checks."""
    now = datetime.now(UTC)
    given = {"label": "hr", "emitter": "backfill.1"}
    fits, apart = (
        new_inference("router", "router@7", occurred_at=now - days * DAY, inference_id=uuid7(now), **given)
        for days in (0.5, 3)
    )
    for event in (fits, apart):
        warehouse.insert("inferences", [event.to_json().replace(b'"extra":{}', b'"extra":"{}"')])
    assert "more than a day apart" not in headrace("doctor", str(fits.inference_id)).out
    said = headrace("doctor", str(apart.inference_id))
    assert said.code == 0 and "more than a day apart: it is in no window" in said.out, said.out
    said = headrace("doctor", "--json")
    named = [one for one in said.json if one["about"] == "ids"]
    assert [one["level"] for one in named] == ["warning"] and named[0]["text"].startswith(
        "1 answers of the last day from backfill.1"
    ), named


def test_an_event_in_a_spool(headrace: Any, stack: Settings) -> None:
    """An event that is only on this machine's disk is found there."""
    event_id = uuid7()
    segment = stack.home / "serving" / "gateway-a" / "spool" / "1" / "0.segment"
    segment.parent.mkdir(parents=True)
    segment.write_bytes(b"x" * (1 << 20) + f'{{"inference_id":"{event_id}"}}'.encode())
    said = headrace("doctor", str(event_id))
    assert "on this machine's disk" in said.out, said.out


def test_an_event_is_followed_by_what_its_emitter_calls_it(headrace: Any, warehouse: Warehouse) -> None:
    """A text names the event that bears it; one that no event bears is nowhere."""
    answer = new_inference("router", "router@7", label="hr", inference_id="HELP-4711")
    warehouse.insert("inferences", [answer.to_json().replace(b'"extra":{}', b'"extra":"{}"')])
    said = headrace("doctor", "HELP-4711")
    assert said.code == 0 and "router@7 (live) answered router with hr" in said.out, said.out
    said = headrace("doctor", "41")
    assert (said.code, "'41' is nowhere" in said.out) == (1, True)
