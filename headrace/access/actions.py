"""Records who did what: an Action (contract/control.py) on the topic headrace.actions, which becomes a row.

Recording never stands in the way of what it records. Where Kafka is away the action waits in a file below home, the log
says so, and whoever records next on this machine ships it; a retry has the same id and is the same row.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from getpass import getuser
from pathlib import Path
from typing import Any, BinaryIO

from headrace.bus.protocol import Producer
from headrace.contract import ids
from headrace.contract.actions import Action, ActionKind, Via
from headrace.contract.topics import ACTIONS, MIB
from headrace.errors import HeadraceError
from headrace.settings import Settings

log = logging.getLogger(__name__)

FOLDER, WAITING, SHIPPING, LOCK = "actions", "waiting.jsonl", "shipping.jsonl", "lock"
MAX_BYTES = MIB
TIMEOUT_S = 5.0


def action(kind: ActionKind, by: str, via: Via, subject: str = "", task: str = "", **more: Any) -> Action:
    """An action of now by this process; `more` is its detail.

    by: `Principal.name` of whoever asked, or the part's name
    """
    now = datetime.now(UTC)
    return Action(
        action_id=ids.uuid7(now),
        at=now,
        by=by[:200] or "unknown",
        via=via,
        origin=origin(),
        kind=kind,
        task=task,
        subject=subject[:200],
        detail=more,
    )


def origin(remote: str = "") -> str:
    """Where this process runs and as whom, and the address that asked it where there is one."""
    try:
        user = getuser()
    except (KeyError, OSError):
        # A container may run as a user that it has no name for.
        user = f"uid {os.getuid()}"
    here = f"{user}@{socket.gethostname()}"
    return f"{remote} at {here}"[:200] if remote else here[:200]


def record(settings: Settings, done: Action) -> None:
    """Record from a command: connects, sends, disconnects. Takes some seconds at most and raises nothing."""
    from headrace.bus.kafka import KafkaProducer

    async def send() -> None:
        producer = KafkaProducer(settings, client_id="headrace-actions", timeout_s=TIMEOUT_S)
        try:
            await Recorder(producer, settings.home).record(done)
        finally:
            with contextlib.suppress(HeadraceError):
                await producer.stop()

    asyncio.run(send())


class Recorder:
    """Records through a producer, which need not be connected: one that is not connects at its first record.

    home: where actions wait while Kafka is away, at most MAX_BYTES of them
    """

    def __init__(self, producer: Producer, home: Path) -> None:
        self._producer = producer
        self._waiting = Waiting(home / FOLDER)

    async def record(self, done: Action) -> None:
        """Raises nothing: what cannot be sent now waits, and what cannot wait either is in the log."""
        try:
            await self._send(done)
        except HeadraceError as error:
            kept = self._waiting.keep(done)
            where = "it is sent by whoever records next" if kept else f"it could not be kept: {done.to_json().decode()}"
            log.warning("%s by %s was done and not recorded (%s); %s", done.kind, done.by, error, where)
            return
        try:
            await self._waiting.ship(self._send)
        except (HeadraceError, OSError) as error:
            log.warning("actions still wait to be recorded: %s", error)

    async def _send(self, done: Action) -> None:
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._producer.send(ACTIONS, done.to_json(), done.kind.encode())
        except TimeoutError:
            raise HeadraceError(f"Kafka did not answer within {TIMEOUT_S:g} s") from None


class Waiting:
    """Actions that wait in a file, one a line, for all processes of this home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, done: Action) -> bool:
        """Whether it waits now, on disk; not where the file is full or cannot be written."""
        line = done.to_json() + b"\n"
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            while True:
                with _open(self._folder / WAITING) as file:
                    fcntl.flock(file, fcntl.LOCK_EX)
                    if not _still(file, self._folder / WAITING):
                        continue  # A shipper took it between opening and locking.
                    if os.fstat(file.fileno()).st_size + len(line) > MAX_BYTES:
                        return False
                    file.write(line)
                    file.flush()
                    os.fsync(file.fileno())
                    return True
        except OSError:
            return False

    async def ship(self, send: Callable[[Action], Awaitable[None]]) -> None:
        """Send what waits, one shipper at a time. Raises what `send` raises, or OSError: then all of it waits on."""
        taken, waiting = self._folder / SHIPPING, self._folder / WAITING
        if not (taken.exists() or waiting.exists()):
            return
        with _open(self._folder / LOCK) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return
            # One that is there already was left by a shipper that failed.
            if not taken.exists():
                waiting.rename(taken)
            with _open(taken) as file:
                fcntl.flock(file, fcntl.LOCK_EX)  # Who was about to append to it has done so.
            for earlier in _actions(taken):
                await send(earlier)
            taken.unlink()


def _actions(file: Path) -> Iterator[Action]:
    """Those that can be read; a line that a crash tore is none."""
    for line in file.read_bytes().splitlines():
        try:
            yield Action.model_validate_json(line)
        except ValueError:
            log.warning("a line of %s is no action and is left out", file.name)


def _open(path: Path) -> BinaryIO:
    return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600), "ab")


def _still(file: BinaryIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
