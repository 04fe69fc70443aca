"""What a client notices while others send slowly, too much or nothing: `make bench-uploads`.

One Kafka, one gateway (`python -m serving`), one process of bad senders and one client share the machine. The client
posts one small event after another, on one connection and every tenth time on a new one. Nobody has an API key, so the
client shares its bounds with the bad senders. A bad sender that is turned away comes again at once. Exit status 1 where
the client's p99 is above 100 ms, or a request of it fails.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gzip
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import repeat
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import httpx

from benchmarks.real_gateway import gateway
from benchmarks.table import keep, machine, tell
from headrace.contract.events import new_inference
from headrace.contract.topics import MIB

HOME = Path("var/bench/uploads-run")
MAX_MS = 100.0
WARM_S, MIN_UPLOADS = 1.0, 20
LARGE = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n" % (4 * MIB)
EMPTY = gzip.compress(b"")

Piece = tuple[bytes, float]


def trickle() -> Iterator[Piece]:
    """4 MiB that come a kilobyte at a time."""
    yield LARGE + b"\r\n", 0.2
    yield from repeat((b" " * 1024, 0.2))


def stall() -> Iterator[Piece]:
    """4 MiB but for the last byte."""
    yield LARGE + b"\r\n" + b" " * (4 * MIB - 1), 60.0


def drip() -> Iterator[Piece]:
    """A head that never ends."""
    yield b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nX: ", 0.1
    yield from repeat((b"y", 0.5))


def empties() -> Iterator[Piece]:
    """4 MiB of empty gzip files."""
    files = 4 * MIB // len(EMPTY)
    head = b"POST /v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n"
    yield head % (files * len(EMPTY)) + EMPTY * files, 60.0


CASES: Sequence[tuple[str, int, Callable[[], Iterator[Piece]], float]] = (
    ("nobody else", 0, trickle, 4.0),
    ("64 slow bodies", 64, trickle, 13.0),
    ("500 slow bodies", 500, trickle, 5.0),
    ("64 bodies that stall", 64, stall, 5.0),
    ("500 slow heads", 500, drip, 5.0),
    ("4 senders of empty gzip files", 4, empties, 5.0),
)
"""What others do, how many of them, what each sends, and for how many seconds the client is watched."""


async def _send(
    port: int, pieces: Callable[[], Iterator[Piece]], connected: asyncio.Semaphore, answers: Counter[str]
) -> None:
    """One bad sender, for good."""
    while True:
        with contextlib.suppress(OSError):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            connected.release()
            answer = asyncio.create_task(reader.read(4096))
            try:
                for piece, pause_s in pieces():
                    writer.write(piece)
                    await asyncio.wait({answer}, timeout=pause_s)
                    if answer.done():
                        break
                words = (await answer).split(b" ", 2)
                answers[words[1].decode() if len(words) > 1 else "closed"] += 1
            finally:
                answer.cancel()
                writer.close()
        await asyncio.sleep(0.01)


def bad_senders(port: int, case: int, stop: Event, told: Any) -> None:
    """The process of bad senders: `told` gets word when all are connected, and then what they were answered."""
    _, number, pieces, _ = CASES[case]
    answers: Counter[str] = Counter()

    async def run() -> None:
        connected = asyncio.Semaphore(0)
        senders = [asyncio.create_task(_send(port, pieces, connected, answers)) for _ in range(number)]
        for _ in senders:
            await connected.acquire()
        told.send({})
        await asyncio.to_thread(stop.wait)
        for sender in senders:
            sender.cancel()
        await asyncio.gather(*senders, return_exceptions=True)

    asyncio.run(run())
    told.send(dict(answers))


@contextmanager
def surrounded(port: int, case: int) -> Iterator[dict[str, int]]:
    """Bad senders for the length of a block; at its end the mapping holds what they were answered."""
    context = multiprocessing.get_context("spawn")
    stop, (ours, theirs) = context.Event(), context.Pipe()
    process = context.Process(target=bad_senders, args=(port, case, stop, theirs), daemon=True)
    process.start()
    answers: dict[str, int] = {}
    try:
        if ours.poll(60):
            ours.recv()
        yield answers
    finally:
        stop.set()
        answers |= ours.recv() if ours.poll(20) else {"lost": 1}
        process.join(10)


async def watched(url: str, seconds: float) -> tuple[list[float], list[float], int]:
    """Milliseconds of the client's requests, on its connection and on new ones, and how many failed."""
    old: list[float] = []
    new: list[float] = []
    failed = 0
    deadline = time.monotonic() + seconds
    async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as client:
        async for fresh in _turns(deadline):
            body = new_inference("router", "router@0", input="where is my payslip", label="hr").to_json()
            began = time.perf_counter()
            if fresh:
                async with httpx.AsyncClient(base_url=url, timeout=30, trust_env=False) as other:
                    began = time.perf_counter()
                    status = (await other.post("/v1/events", content=body)).status_code
            else:
                status = (await client.post("/v1/events", content=body)).status_code
            (new if fresh else old).append((time.perf_counter() - began) * 1000)
            failed += status != 202
    return old, new, failed


async def _turns(deadline: float) -> AsyncIterator[bool]:
    number = 0
    while time.monotonic() < deadline or number < MIN_UPLOADS:
        number += 1
        yield number % 10 == 0
        await asyncio.sleep(0.005)


def measure(url: str, process: subprocess.Popen[bytes], case: int) -> dict[str, Any]:
    """One row."""
    name, _, _, seconds = CASES[case]
    with surrounded(int(url.rpartition(":")[2]), case) as answers:
        asyncio.run(watched(url, WARM_S))
        old, new, failed = asyncio.run(watched(url, seconds))
        lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return {
        "others": name,
        "requests": len(old) + len(new),
        "failed": failed,
        "p50_ms": _quantile(old, 0.5),
        "p99_ms": _quantile(old, 0.99),
        "most_ms": max(old),
        "new_p99_ms": _quantile(new, 0.99),
        "rss_mb": next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) // 1024,
        "others_got": ", ".join(f"{count} {status}" for status, count in sorted(answers.items())),
    }


def _quantile(values: Sequence[float], share: float) -> float:
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-uploads", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(argv)
    home = HOME.absolute()
    shutil.rmtree(home, ignore_errors=True)
    with gateway(home) as started:
        (process,) = started.processes
        rows = [measure(started.url, process, case) for case in range(len(CASES))]
    conditions = machine() | {"load_1min": os.getloadavg()[0]}
    tell("uploads", conditions, rows)
    print(keep("uploads", conditions, rows))
    return int(any(row["failed"] or max(row["p99_ms"], row["new_p99_ms"]) > MAX_MS for row in rows))


if __name__ == "__main__":
    sys.exit(main())
