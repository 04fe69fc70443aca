"""`make bench-promotions`: promotions and roll backs under traffic, and what each request met.

make bench-promotions                                             a hundred moves, 30,000 requests, some ten minutes
make bench-promotions ARGS="--moves 8 --requests 2400 --calm"     a short one without faults

The embedded stack: Kafka, ClickHouse, a streams worker, the rollout consumer and two gateways at one address; the
incumbent is simulated (simulation/upstreams.py), the others are MiniLM with a head under three names. The first takes
over; then the other two in turns are promoted by a person, go through shadow and canary and live, and are rolled back.
In the middle of three promotions the upstream is away for 20 s while a fifth of the sessions is diverted to it, a
gateway is killed, and the warehouse is away for 20 s.

failed       requests without an answer, after as many tries as OpenAI's clients make where a connection breaks
strange      answers of a version that was neither live nor canary in any generation from the one that the replica had
             acknowledged when the request began to the newest one when it ended
diverted     answers of the incumbent while sessions were diverted to it
spread       from a promotion until each replica acknowledged it or a later one, without replicas that were killed
as_asked     moves after which serves what was asked for

Exits with 1 where a goal is missed. var/bench/promotions.json has the same rows, and every move.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import statistics
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.chaos.stage import Stage
from benchmarks.promoting.moves import TASK, Moves, Upstream
from benchmarks.promoting.record import Record
from benchmarks.promoting.traffic import Traffic
from benchmarks.router_path import bundle
from benchmarks.table import keep, machine, tell
from benchmarks.waiting import Late, until
from headrace.cli.stack import prepare
from headrace.contract.control import Served
from headrace.embedded import stack
from headrace.embedded.part import Part, Step
from headrace.embedded.server import free_port
from headrace.embedded.supervisor import Supervisor
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.grammar import World

HOME, CACHE = Path("var/bench/promotions-run"), Path("var/cache")
RATE = 60.0
GATEWAYS = 2
PARTS = ("kafka", "clickhouse", "prepare", "streams", "rollout", "serving")
PLAN = """
version = 1
[tasks.router]
labels = ["hr", "it", "finance", "product", "out_of_scope"]
[tasks.router.incumbent]
version = "router@0"
url = "http://127.0.0.1:{port}/v1"
model = "incumbent-70b"
[tasks.router.candidates.probe]
method = "probe"
[tasks.router.rollout]
shadow_requests = 20
canary_shares = [0.3]
canary_requests = 30
needs_labels = false
reviews = 0
watch_s = 60
"""
STORED = """
SELECT toString(inference_id) AS inference, emitter FROM inferences FINAL WHERE task = 'router' AND arm != 'shadow'
"""


async def play(stage: Stage, upstream: Upstream, candidates: Sequence[Served], options: argparse.Namespace) -> Any:
    """Traffic, and the moves beside it; returns both and what the topics said."""
    record, texts = Record(), [question.text for question in World(1).questions(1, 2000)]
    traffic = Traffic(stage.settings.gateway, texts, RATE)
    following = asyncio.create_task(record.follow(stage.settings))
    while not record.promotions:  # noqa: ASYNC110 (others write it)
        await asyncio.sleep(0.1)
    moves = Moves(stage, record, upstream, candidates, f"serving-{GATEWAYS - 1}")
    asking = asyncio.create_task(traffic.run())
    await asyncio.sleep(3.0)
    await moves.run(options.moves, options.requests / RATE / options.moves, options.calm)
    while len(traffic.answers) < options.requests:  # noqa: ASYNC110 (it is a matter of time)
        await asyncio.sleep(0.1)
    traffic.stopping.set()
    await asking
    await asyncio.sleep(3.0)
    following.cancel()
    return traffic, moves, record


def stored(settings: Settings, wanted: set[str]) -> dict[str, str]:
    """The replica that gave each answer, as soon as the warehouse has all of them, and in any case after a minute."""
    warehouse, found = Warehouse.connect(settings), dict[str, str]()

    def look() -> bool:
        found.update({row["inference"]: row["emitter"].split(".")[0] for row in warehouse.rows(STORED)})
        return wanted <= found.keys()

    with suppress(Late):
        until(look, "the answers to be stored", 60.0, every_s=2.0)
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench-promotions", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--moves", type=int, default=100, help="promotions and roll backs together (%(default)s)")
    parser.add_argument("--requests", type=int, default=30_000, help="at least so many (%(default)s)")
    parser.add_argument("--calm", action="store_true", help="without faults")
    options = parser.parse_args(argv)
    if options.moves < (1 if options.calm else 10):
        parser.error("--moves: ten at least, so that each fault comes in a move of its own; with --calm one")
    home = HOME.absolute()
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ.setdefault("BROKER_CACHE", str(CACHE.absolute()))
    candidates = [bundle(home / str(number), int8=False, version=f"router@{number}") for number in (1, 2, 3)]
    port = free_port()
    settings = Settings(home=home, plan=home / "flywheel.toml").replaced(
        kafka=f"127.0.0.1:{free_port()}",
        clickhouse=f"http://127.0.0.1:{free_port()}",
        gateway=f"http://127.0.0.1:{free_port()}",
        otlp_grpc="",
        gateway_processes=GATEWAYS,
    )
    settings.plan.write_text(PLAN.format(port=port))
    wanted: list[Part | Step] = [
        part for part in stack.parts(settings, lambda: prepare(settings)) if part.name.partition("-")[0] in PARTS
    ]
    stack.check(settings, wanted)
    upstream = Upstream(port)
    upstream.start()
    try:
        with Supervisor(wanted, home) as supervisor:
            supervisor.wait_ready(300.0)
            stage = Stage(settings, supervisor)
            traffic, moves, record = asyncio.run(play(stage, upstream, candidates, options))
            emitters = stored(settings, {answer.inference for answer in traffic.answers if answer.inference})
    finally:
        upstream.kill()
    rows = judge(traffic, moves, record, emitters)
    conditions = machine() | {"task": TASK, "per_s": RATE, "gateways": GATEWAYS, "faults": not options.calm}
    tell("promotions", conditions, rows)
    for refusal in traffic.refusals[:10]:
        print(refusal)
    told = [
        {"move": move.kind, "wanted": move.wanted, "served": move.served, "took_s": move.took_s, "beside": move.beside}
        for move in moves.done
    ]
    print(keep("promotions", conditions, [*rows, *told]))
    return int(any(not row["holds"] for row in rows))


def judge(traffic: Traffic, moves: Moves, record: Record, emitters: dict[str, str]) -> list[dict[str, Any]]:
    """One row a figure: what it is, its goal, and whether that holds."""
    judged = record.judged(traffic.answers, emitters, "router@0")
    spread, took = sorted(record.spread_s(moves.outages)), [move.took_s for move in moves.done]
    as_asked = sum(move.wanted == move.served for move in moves.done)
    p99 = spread[min(len(spread) - 1, int(len(spread) * 0.99))]

    def row(figure: str, value: float, goal: str = "", holds: bool = True) -> dict[str, Any]:
        return {"figure": figure, "value": value, "goal": goal, "holds": holds}

    return [
        row("requests", len(traffic.answers)),
        row("failed", judged["failed"], "0", judged["failed"] == 0),
        row("strange", judged["strange"], "0", judged["strange"] == 0),
        row("not stored", judged["not stored"], "0", judged["not stored"] == 0),
        row("diverted", judged["diverted"]),
        row("repeated after a broken connection", sum(answer.repeated > 0 for answer in traffic.answers)),
        row("moves", len(moves.done)),
        row("as asked", as_asked, "all", as_asked == len(moves.done)),
        row("generations", len(record.promotions)),
        row("move p50 s", round(statistics.median(took), 2)),
        row("spread p50 s", round(statistics.median(spread), 3)),
        row("spread p99 s", round(p99, 3), "<= 1", p99 <= 1.0),
        row("spread max s", round(spread[-1], 3)),
    ]


if __name__ == "__main__":
    sys.exit(main())
