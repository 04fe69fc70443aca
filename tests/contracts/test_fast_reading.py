"""The fast reading of events: whatever it takes, a model takes in strict mode as the same event."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from odd_events import feedback, inferences

from headrace.contract import fast_reading, ids
from headrace.contract.events import Event, Feedback, Inference
from headrace.contract.reading import exactly
from headrace.errors import EventError

EVENT = (
    '{{"inference_id":"' + str(ids.uuid7()) + '","occurred_at":"{time}","task":"router","version":"router@0",'
    '"latency_ms":12.1234567,"scores":{{"it":0.12345678}}}}'
)


@pytest.mark.parametrize(("model", "values"), [(Inference, inferences), (Feedback, feedback)])
def test_what_is_read_fast_a_model_reads_as_the_same(model: type[Event], values: st.SearchStrategy[str]) -> None:
    """Whatever the fast reading takes, the model takes in strict mode with the same values, one or many at once."""
    taken = 0

    @settings(max_examples=1500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(values, st.booleans())
    def compared(text: str, array: bool) -> None:
        nonlocal taken
        body = f"[{text}]".encode() if array else text.encode()
        found = fast_reading.read(model, body, array)
        if found is None:
            return
        taken += 1
        (fast,) = found
        slow = model.model_validate_json(text, strict=True)
        assert fast.said_emitter == slow.said_emitter
        for name in ("tenant", "key_id"):
            assert (getattr(fast, name) is UNSET) is (name not in slow.model_fields_set)
            assert getattr(fast, name) in (UNSET, getattr(slow, name))
        assert (fast.event_id, fast.owned(slow.tenant, slow.key_id).thread) == (slow.event_id, slow.thread)
        assert (fast.extra.emitter if fast.extra else None) == slow.extra.get("emitter")
        for name in model.model_fields.keys() - {"tenant", "emitter", "extra", "occurred_at"}:
            assert getattr(fast, name) == getattr(slow, name), name
        assert fast.occurred_at == slow.occurred_at or fast_reading.rounded(body)  # type: ignore[attr-defined]

    compared()
    assert taken > 100


@pytest.mark.parametrize(
    ("time", "rounded"),
    [
        ("2026-11-22T11:59:59.9999999Z", True),
        ("2026-11-22T11:59:59\\u002e9999999Z", True),
        ("2026-11-22T11:59\\u003a59.99999\\u00399\\u0039Z", True),
        ("2026-11-22 11:59:59.123456789123+05:30", True),
        ("2026-11-22T11:59:59.999999Z", False),
        ("2026-11-22T11:59:59Z", False),
    ],
)
def test_a_time_finer_than_a_microsecond_is_found(time: str, rounded: bool) -> None:
    """However it is written; numbers with as many digits are no times."""
    body = EVENT.format(time=time).encode()
    assert fast_reading.rounded(body) is rounded
    assert fast_reading.read(Inference, body, array=False)


@pytest.mark.parametrize("time", ["1999-12-31T23:59:59.9999996Z", "2000-01-01T00:59:59.9999996+01:00"])
def test_no_time_is_rounded_into_the_years_that_are_taken(time: str) -> None:
    """What the model refuses is not read fast."""
    body = EVENT.format(time=time).encode()
    assert fast_reading.read(Inference, body, array=False) is exactly(Inference, body, array=False) is None


def test_what_is_made_of_fields_is_the_models_event() -> None:
    """Its JSON is one that the model reads as the same event."""
    taken = 0

    @settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
    @given(inferences)
    def compared(text: str) -> None:
        nonlocal taken
        try:
            slow = Inference.strict(text)
            json.dumps(slow.extra, allow_nan=False)
        except (EventError, ValueError):
            return
        taken += 1
        event = fast_reading.made(Inference, {name: getattr(slow, name) for name in slow.model_fields_set})
        assert Inference.strict(fast_reading.body(event)) == slow
        assert (event.event_id, event.said_emitter) == (slow.event_id, slow.said_emitter)

    compared()
    assert taken > 50


def test_a_made_event_says_what_it_was_given_alone() -> None:
    """What is as by default is left out of its JSON."""
    fields = {"inference_id": ids.uuid7(), "occurred_at": datetime.now(UTC), "task": "router", "version": "router@0"}
    assert json.loads(fast_reading.body(fast_reading.made(Inference, fields))).keys() == fields.keys()
    more = fields | {"extra": {"consent": "explicit"}, "consent": False, "tokens_in": 3}
    assert json.loads(fast_reading.body(fast_reading.made(Inference, more))).keys() == more.keys()
