"""The checks of `headrace doctor`, in the order in which one fault explains the next."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from headrace import plan as plans
from headrace.access import secrets
from headrace.bus.kafka.topics import partitions_of
from headrace.contract.topics import TOPICS, partitions_in
from headrace.doctor.findings import Finding, ok, problem, warning
from headrace.doctor.whereabouts import APART
from headrace.embedded import stack
from headrace.embedded.state import Phase
from headrace.errors import HeadraceError
from headrace.process.readiness import responds
from headrace.settings import Settings
from headrace.warehouse import Warehouse, migration

CLOCK_APART = timedelta(seconds=2)
KAFKA_WITHIN_S = 10.0
MOST_EMITTERS = 5

Check = Callable[[Settings], Iterator[Finding]]


def everything(settings: Settings) -> Iterator[Finding]:
    """Every check's findings; a check that fails itself is a finding, too, and the next one goes on."""
    for check in (_plan, _files, _parts, _kafka, _warehouse, _gateway):
        try:
            yield from check(settings)
        except HeadraceError as error:
            yield problem(check.__name__.removeprefix("_"), str(error))


def _plan(settings: Settings) -> Iterator[Finding]:
    found = plans.load(settings.plan)
    yield ok("plan", f"{settings.plan} is a plan for {', '.join(sorted(found.tasks))}")


def _files(settings: Settings) -> Iterator[Finding]:
    """Secrets are the owner's alone."""
    folder = settings.home / secrets.FOLDER
    kept = [settings.keys, *(sorted(folder.iterdir()) if folder.is_dir() else ())]
    loose = [file for file in kept if file.exists() and _mode(file) & 0o077]
    if settings.home.is_dir() and _mode(settings.home) & 0o077:
        yield warning("files", f"{settings.home} may be read by others than its owner", f"chmod 700 {settings.home}")
    for file in loose:
        yield problem("files", f"{file} may be read by others than its owner", f"chmod 600 {file}")
    if not loose:
        yield ok(
            "files", f"{sum(file.exists() for file in kept)} files with keys and secrets are readable by their owner"
        )


def _mode(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def _parts(settings: Settings) -> Iterator[Finding]:
    state = stack.status(settings)
    if state is None:
        yield warning("parts", f"headrace is not up in {settings.home}", "start it with `headrace up`")
        return
    for part in state.parts:
        if part.phase is not Phase.READY:
            yield problem("parts", f"{part.name} is {part.phase}: {part.reason or 'no reason given'}", "see its log")
        elif part.restarts:
            yield warning("parts", f"{part.name} was restarted {part.restarts} times: {part.reason}", "see its log")
    if all(part.phase is Phase.READY for part in state.parts):
        yield ok("parts", f"all {len(state.parts)} parts are ready")


def _kafka(settings: Settings) -> Iterator[Finding]:
    async def look() -> dict[str, int]:
        async with asyncio.timeout(KAFKA_WITHIN_S):
            return await partitions_of(settings)

    try:
        found = asyncio.run(look())
    except TimeoutError:
        yield problem("kafka", f"no answer from {settings.kafka} within {KAFKA_WITHIN_S:g} s")
        return
    missing = sorted(topic.name for topic in TOPICS if topic.name not in found)
    if missing:
        yield problem("kafka", f"these topics are missing: {', '.join(missing)}", "create them with `headrace prepare`")
    for topic in TOPICS:
        expected = partitions_in(topic, settings)
        if found.get(topic.name, expected) != expected:
            yield warning("kafka", f"{topic.name} has {found[topic.name]} partitions, not {expected}")
    if not missing:
        yield ok("kafka", f"{settings.kafka} has all {len(TOPICS)} topics")


def _warehouse(settings: Settings) -> Iterator[Finding]:
    warehouse = Warehouse.connect(settings)
    try:
        applied = {str(row["name"]) for row in warehouse.query("warehouse/migrations_applied")}
        known = {one.name for one in migration.migrations()}
        if newer := sorted(applied - known):
            yield problem(
                "warehouse", f"a newer headrace wrote it: {newer[-1]} is not known here", "install that version"
            )
        elif waiting := sorted(known - applied):
            advice = "run `headrace prepare`"
            yield problem("warehouse", f"{len(waiting)} migrations were not applied, the first {waiting[0]}", advice)
        else:
            yield ok("warehouse", f"{settings.clickhouse} has the present schema in {warehouse.database}")
        yield from _clock(warehouse)
        yield from _apart(warehouse)
        yield from _stopped(warehouse)
    finally:
        warehouse.close()


def _clock(warehouse: Warehouse) -> Iterator[Finding]:
    """One round trip: half of it is the reading's own error."""
    before = datetime.now(UTC)
    (row,) = warehouse.query("shared/clock")
    after = datetime.now(UTC)
    apart = abs(row["now"] - (before + (after - before) / 2))
    text = f"this machine's clock and ClickHouse's are {apart.total_seconds():.2f} s apart"
    yield (
        ok("clocks", text) if apart <= CLOCK_APART else problem("clocks", text, "let both follow the same time server")
    )


def _apart(warehouse: Warehouse) -> Iterator[Finding]:
    """Answers of the last day that no window counts."""
    rows = warehouse.query("cli/doctor_apart", most=MOST_EMITTERS)
    for row in rows:
        text = (
            f"{row['answers']} answers of the last day from {row['emitter'] or 'an emitter without a name'} have ids of"
            f" a time more than a day from their occurred_at, as {row['example']}: they are in no window"
        )
        yield warning("ids", text, APART)
    if not rows:
        yield ok("ids", "the ids of the last day's answers are of the time of their answers")


def _stopped(warehouse: Warehouse) -> Iterator[Finding]:
    stopped = [row for row in warehouse.query("shared/deadletters_stopped") if row["state"] == "stopped"]
    for row in stopped:
        text = f"{row['topic']}/{row['partition']} stands still at {row['offset']}: {row['reason']}"
        yield problem("poison", text, "look at it with `headrace deadletters list`")
    if not stopped:
        yield ok("poison", "no partition stands still")


def _gateway(settings: Settings) -> Iterator[Finding]:
    if responds(f"{settings.gateway}/readyz"):
        yield ok("gateway", f"{settings.gateway} is ready")
    elif responds(f"{settings.gateway}/healthz"):
        yield warning("gateway", f"{settings.gateway} is not ready", f"its reasons: curl {settings.gateway}/readyz")
    else:
        yield problem("gateway", f"nothing answers at {settings.gateway}", "start it with `headrace up`")
