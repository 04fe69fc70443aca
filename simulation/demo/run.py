"""One run of the demo: start the real stack and the simulated company, play both acts, write the report."""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from time import monotonic
from typing import Any

from rich.console import Console

from headrace.cli.stack import prepare
from headrace.client import Client
from headrace.embedded import stack, state
from headrace.embedded.part import Part, Step
from headrace.embedded.server import free_port
from headrace.embedded.supervisor import Supervisor
from headrace.errors import StackError
from headrace.plan import Plan, parse
from headrace.process.readiness import responds
from headrace.settings import Settings
from headrace.warehouse import Warehouse, query_text
from simulation.demo import plot, report, screen
from simulation.demo.acts import GaveUp, Pace, Play
from simulation.demo.traffic import CLOSE_S, FRONTEND, Traffic, frontend
from simulation.grammar import World

EXAMPLE_UPSTREAM = "http://127.0.0.1:9100/v1"
INCUMBENT_LATENCY_SCALE = 100.0
# Emitters tell their counts every few seconds; this long without a change means that all have told.
QUIET_S = 8.0
DRAIN_S = 60.0


@dataclass(frozen=True, slots=True)
class Keys:
    """API keys that the simulated callers show to the gateway.

    employees: of the role ingest
    experts: a file with one of the role review, read when they start
    """

    employees: str
    experts: Path


@dataclass(frozen=True, slots=True)
class Options:
    """What a run may change.

    home: everything is written below it; what an earlier run left there is deleted first
    plan: text of a flywheel.toml whose upstream is EXAMPLE_UPSTREAM
    started: called with the supervisor once everything is up, as a fault injector does in tests
    servers: settings of a Kafka and a ClickHouse that exist already; without them the run starts its own
    keys: without them callers need none, and feedback goes straight to Kafka
    between_acts: awaited between the acts while the employees go on asking, as a test does that rotates keys
    """

    seed: int = 1
    home: Path = Path("var/demo")
    keep: bool = False
    pace: Pace = field(default_factory=Pace)
    plan: str = field(default_factory=lambda: (resources.files("simulation.demo") / "flywheel.toml").read_text("utf-8"))
    started: Callable[[Supervisor], None] | None = None
    servers: Mapping[str, Any] = field(default_factory=dict)
    keys: Keys | None = None
    between_acts: Callable[[Traffic], Awaitable[None]] | None = None


def run(options: Options, console: Console) -> dict[str, Any]:
    """Play both acts and return the report, which also stands in `home`/report.json beside the timeline.

    Raises StackError where an earlier run was left up, or the stack cannot start.
    """
    started = monotonic()
    home = options.home.absolute()
    if state.is_up(home):
        raise StackError(f"an earlier demo is still up in {home}; stop it with: {_down(home)}")
    shutil.rmtree(home, ignore_errors=True)
    home.mkdir(parents=True)
    os.environ.setdefault("BROKER_CACHE", str(home.parent / "cache"))
    settings, upstream = _places(home)
    settings = settings.replaced(**options.servers)
    settings.plan.write_text(options.plan.replace(EXAMPLE_UPSTREAM, f"http://127.0.0.1:{upstream}/v1"))
    plan = parse(settings.plan.read_text(), str(settings.plan))
    view = screen.Screen(console)
    console.print(
        "[bold]headrace demo[/]: real Kafka, ClickHouse, fine-tuning and serving; simulated employees, experts, judge "
        "and 70B model"
    )
    with _stack(options, settings, plan, upstream, view):
        played = asyncio.run(_play(options, settings, plan, view))
        found = {
            "seed": options.seed,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "started_at": played.started_at.isoformat(),
            "incumbent_latency_scale": INCUMBENT_LATENCY_SCALE,
            "margin": plan.tasks[report.TASK].gate.margin,
            "ended": played.ended,
        }
        built = report.build(played.warehouse, plan, found, played.world_changed_at)
        built["conditions"]["seconds"] = round(monotonic() - started, 1)
        _write(home, played, built)
    _tell(console, settings, options, built)
    return built


@dataclass(slots=True)
class _Played:
    warehouse: Warehouse
    started_at: datetime
    world_changed_at: datetime | None
    ended: str


async def _play(options: Options, settings: Settings, plan: Plan, view: screen.Screen) -> _Played:
    warehouse = await asyncio.to_thread(Warehouse.connect, settings)
    warehouse.command(report.demo_query("requests_table"))
    key = options.keys.employees if options.keys else ""
    client = frontend(settings.gateway, key) if key else Client(settings, emitter=FRONTEND)
    traffic = Traffic(settings.gateway, World(options.seed), client, warehouse, key)
    play = Play(traffic, warehouse, view, options.pace, options.between_acts)
    stop = asyncio.Event()
    started_at = datetime.now(UTC)
    employees = asyncio.create_task(traffic.run(stop))
    acts = asyncio.create_task(play.both_acts())
    with view.live():
        try:
            await asyncio.wait({employees, acts}, return_when=asyncio.FIRST_COMPLETED)
            if employees.done():
                acts.cancel()
                await employees  # only a bug ends it early
            await acts
        except GaveUp as late:
            play.ended = str(late)
            view.say(f"[red]gave up[/]: {late}")
        view.act = "counting"
        stop.set()
        await employees
        await asyncio.to_thread(traffic.client.close, CLOSE_S)
        await _drained(warehouse)
        view.say("everything emitted is accounted for, or named below")
    return _Played(warehouse, started_at, play.world_changed_at, play.ended)


