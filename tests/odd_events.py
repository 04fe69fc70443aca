"""Events as JSON text for hypothesis: mostly right, in every form that pydantic may take, at times in a wrong one."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st

from headrace.contract.events import Blame, Signal, Source
from headrace.contract.ids import uuid7


class Raws(str):
    """JSON text that stands in an event as it is."""

    __slots__ = ()


def written(value: Any) -> str:
    """JSON of a value, in which Raws stand as they are."""
    if isinstance(value, Raws):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(name)}:{written(inner)}" for name, inner in value.items()) + "}"
    return json.dumps(value)


def raws(*texts: str) -> st.SearchStrategy[Raws]:
    return st.sampled_from([Raws(text) for text in texts])


texts = st.text(max_size=8) | st.sampled_from(
    ["", "x" * 201, "y" * 65_537, "é\u2028", '"\\', "\x00", "\U0001f600", "{}", "null", "undefined"]
)
escaped = texts.map(lambda text: Raws(json.dumps(text, ensure_ascii=False))) | raws(
    '"\\ud83d\\ude00"', '"\\u0061\\/\\b\\f"', '"\\ud800"', '"a\tb"'
)
strings = texts | escaped
ids = st.builds(lambda: str(uuid7())) | st.sampled_from(
    [
        str(uuid7()).upper(),
        uuid7().hex,
        f"{{{uuid7()}}}",
        f"urn:uuid:{uuid7()}",
        str(uuid4()),
        f"{str(uuid7())[:-1]}g",
        "",
    ]
)
times = st.datetimes(datetime(1999, 12, 31), datetime(2100, 1, 2)).flatmap(
    lambda at: st.sampled_from(
        [
            at.isoformat() + zone
            for zone in ("Z", "+00:00", "-00:00", "+05:30", "-11:45", "+14:00", "", "z", "+0200", "+23:59", " Z")
        ]
        + [at.isoformat(" ") + "Z", at.date().isoformat(), at.isoformat(timespec="minutes") + "Z"]
        + [at.isoformat(timespec=spec) + "Z" for spec in ("seconds", "milliseconds", "microseconds")]
        + [at.isoformat(timespec="seconds") + digits + "Z" for digits in (".1", ".1234567", ".999999999", ",5")]
    )
) | raws("1767225600", '"1767225600"', "1767225600.5", '"2026-02-29T00:00:00Z"', '"2016-12-31T23:59:60Z"',
         "1767225600123456789", "[2026, 3, 2, 12, 0]", '{"seconds": 1767225600, "nanos": 5}',
         '"/Date(1767225600000)/"',
         '"2026-03-02 12:00:00+00"', '"Mon, 02 Mar 2026 12:00:00 GMT"', "null", "true",
         '"0001-01-01T00:00:00Z"')  # fmt: skip
numbers = (
    st.floats(0, 1)
    | st.floats(0, allow_nan=False, allow_infinity=False)
    | st.integers(0, 2**33)
    | raws(
        "1e3",
        "1E-5",
        "0.1e1",
        "-0",
        "-0.0",
        "1.0",
        "5.5",
        "1e400",
        "1e-400",
        "NaN",
        "true",
        '"5"',
        "0.30000000000000004",
    )
    | raws("123456789012345678901234567890", "0.1000000000000000055511151231257827021181583404541015625", "16777217.0")
)
booleans = st.booleans() | raws("1", "0", '"true"', '"yes"', "null", "1.0")
extras = st.dictionaries(texts, st.none() | st.booleans() | st.integers() | texts, max_size=2) | raws(
    "{ }", '{"a" : 1}', '{"a":1,"a":2}', '{"a":1e2}', '{"a":"\\u0061"}', "null", "[]", '"{}"', '{"a":{"b":[1, 2]}}'
)
scores = st.dictionaries(texts, st.floats(0, 1), max_size=3) | raws(
    '{"a":NaN,"b":0.5}',
    '{"a":1.0000001,"b":-1e-9}',
    '{"a":null}',
    '[{"label":"a","score":0.5}]',
    '"{}"',
    '{"":0.5}',
    '{"a":0.1,"a":0.2}',
    '{"a":1,"\\u0061":0.5}',
    '{"a":"0.5"}',
    '{ "a" : 1e-3 , "b" : 0 }',
    "{ }",
    "null",
    "[]",
)
small = st.integers(0, 1000) | numbers


def objects(required: dict[str, st.SearchStrategy[Any]], optional: dict[str, st.SearchStrategy[Any]]) -> Any:
    """Events as JSON text: mostly right, in every form that pydantic may take, now and then with a field twice."""

    def build(base: dict[str, Any], odd: dict[str, Any], twice: Any) -> str:
        text = written({**base, **odd})
        return text if twice is None else text[:-1] + f",{json.dumps(twice[0])}:{written(twice[1])}}}"

    right = {name: values for name, values in required.items() if name not in ("occurred_at",)}
    plain = st.fixed_dictionaries(
        {name: _plain(name, values) for name, values in right.items()}
        | {"occurred_at": st.just("2026-03-02T08:00:00Z")}
    )
    every = required | optional
    odd = st.lists(st.sampled_from(sorted(every)), max_size=2, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: every[name] for name in names})
    )
    twice = (
        st.none()
        | st.none()
        | st.sampled_from(sorted(every)).flatmap(lambda name: st.tuples(st.just(name), every[name]))
    )
    return st.builds(build, plain, odd, twice)


def _plain(name: str, values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    if name.endswith("_id"):
        return st.builds(lambda: str(uuid7()))
    return {"source": st.sampled_from(list(Source)), "signal": st.sampled_from(list(Signal))}.get(
        name, st.just("router")
    )


common = {
    "tenant": strings, "emitter": strings, "revision": small, "schema_version": small, "extra": extras, "task": strings,
    "session_id": strings, "trace_id": strings, "span_id": strings, "response_id": strings, "label": strings,
    "new_field": small,
}  # fmt: skip
inferences = objects(
    {"inference_id": ids, "occurred_at": times, "task": strings, "version": strings},
    common
    | {
        "arm": st.sampled_from(["live", "canary", "shadow", "dead"]) | raws("null", '"l\\u0069ve"'),
        "user_ref": strings, "input": strings, "output": strings, "scores": scores, "first_token_ms": numbers,
        "latency_ms": numbers, "tokens_in": small, "tokens_out": small, "cost": numbers, "consent": booleans,
        "parent_id": ids | st.none(), "audited": booleans, "audit_probability": numbers,
    },
)  # fmt: skip
feedback = objects(
    {"feedback_id": ids, "inference_id": ids, "occurred_at": times, "source": st.sampled_from(["user", "nobody"]),
     "signal": st.sampled_from(["thumb", "rating", "resolution", "comment", "RATING", "none"])},
    common
    | {
        "value": numbers | st.none() | st.sampled_from([-1, 0, 1, 4, 9, "up", False, "9/10"]), "best": small,
        "comment": strings, "blame": st.sampled_from(list(Blame)) | st.none() | strings,
        "rater": strings, "rater_version": strings, "inclusion_probability": numbers,
    },
)  # fmt: skip
