"""Random and mutated inputs through the gateway's doors and the streams' decoders: none ends in anything unknown.

    make bench-fuzz            1,000,000 for each; ARGS="--target streams --inputs 10000 --seed 7" for others

Inputs are made from good bodies of every form (one event, array, lists, lines, zipped) by mutations of bytes and of
JSON values, and from random bytes; then as many as --guided says are grown by the code that they reach (atheris).

collector  /v1/events: events, named faults or a refusal; an event that passes on as it came reads as the event it was
feedback   /v1/feedback: one event, or a refusal that names what is wrong
otlp       OpenTelemetry's exports (benchmarks/fuzzing/exports.py): each span is taken, ignored or named, or the export
           is refused
streams    each event ends as a row or a dead letter with its original bytes

Anything else ends the run with the input that did it. Writes var/bench/fuzz.json.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from base64 import b64decode
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks import guided
from benchmarks.fuzzing import exports
from benchmarks.table import keep, machine, tell
from headrace.access.roles import Forbidden, Principal, Role
from headrace.client.packing import entry
from headrace.contract.elements import elements
from headrace.contract.events import Event, Feedback, Inference, new_feedback, new_inference
from headrace.errors import EventError
from headrace.warehouse.client import MemorySink
from serving.http.bodies import EVENTS
from serving.http.encodings import unpacked
from serving.http.refusal import Refusal
from serving.intake.batches import feedback_of, parse
from streams.decode import Raw
from streams.rules import Rules
from streams.store import Block
from streams.tables import TABLES

GUIDED = Path("var/bench/guided")
PACKED = [table for table in TABLES if table.packed]
DICTIONARY = [
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\n",
    b"\r\n",
    b"\x00",
    b"\xff",
    b"\xed\xa0\x80",
    b"\\ud800",
]
DICTIONARY += [b"\xed\xa0\x80", b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"null", b"true", b"[" * 300]
DICTIONARY += [b'{"inferences":', b'"feedback_id":', b'"extra":{']
VALUES: list[Any] = [None, True, -1, 0, 2**63, 2**64, 10**30, 1.5, float("nan"), float("inf"), [], {}, [[]]]
VALUES += ["", "x" * 300, "\ud800", "\x00", {"a": {"b": [None]}}, "2026-11-22", "1999-01-01T00:00:00Z"]
VALUES += ["ffffffff-ffff-7fff-bfff-ffffffffffff", "00000000-0000-0000-0000-000000000000"]


@cache
def seeds() -> list[list[dict[str, Any]]]:
    """Good events, in batches."""
    inference = new_inference(
        "router", "router@12", session_id="s-1", input="My VPN is down", label="it", scores={"it": 0.9, "hr": 0.1},
        latency_ms=20.5, tokens_in=100, cost=1e-4, trace_id="a" * 32, extra={"channel": "web"},
    )  # fmt: skip
    feedback = new_feedback(inference.inference_id, "user", "thumb", value=-1, comment="häßlich ☹")
    events = [json.loads(event.to_json()) for event in (inference, feedback)]
    return [events[:1], events[1:], events, events[::-1] * 2]


def changed(events: list[dict[str, Any]], rng: random.Random) -> list[Any]:
    """Fields set to odd values, dropped, renamed; whole events replaced."""
    fields = [*Inference.model_fields, *Feedback.model_fields, "unknown"]
    out: list[Any] = []
    for event in events:
        event = dict(event)
        for _ in range(rng.randrange(3)):
            name = rng.choice(fields)
            if rng.random() < 0.3:
                event.pop(name, None)
            else:
                event[name] = rng.choice(VALUES)
        out.append(event if rng.random() < 0.95 else rng.choice(VALUES))
    return out


def shaped(events: list[Any], rng: random.Random) -> bytes:
    """As one of the forms that a body may have."""
    form = rng.randrange(4)
    if form == 0:
        return b"\n".join(json.dumps(event).encode() for event in events)
    value: Any = {"inferences": events[:1], "feedback": events[1:]} if form == 1 else events if form == 2 else events[0]
    return json.dumps(value, ensure_ascii=rng.random() < 0.5).encode(errors="surrogatepass")


def mutated(body: bytes, rng: random.Random) -> bytes:
    """Bytes changed, removed, repeated, or taken from the dictionary."""
    out = bytearray(body)
    for _ in range(rng.randrange(4)):
        at = rng.randrange(len(out) + 1)
        match rng.randrange(5):
            case 0:
                out[at : at + 1] = bytes([rng.randrange(256)])
            case 1:
                del out[at : at + rng.randrange(8)]
            case 2:
                out[at:at] = rng.choice(DICTIONARY)
            case 3:
                out[at:at] = out[at : at + rng.randrange(64)]
            case _:
                del out[at:]
    return bytes(out)


def taken(body: bytes, rng: random.Random) -> str:
    """What the collector makes of a body. Raises whatever should not happen."""
    lines, tenant = rng.random() < 0.3, rng.choice(("default", "acme"))
    zipped = body.startswith(b"\x1f\x8b")
    try:
        parsed = parse(
            unpacked(body, "gzip" if zipped else "identity", EVENTS.unpacked), Principal(tenant, frozenset(Role)), lines
        )
    except Refusal as refusal:
        assert refusal.status in (400, 413) and refusal.response().body
        return f"refused {refusal.status}"
    for place, event in enumerate(parsed.events):
        given = parsed.given[place] if parsed.given else b""
        whole = event if isinstance(event, Event) else event.whole(given)
        assert (
            whole.given_id or type(whole).strict(whole.to_json()).event_id == event.event_id
        ) and event.tenant == whole.tenant == tenant
        emitter = rng.choice(("gateway-1", whole.emitter, 'g"\\\u2028'))
        made, anew = entry(event, emitter, given=given), entry(whole, emitter)
        assert type(whole).strict(made.body) == type(whole).strict(anew.body) and made.bucket == anew.bucket, made
    for wrong in parsed.wrong:
        assert json.dumps(wrong.fields()).encode()
    if parsed.events:
        return "taken in part" if parsed.wrong else "taken"
    return "every event named" if parsed.wrong else "empty"


def stored(value: bytes, rng: random.Random) -> str:
    """What the streams make of a record. Raises whatever should not happen."""
    table = rng.choice(PACKED)
    block, sink = Block(table, Rules()), MemorySink()
    block.add(Raw(table.topic.name, 1, 7, value))
    letters = block.store(sink)
    rows = len(sink.tables.get(table.name, ()))
    try:
        events = len([one for one in elements(value) if one.original.strip() != b"null" or b"[" in value])
    except EventError:
        events = 1
    assert rows + len(letters) == events, (rows, letters)
    for letter in letters:
        assert b64decode(letter.original) in value and letter.reason and letter.to_json()
    if not letters:
        return "rows" if rows else "an empty array"
    return "rows and dead letters" if rows else "dead letters"


def said(body: bytes, rng: random.Random) -> str:
    """What becomes of one piece of feedback. Raises whatever should not happen."""
    principal = Principal(rng.choice(("default", "acme")), frozenset(Role))
    try:
        feedback = feedback_of(body, principal)
    except Refusal as refusal:
        assert refusal.status in (400, 413) and refusal.response().body
        return f"refused {refusal.status}"
    except Forbidden:
        return "refused 403"
    assert Feedback.strict(feedback.to_json()).event_id == feedback.event_id and feedback.tenant == principal.tenant
    return "taken"


def body_for(target: str, number: int, rng: random.Random) -> bytes:
    """The input of that number."""
    if target == "otlp":
        return exports.made(rng)
    made = shaped(changed(rng.choice(seeds()), rng), rng)
    if target == "feedback" and rng.random() < 0.8:
        made = json.dumps(changed(seeds()[1], rng)[0]).encode(errors="surrogatepass")
    body = made if number % 10 else rng.randbytes(rng.randrange(200))
    if target == "collector" and number % 16 == 0:
        body = gzip.compress(body, 1)
    return mutated(body, rng) if rng.random() < 0.6 else body


TARGETS: dict[str, Callable[[bytes, random.Random], str]] = {
    "collector": taken,
    "feedback": said,
    "otlp": exports.outcome,
    "streams": stored,
}


def run(target: str, inputs: int, seed: int) -> Counter[str]:
    """Outcomes of so many inputs."""
    rng = random.Random(seed)
    found: Counter[str] = Counter()
    for number in range(inputs):
        body = body_for(target, number, rng)
        try:
            found[TARGETS[target](body, rng)] += 1
        except Exception as error:
            raise AssertionError(f"input {number} of seed {seed} for the {target}: {body!r}") from error
    return found


def main() -> None:
    """Run, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", choices=TARGETS, help="only this one (default: all)")
    parser.add_argument("--inputs", type=int, default=1_000_000, help="for each (default %(default)s)")
    parser.add_argument("--guided", type=int, default=250_000, help="after them, for each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.perf_counter()
    rows = []
    for target in [options.target] if options.target else TARGETS:
        found = {target: run(target, options.inputs, options.seed)}
        if options.guided:
            found[f"{target}, guided"] = guided.run(target, options.guided, options.seed, GUIDED)
        for case, outcomes in found.items():
            rows += [{"case": case, "outcome": name, "inputs": count} for name, count in outcomes.most_common()]
            rows.append({"case": case, "outcome": "anything else", "inputs": 0})
    conditions = machine() | {"inputs": options.inputs, "guided": options.guided, "seed": options.seed}
    conditions["seconds"] = round(time.perf_counter() - began)
    tell("fuzz", conditions, rows)
    print(keep("fuzz", conditions, rows))


if __name__ == "__main__":
    main()
