"""What is read of an answer beside its client, in whatever form servers write it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from serving.proxy import watch
from serving.proxy.watch import Watch

USAGE = {"prompt_tokens": 3, "completion_tokens": 4}


def piece(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


def said(text: str) -> bytes:
    return piece(choices=[{"index": 0, "delta": {"content": text}, "finish_reason": None}])


STOP = piece(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}]) + b"data: [DONE]\n\n"
BOM = b"\xef\xbb\xbf"


def told(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def called(index: int | None, call: str, name: str, arguments: Any) -> bytes:
    one = {"id": call, "index": index, "function": {"name": name, "arguments": arguments}}
    calls = [{key: value for key, value in one.items() if value is not None}]
    return piece(choices=[{"index": 0, "delta": {"tool_calls": calls}}])


def chunk(**fields: Any) -> bytes:
    return piece(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}], **fields)


CALLED = [{"name": "f", "arguments": '{"x": 1}'}, {"name": "g", "arguments": "{}"}]
PATCH = [{"name": "patch", "arguments": "*** Begin"}]
CUSTOM = {"id": "c", "type": "custom", "custom": {"name": "patch", "input": "*** Begin"}}
SPEECH = {"data": "x", "transcript": "ab"}
ENDED = piece(type="response.completed", response={"status": "completed", "output": []})
DONE_CALL = {"type": "custom_tool_call", "name": "patch", "input": "*** Begin"}


@pytest.mark.parametrize(
    ("body", "output"),
    [
        (BOM + said("a") + said("b") + STOP, "ab"),
        (BOM + told(choices=[{"message": {"content": "ab"}}]), "ab"),
        ((said("a") + said("b") + STOP).replace(b"\n", b"\r"), "ab"),
        (piece(type="response.output_text.delta", delta="ab") + ENDED, "ab"),
        (piece(type="response.output_item.done", item=DONE_CALL) + ENDED, PATCH),
        (told(output=[DONE_CALL]), PATCH),
        (told(choices=[{"message": {"content": None, "tool_calls": [CUSTOM]}}]), PATCH),
        (told(choices=[{"message": {"content": None, "audio": SPEECH}}]), "ab"),
        (called(0, "1", "f", '{"x": 1}') + called(0, "2", "g", "{}") + STOP, CALLED),
        (called(None, "1", "f", {"x": 1}) + called(None, "2", "g", "{}") + STOP, CALLED),
        (called(0, "1", "f", '{"x"') + called(0, "2", "", ": 1}") + called(1, "3", "g", "{}") + STOP, CALLED),
    ],
)
def test_an_answer_as_some_servers_write_it_is_read(body: bytes, output: Any) -> None:
    """Marks before it, other ends of lines, calls that share an index, custom tools, speech, an end without output."""
    read = Watch()
    read.feed(body)
    read.end()
    assert read.whole and not read.failed
    assert (json.loads(read.output) if isinstance(output, list) else read.output) == output


@pytest.mark.parametrize(
    "last",
    [
        piece(choices=[], usage=USAGE),
        chunk(usage={"prompt_tokens": 0, "completion_tokens": 4}),
        chunk(usage={}),
        chunk(x_groq={"usage": USAGE}),
        piece(choices=[{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]),
    ],
)
def test_tokens_are_counted_wherever_they_stand(last: bytes) -> None:
    """In a chunk of their own, in the choice, in a field of the server's; what a later chunk leaves out stays."""
    first = {} if b"x_groq" in last else {"prompt_tokens": 3, "completion_tokens": 4}
    read = Watch()
    read.streamed = True
    read.feed(piece(choices=[{"index": 0, "delta": {"content": "a"}}], usage=first) + last + b"data: [DONE]\n\n")
    assert (read.tokens_in, read.tokens_out, read.whole) == (3, 4, True)


def test_an_event_of_several_lines_is_read() -> None:
    """However the bytes are cut, and by whatever ends of lines (HTML, 9.2.6)."""
    for end in (b"\n", b"\r\n", b"\r"):
        text = said("a") + said("bc").replace(b', "', b',\ndata: "') + b"data:[DONE]\n\n"
        stream = b": hello\n\n" + text
        for size in (1, 7, 1000):
            read, sent = Watch(), stream.replace(b"\n", end)
            read.streamed = True
            for at in range(0, len(sent), size):
                read.feed(sent[at : at + size])
            read.end()
            assert (read.output, read.whole) == ("abc", True)


