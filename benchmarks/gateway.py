"""`make bench-gateway`: what a gateway costs between an agent and its upstream, straight, bare, headrace and a peer.

make bench-gateway                                       some five minutes, without the peer
make bench-gateway ARGS="--peer litellm --seconds 4"     LiteLLM's proxy too, which is installed below var/

One client, one gateway and one upstream (simulation/instant.py, which answers at once) share the machine; headrace has
Kafka beside it, checks an API key, and every answer is an event there. The client and the upstream are made to cost
next to nothing.
bare is the plainest ASGI app that passes requests on, behind the same server, with aiohttp as anyone would use it.

NAME-max      CONNECTIONS connections, each asks again as soon as it is answered
headrace-2-max        the same of two gateways that share an address (HEADRACE_GATEWAY_PROCESSES=2)
NAME-RATE     so many requests a second, whether they are answered or not
NAME-stream   STREAMS streamed answers a second
headrace-label-max    the same as max, asked of a task, whose incumbent the upstream is: a label
requests_per_s        that were answered; added_: to what straight takes at the same rate, milliseconds
first_added_p50_ms    likewise, until the first byte of the answer's body
cpu_us        processor time of the gateway's processes a request, microseconds; rss_mib: their memory then
events_missing        answers of which Kafka has no event

Exits with 1 where a goal is missed (at --seconds of 6 or more). var/bench/gateway.json has the same rows.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import shutil
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import uvloop

from benchmarks.passing import peers
from benchmarks.passing.wire import KEY, Client, Taken
from benchmarks.real_gateway import Gateways, gateway
from benchmarks.router_path import kept
from benchmarks.table import keep, machine, tell
from benchmarks.waiting import calm, process_cpu_s, resident_mib
from headrace.access import keys
from headrace.access.roles import DEFAULT_TENANT, Role
from simulation.instant import MODEL

HOME = Path("var/bench/gateway-run")
RATES = (100, 300, 600, 1200)
CONNECTIONS, STREAMS, SECONDS = 16, 50, 8.0
QUESTION = "My VPN has been down since this morning, and the portal says that the certificate has expired. What now?"
ASKED: dict[str, Any] = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}], "temperature": 0.2}
PLAN = """
version = 2
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
version = "router@0"
url = "http://127.0.0.1:{port}/v1"
model = "{model}"
[tasks.router.candidates.probe]
method = "probe"
[engines.upstream]
kind = "openai"
url = "http://127.0.0.1:{port}/v1"
capacity = 1024
[gateway]
upstream = "upstream"
"""


@dataclass(frozen=True, slots=True)
class Way:
    """How requests get to the upstream.

    pids: of the processes between; there: headrace's; key: the API key that requests show
    """

    name: str
    port: int
    pids: tuple[int, ...] = ()
    there: Gateways | None = None
    key: str = KEY

    def cpu_s(self) -> float:
        """Processor time that the processes between have taken."""
        return sum(map(process_cpu_s, self.pids))


@contextlib.contextmanager
def way(name: str, upstream: int, home: Path) -> Iterator[Way]:
    """One of them, ready. Raises peers.NotThere."""
    if name == "straight":
        yield Way(name, upstream)
    elif name.startswith("headrace"):
        home, count = home / name, int(name.partition("-")[2] or 1)
        home.mkdir(parents=True, exist_ok=True)
        _, key = keys.make(home / "keys.json", "agent", DEFAULT_TENANT, frozenset({Role.INGEST}), "bench")
        with gateway(home, processes=count, plan=PLAN.format(port=upstream, model=MODEL)) as there:
            pids = tuple(process.pid for process in there.processes)
            yield Way(name, int(there.url.rpartition(":")[2]), pids, there, key.get_secret_value())
    else:
        opened = peers.bare(upstream) if name == "bare" else peers.litellm(upstream, MODEL)
        with opened as (port, pid):
            yield Way(name, port, (pid,))


class Rows:
    """What was measured, beside what straight took."""

    def __init__(self) -> None:
        self.found: list[dict[str, Any]] = []
        self._straight: dict[str, tuple[float, float, float]] = {}

    def add(self, way: Way, kind: str, taken: Taken, per_s: float, cpu_s: float) -> None:
        """One row. Raises SystemExit where nothing was answered."""
        if not taken.whole_ms:
            raise SystemExit(f"{way.name}: none of {taken.failed} requests was answered")
        p50, p99 = np.percentile(taken.whole_ms, [50, 99])
        first = float(np.median(taken.first_ms))
        if way.name == "straight":
            self._straight[kind] = p50, p99, first
        beside = self._straight.get(kind, (np.nan,) * 3) if kind != "max" else (np.nan,) * 3
        row: dict[str, Any] = {"case": f"{way.name}-{kind}", "requests_per_s": round(per_s, 1)}
        row |= {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3)}
        for column, own, straight in zip(
            ("added_p50_ms", "added_p99_ms", "first_added_p50_ms"), (p50, p99, first), beside, strict=True
        ):
            row[column] = None if np.isnan(straight) or way.name == "straight" else round(float(own - straight), 3)
        row["cpu_us"] = round(cpu_s * 1e6 / len(taken.whole_ms)) if way.pids else None
        row["rss_mib"] = sum(map(resident_mib, way.pids)) if way.pids else None
        row |= {"failed": taken.failed, "events_missing": None}
        self.found.append(row)
        print(row, flush=True)


async def measure(way: Way, rows: Rows, seconds: float) -> None:
    """Every row of one way."""
    asked = {"chat": ASKED, "stream": ASKED | {"stream": True}, "label": ASKED | {"model": "router"}}
    clients = {kind: Client(way.port, json.dumps(body).encode(), way.key) for kind, body in asked.items()}

    answered = 0
    for kind in ("chat", "stream", *(["label"] if way.there else [])):
        answered += len((await clients[kind].closed_loop(4, 1.0))[0].whole_ms)
    if way.pids:
        await asyncio.to_thread(calm, way.cpu_s)

    async def saturated(kind: str, name: str) -> int:
        before = way.cpu_s()
        taken, per_s = await clients[kind].closed_loop(CONNECTIONS, seconds)
        rows.add(way, name, taken, per_s, way.cpu_s() - before)
        return len(taken.whole_ms)

    async def paced(kind: str, name: str, rate: float) -> int:
        before = way.cpu_s()
        taken = await clients[kind].open_loop(rate, seconds)
        rows.add(way, name, taken, len(taken.whole_ms) / seconds, way.cpu_s() - before)
        return len(taken.whole_ms)

    answered += await saturated("chat", "max")
    held = rows.found[-1]["requests_per_s"]
    # Two are there for what they hold at most.
    if len(way.pids) < 2:
        for rate in RATES:
            if rate < held:
                answered += await paced("chat", str(rate), rate)
        answered += await paced("stream", "stream", STREAMS)
        if way.there is not None:
            answered += await saturated("label", "label-max")
    if way.there is not None:
        rows.found[-1]["events_missing"] = answered - await kept(way.there, answered)
    for client in clients.values():
        client.close()


def missed(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Goals that were not reached, in words."""
    of = {row["case"]: row for row in rows}
    ours, bare = of["headrace-max"], of["bare-max"]
    slow = of.get("headrace-300", {"added_p50_ms": float("inf"), "added_p99_ms": float("inf")})
    for name, value, goal in (
        ("bare's requests a second for one of headrace's", bare["requests_per_s"] / ours["requests_per_s"], 1 / 0.7),
        ("headrace's processor time for one of bare's", ours["cpu_us"] / bare["cpu_us"], 2.2),
        ("headrace-300: added_p50_ms", slow["added_p50_ms"], 0.6),
        ("headrace-300: added_p99_ms", slow["added_p99_ms"], 4.0),
        ("headrace-stream: first_added_p50_ms", of["headrace-stream"]["first_added_p50_ms"], 1.0),
        ("headrace: rss_mib", max(row["rss_mib"] for case, row in of.items() if case.startswith("headrace")), 250),
        ("headrace: events_missing", of["headrace-label-max"]["events_missing"], 0),
        ("headrace-2: events_missing", of["headrace-2-max"]["events_missing"], 0),
        ("headrace: failed", sum(row["failed"] for case, row in of.items() if case.startswith("headrace")), 0),
        ("2,500 for one of headrace-max", 2500 / ours["requests_per_s"], 1.0),
    ):
        if value > goal:
            yield f"{name}: {value:.2f}, at most {goal:.2f} is wanted"


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-gateway", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--peer", action="append", choices=["litellm"], default=[], help="measure it too")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of each row (%(default)s)")
    options = parser.parse_args(argv)
    home, rows, absent = HOME.absolute(), Rows(), []
    shutil.rmtree(home, ignore_errors=True)
    with peers.simulated() as (upstream, _):
        for name in ("straight", "bare", "headrace", "headrace-2", *options.peer):
            try:
                with way(name, upstream, home) as there:
                    uvloop.run(measure(there, rows, options.seconds))
            except peers.NotThere as why:
                absent.append(f"{name}: {why}")
    conditions = machine() | {"connections": CONNECTIONS, "seconds": options.seconds, "streams": STREAMS}
    tell("gateway", conditions, rows.found)
    print(keep("gateway", conditions, rows.found))
    found = list(missed(rows.found)) if options.seconds >= 6 else []
    for line in (*absent, *(f"missed: {goal}" for goal in found)):
        print(line)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