async def _drained(warehouse: Warehouse) -> None:
    """Wait until nothing changes any more: emitters have told their counts and streams have stored them."""
    deadline = monotonic() + DRAIN_S
    last, since = None, monotonic()
    while monotonic() < deadline:
        now = await asyncio.to_thread(warehouse.rows, query_text("cli/reconcile"))
        if now != last:
            last, since = now, monotonic()
        if monotonic() - since > QUIET_S and all(int(row["missing"]) == 0 for row in now):
            return
        await asyncio.sleep(1.0)


@contextmanager
def _stack(options: Options, settings: Settings, plan: Plan, upstream: int, view: screen.Screen) -> Iterator[None]:
    """The real parts and the simulated ones, up; stopped at the end unless they are to be kept."""

    environ = {**os.environ, **settings.environ()}
    seed = ["--seed", str(options.seed)]
    simulated: list[Part | Step] = [
        Part(
            "upstreams",
            [sys.executable, "-m", "simulation.upstreams", *seed, "--port", str(upstream)],
            lambda: responds(f"http://127.0.0.1:{upstream}/v1/models"),
            environ,
            address=f"http://127.0.0.1:{upstream}/v1",
        ),
    ]
    of_experts = environ | ({"HEADRACE_KEY_FILE": str(options.keys.experts)} if options.keys else {})
    experts = Part(
        "experts", [sys.executable, "-m", "simulation.experts", *seed], lambda: True, of_experts, needs=("prepare",)
    )
    wanted = [*simulated, *stack.parts(settings, lambda: prepare(settings), plan), experts]
    view.say("starting Kafka, ClickHouse, streams, consumers, gateway and console")
    if options.keep:
        stack.up(settings, wanted, detach=True)
        yield
        return
    stack.check(settings, wanted)
    with Supervisor(wanted, settings.home) as supervisor:
        supervisor.wait_ready()
        view.say("everything is up")
        if options.started is not None:
            options.started(supervisor)
        yield


def _places(home: Path) -> tuple[Settings, int]:
    """Settings with the usual ports, and free ones where those are taken; and a port for the simulated upstreams."""
    usual = Settings(home=home, artifacts=home / "artifacts", plan=home / "flywheel.toml")
    ports = 9092, 8123, 8080, 4317, 8081, 9100
    kafka, clickhouse, gateway, otlp_grpc, console, upstream = (free_port(wanted) for wanted in ports)
    settings = usual.replaced(
        kafka=f"127.0.0.1:{kafka}",
        clickhouse=f"http://127.0.0.1:{clickhouse}",
        gateway=f"http://127.0.0.1:{gateway}",
        otlp_grpc=f"127.0.0.1:{otlp_grpc}",
        console=f"http://127.0.0.1:{console}",
    )
    return settings, upstream


def _write(home: Path, played: _Played, built: dict[str, Any]) -> None:
    """report.json, timeline.png and timeline.html."""
    reader = report.Reader(played.warehouse, built["sql"])
    rolling = [
        plot.Point(row["watermark"], row["value"], row["low"], row["high"])
        for row in reader.rows("timeline", task=report.TASK)
    ]
    truth = [plot.Point(row["at"], row["value"], row["value"], row["value"]) for row in reader.rows("truth")]
    marks = [
        plot.Mark(datetime.fromisoformat(act["trigger"]["at"]), f"trigger: {act['trigger']['kind']}", "trigger")
        for act in built["acts"]
    ]
    for row in reader.rows("steps", task=report.TASK):
        served = row["live"] if row["step"] == "steady" else f"{row['step']} {row['canary'] or row['shadow']}"
        share = f" {row['canary_share']:.0%}" if row["step"] == "canary" else ""
        marks.append(plot.Mark(row["at"], served + share, "promotion"))
    if played.world_changed_at is not None:
        marks.append(plot.Mark(played.world_changed_at, "the world changes", "world"))
    title = f"headrace demo, seed {built['conditions']['seed']}"
    if rolling or truth:
        plot.draw_png(home / "timeline.png", title, rolling, truth, marks)
        plot.draw_html(home / "timeline.html", title, rolling, truth, marks)
    (home / "report.json").write_text(json.dumps(built, indent=1, default=str) + "\n")


def _tell(console: Console, settings: Settings, options: Options, built: dict[str, Any]) -> None:
    console.print(screen.funnel_table(built))
    for act in built["acts"]:
        console.print(screen.candidates_table(act))
    console.print(screen.closing_table(built))
    requests, events = built["requests"], built["events"]
    console.print(
        f"requests {requests['total']:,}, failed {requests['failed']} · events emitted {events['emitted']:,}, "
        f"missing {events['missing']}, duplicated {events['duplicated']} · {built['conditions']['seconds']:.0f} s"
    )
    console.print(f"{settings.home}/report.json · timeline.png · timeline.html", soft_wrap=True)
    if options.keep:
        console.print(
            f"left up: console {settings.console} · gateway {settings.gateway} · ClickHouse {settings.clickhouse} · "
            f"Kafka {settings.kafka}; stop with: {_down(settings.home)}",
            soft_wrap=True,
        )


def _down(home: Path) -> str:
    return f"HEADRACE_HOME={home} .venv/bin/headrace down"
