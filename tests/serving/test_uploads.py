"""Bodies: read for a known key alone, bounded by key, and slow ones starve nobody."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import bare_gateway
import pytest
from bare_gateway import Bare
from fastapi.routing import APIRoute
from slowness import slowness
from stage import gateway, plan_text

from headrace.access.roles import Role
from headrace.contract.events import new_inference
from serving.http.bodies import EVENTS
from serving.http.capacity import KIB, MIB
from serving.http.encodings import MAX_MEMBERS, unpacked
from serving.http.refusal import Refusal

EVENT = new_inference("router", "router@9", input="a", label="it").to_json()
SMALL = f"Content-Length: {len(EVENT)}"
LARGE = f"Content-Length: {EVENTS.sent}"


@pytest.fixture(scope="module")
async def bare(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bare]:
    """A gateway whose room is 12 MiB, four requests a key, and whose patience is short."""
    home = tmp_path_factory.mktemp("bare")
    async with bare_gateway.running(home, size=12 * MIB, requests=4, grace_s=1.0, bytes_per_s=MIB) as running:
        yield running


async def test_no_route_reads_a_body_before_it_knows_the_key(tmp_path: Path) -> None:
    """Every route that takes a body answers 401 to an endless one of an unknown sender without touching it."""
    async with gateway(plan_text(), tmp_path) as stage:
        stage.key("acme", Role.INGEST)
        routes = [
            (method, route.path)
            for route in stage.service.app.api.routes
            if isinstance(route, APIRoute)
            for method in sorted(route.methods - {"GET", "HEAD"})
        ]
        assert len(routes) >= 7
        for method, path in [*routes, ("POST", "/v1/nothing")]:
            read = 0

            async def endless() -> AsyncIterator[bytes]:
                nonlocal read
                while True:
                    read += 1
                    yield b"x" * 65536

            for headers in ({}, {"authorization": "Bearer k9"}, {"content-encoding": "gzip"}):
                answer = await stage.client.request(method, path, content=endless(), headers=headers)
                assert (answer.status_code, read) == (404 if path == "/v1/nothing" else 401, 0), path


async def test_an_unknown_sender_gets_its_answer_while_it_sends(bare: Bare) -> None:
    """On the real server, too, 401 comes at once and the connection ends, however much was still to come."""
    for path in ("/v1/events", "/v1/metrics", "/v1/route"):
        connection = await bare.open("Transfer-Encoding: chunked", path=path)
        reply = await connection.reply()
        assert (reply.status, reply.seconds < 1) == (401, True)
        assert await connection.reader.read() == b""
    # A sender that never looks up from writing is cut off, and finds the answer when it does.
    head = b"POST /v1/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    endless = itertools.chain([head], itertools.repeat(b"10000\r\n" + b"x" * 65536 + b"\r\n"))
    assert (await bare.push(endless)).startswith(b"HTTP/1.1 401 ")


async def test_one_keys_bodies_leave_room_for_others(bare: Bare) -> None:
    """A key that fills its share gets 503 for more; its small requests and another key's large ones pass."""
    both = [await bare.open(bare.acme, LARGE) for _ in range(2)]
    for connection in both:
        await connection.send(b" " * (EVENTS.sent - MIB))
    replies = {asyncio.create_task(connection.reply()): connection for connection in both}
    done, (waiting,) = await asyncio.wait(replies, return_when=asyncio.FIRST_COMPLETED)
    refused, held = done.pop().result(), replies[waiting]
    assert refused.status == 503 and b"its share of what the gateway can hold" in refused.body
    assert "retry-after: 1" in refused.head
    assert (await bare.ask(bare.acme, SMALL, body=EVENT)).status == 202
    length = f"Content-Length: {2 * MIB}"
    assert (await bare.ask(bare.globex, length, body=b" " * (2 * MIB - 2) + b"[]")).status == 202
    await held.send(b" " * (MIB - 2) + b"[]")
    assert (await waiting).status == 202
    assert (await bare.ask(bare.acme, LARGE, body=b" " * (EVENTS.sent - 2) + b"[]")).status == 202


