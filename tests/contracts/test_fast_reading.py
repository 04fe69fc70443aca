"""The fast reading of events: whatever it takes, a model takes in strict mode as the same event."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET
from odd_events import feedback, inferences

from headrace.contract import fast_reading
from headrace.contract.events import Event, Feedback, Inference


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
        # Of a time with more than six digits one rounds what the other cuts off.
        assert abs(fast.occurred_at - slow.occurred_at) <= timedelta(microseconds=1)  # type: ignore[attr-defined]

    compared()
    assert taken > 100