async def test_the_first_piece_of_a_call_is_the_first_token() -> None:
    """Of responses, whose calls come in pieces as texts do."""
    for kind in ("response.function_call_arguments.delta", "response.custom_tool_call_input.delta"):
        read = Watch()
        read.streamed = True
        read.feed(piece(type="response.created", response={"id": "r"}))
        assert read.first_token_ms is None
        read.feed(piece(type=kind, delta="{"))
        await asyncio.sleep(0.01)
        done = {"id": "r", "output": [{"type": "function_call", "name": "f", "arguments": "{}"}]}
        read.feed(piece(type="response.completed", response=done))
        assert read.first_token_ms is not None and read.first_token_ms < read.latency_ms - 5
        assert read.output == '[{"name": "f", "arguments": "{}"}]'


def test_a_long_answers_tokens_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Vectors are more than is kept, and tokens are money; a stream's end is seen however long it is."""
    monkeypatch.setattr(watch, "MAX_BYTES", 100_000)
    for usage in (
        b'"usage": {"prompt_tokens": 7, "total_tokens": 7}, "model": "m"}',
        b'"usage": {"prompt_tokens": 7}}',
    ):
        read = Watch()
        read.feed(b'{"data": [')
        for _ in range(2000):
            read.feed(b"0.125," * 20)
        read.feed(b"0], " + usage[:20])
        read.feed(usage[20:])
        read.end()
        assert (read.tokens_in, read.whole) == (7, True)
    read = Watch()
    read.streamed = True
    for _ in range(2000):
        read.feed(said("x" * 100))
    read.feed(piece(choices=[], usage=USAGE) + b"data: [DONE]\n\n")
    assert read.whole and read.tokens_out == 4 and len(read.output) <= 100_000


ODD: list[Any] = [None, True, -1, 1.5, 10**30, "", "\ud83d", [], {}, [None], {"a": 1}, ["x"], {"type": ["x"]}]


def test_no_answer_breaks_its_reader() -> None:
    """Whatever stands where something else is meant: the client gets the answer, and what can be read is."""
    chosen = random.Random(1)
    message = {"content": [{"type": "text", "text": "x"}], "audio": {"transcript": "z"}, "tool_calls": [CUSTOM]}
    choice = {"index": 0, "delta": message, "finish_reason": "stop", "usage": USAGE, "error": None, "text": "t"}
    output = [DONE_CALL, {"type": "message", "content": []}]
    response = {"id": "r", "status": "completed", "output": output, "usage": USAGE}
    seeds: list[Any] = [
        {"id": "i", "model": "m", "choices": [choice], "usage": USAGE, "x_groq": {"usage": USAGE}, "data": []},
        {"type": "response.completed", "response": response},
        {"type": "response.output_item.done", "item": DONE_CALL},
        response,
    ]
    for _ in range(2000):
        answer = json.loads(json.dumps(chosen.choice(seeds)))
        for _ in range(chosen.randint(1, 3)):
            holder, key = chosen.choice(list(places(answer)))
            holder[key] = json.loads(json.dumps(chosen.choice(ODD)))
        for streamed in (False, True):
            read = Watch()
            read.feed(piece(**answer) if streamed else told(**answer))
            read.end()
            assert isinstance(read.output, str) and 0 <= read.tokens_in < 2**31


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Of a JSON value: each of its containers with each of its keys."""
    for key, inner in list(value.items()) if isinstance(value, dict) else list(enumerate(value)):
        yield value, key
        if isinstance(inner, dict | list):
            yield from places(inner)


@pytest.mark.parametrize("beside", [b'"score":1e999', b'"note":"\xff"'])
@pytest.mark.parametrize("pad", [0, 16 * 1024])
def test_what_nobody_reads_of_an_answer_spoils_none(beside: bytes, pad: int) -> None:
    """A number that no float holds, or other bytes than UTF-8, in a field that is not read; however long it is."""
    seen = Watch()
    seen.feed(b'{"choices":[{"message":{"content":"Restart"}}],%b}' % beside + b" " * pad)
    seen.end()
    assert seen.whole and seen.output == "Restart"