async def test_what_a_body_unzips_to_counts_too(bare: Bare) -> None:
    """A few kilobytes of gzip that hold more than the key's share are refused like a body of that size."""
    bomb = gzip.compress(b" " * (5 * MIB))
    zipped = "Content-Encoding: gzip", f"Content-Length: {len(bomb)}"
    assert len(bomb) < 64 * KIB
    assert (await bare.ask(bare.acme, *zipped, body=bomb)).status == 503
    fits = gzip.compress(b" " * (3 * MIB) + b"[]")
    assert (await bare.ask(bare.acme, zipped[0], f"Content-Length: {len(fits)}", body=fits)).status == 202


async def test_a_key_has_only_so_many_requests_in_progress(bare: Bare) -> None:
    """The next one gets 429 in OpenAI's shape and may come again; another key is not touched."""
    held = [await bare.open(bare.acme, SMALL) for _ in range(4)]
    for path in ("/v1/events", "/v1/route", "/v1/chat/completions"):
        reply = await bare.ask(bare.acme, SMALL, body=EVENT, path=path)
        error = json.loads(reply.body)["error"]
        assert (reply.status, error["type"]) == (429, "rate_limit_error") and "retry-after: 1" in reply.head
        assert error["message"].startswith("this key has 4 requests in progress")
    assert (await bare.ask(bare.globex, SMALL, body=EVENT)).status == 202
    for connection in held:
        await connection.send(EVENT)
        assert (await connection.reply()).status == 202
    assert (await bare.ask(bare.acme, SMALL, body=EVENT)).status == 202


async def test_a_body_that_comes_too_slowly_is_given_up(bare: Bare) -> None:
    """408 and the end of the connection, chunked or not; one that keeps the pace may take longer than the grace."""
    for framing, first in ((LARGE, b"["), ("Transfer-Encoding: chunked", b"1\r\n[\r\n"), (SMALL, b"")):
        connection = await bare.open(bare.acme, framing)
        await connection.send(first)
        reply = await connection.reply()
        assert reply.status == 408 and b"send at least 1024 KiB/s" in reply.body
        assert 0.5 < reply.seconds < 5 and await connection.reader.read() == b""
    steady = await bare.open(bare.acme, LARGE)
    began = time.monotonic()
    for number in range(16):
        await steady.send(b" " * (EVENTS.sent // 16 - 2 * (number == 15)))
        await asyncio.sleep(0.1)  # the pace of the sender
    await steady.send(b"[]")
    assert (await steady.reply()).status == 202 and time.monotonic() - began > 1.5


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        (["Content-Length: 2", "Content-Length: 3"], b"[]", 400),
        (["Content-Length: -1"], b"[]", 400),
        (["Content-Length: 2", "X: " + "y" * 500_000], b"[]", 431),
        (["Content-Length: 2", *(f"X-{number}: y" for number in range(150))], b"[]", 431),
        ([f"Content-Length: {EVENTS.sent + 1}"], b"[", 413),
        (["Content-Length: 2", "Transfer-Encoding: chunked"], b"2\r\n[]\r\n0\r\n\r\n", 202),
        (["Transfer-Encoding: chunked"], b"zz\r\n[]\r\n0\r\n\r\n", 400),
    ],
    ids=["two-lengths", "negative", "long", "many", "too-large", "length-and-chunks", "no-chunk"],
)
async def test_odd_requests_are_refused(bare: Bare, headers: list[str], body: bytes, status: int) -> None:
    """Each gets its own 4xx; of a length beside chunks the chunks count, as RFC 9112 (6.3) says."""
    head = "\r\n".join(("POST /v1/events HTTP/1.1", "Host: x", bare.acme, *headers, "", ""))
    assert (await bare.push([head.encode(), body])).startswith(b"HTTP/1.1 %d " % status)


async def test_a_body_in_crumbs_is_given_up(bare: Bare) -> None:
    """A body of ten thousand pieces is refused for their number, or on a busy machine for the time that they take."""
    head = f"POST /v1/events HTTP/1.1\r\nHost: x\r\n{bare.acme}\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = await bare.push([head.encode(), b"1\r\n \r\n" * 10_000])
    assert answer.split()[1] in (b"400", b"408"), answer


async def test_the_head_of_a_request_is_bounded(bare: Bare) -> None:
    """A head without end is refused before it takes memory, and so is a path without end."""
    before = bare.resident_mb()
    for start in (b"POST /v1/events HTTP/1.1\r\nX: ", b"POST /v1/"):
        answer = await bare.push(itertools.chain([start], itertools.repeat(b"y" * 16_384)))
        assert answer.startswith(b"HTTP/1.1 431 ")
    assert bare.resident_mb() < before + 32


async def test_slow_uploads_delay_nobody(tmp_path: Path) -> None:
    """While 64 bodies of two keys trickle in, a third sender's small events are stored as fast as ever."""
    async with bare_gateway.running(tmp_path) as bare:
        slow = [await bare.open(key, LARGE) for key in (bare.acme, bare.globex) for _ in range(32)]

        async def trickle() -> None:
            while True:
                for connection in slow:
                    await connection.send(b" " * KIB)
                await asyncio.sleep(0.05)  # the pace of the senders

        trickling = asyncio.create_task(trickle())

        async def p99() -> float:
            seconds = []
            for _ in range(100):
                began = time.perf_counter()
                assert (await bare.ask(bare.globex, SMALL, body=EVENT)).status == 202
                seconds.append(time.perf_counter() - began)
            return sorted(seconds)[98]

        # More than one look, because the machine may be busy with something else at one of them.
        looks = [await p99()]
        while looks[-1] > 0.1 and len(looks) < 5:
            looks.append(await p99())
        trickling.cancel()
        for connection in slow:
            connection.close()
    assert looks[-1] < 0.1, looks


def test_unzipping_is_linear_in_the_body() -> None:
    """4 MiB of empty gzip files are refused within a tenth of a second; as many files as may be are one body."""
    empty = gzip.compress(b"")
    body = empty * (EVENTS.sent // len(empty))
    began = time.process_time()
    with pytest.raises(Refusal, match="more than 1024 gzip files") as refused:
        unpacked(body, "gzip", EVENTS.unpacked)
    assert time.process_time() - began < 0.1 * slowness()
    assert refused.value.status == 413
    assert unpacked(gzip.compress(b"a" * 100_000) * MAX_MEMBERS, "gzip", 102_400_000) == b"a" * 102_400_000
    with pytest.raises(Refusal, match="cut off"):
        unpacked(empty * (MAX_MEMBERS - 1) + empty[:-1], "gzip", EVENTS.unpacked)
    with pytest.raises(Refusal, match="larger than 1999 bytes"):
        unpacked(gzip.compress(b"a" * 100) * 20, "gzip", 1999)
    assert unpacked(gzip.compress(b"a" * 100) * 20, "gzip", 2000) == b"a" * 2000


def test_zeros_behind_a_gzip_file_are_padding() -> None:
    """As tapes and fixed blocks leave them (gzip itself ignores them), also 4 MiB of them and between two files."""
    one = gzip.compress(b"a")
    for zeros in (bytes(1), bytes(513), bytes(EVENTS.sent)):
        assert unpacked(one + zeros, "gzip", EVENTS.unpacked) == b"a"
        assert unpacked(one + zeros + one, "gzip", EVENTS.unpacked) == b"aa"
    assert unpacked(one * MAX_MEMBERS + bytes(7), "gzip", EVENTS.unpacked) == b"a" * MAX_MEMBERS
    for bad in (b"\x00", one + b"\x00x", b"\x00" + one):
        with pytest.raises(Refusal, match=r"not gzip|cut off"):
            unpacked(bad, "gzip", EVENTS.unpacked)
