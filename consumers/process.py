"""What every consumer's process does around its work: its name, its log, its exit code."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from headrace.errors import UserError
from headrace.process.readiness import beat, member_name
from headrace.settings import Settings


def name_of(argv: Sequence[str] | None, default: str, description: str) -> str:
    """The instance's name: a member of a group by that name gets its partitions back after a restart.

    default: what it is called on this machine; the host's name stands before it
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--name", default=member_name(default), help="this instance's name (default: %(default)s)")
    name: str = parser.parse_args(argv).name
    return name


def run_to_end(name: str, serve: Callable[[Settings], Coroutine[Any, Any, None]]) -> int:
    """Run with the settings of the environment; 0 after a stop, 2 after an error that a person can mend."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name} %(levelname)s %(message)s", stream=sys.stderr)
    # aiokafka tells every rebalance at INFO and every retry at WARNING.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve_and_beat(Settings.from_environ(), name, serve))
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


async def _serve_and_beat(
    settings: Settings, name: str, serve: Callable[[Settings], Coroutine[Any, Any, None]]
) -> None:
    beating = asyncio.create_task(beat(settings, name))
    try:
        await serve(settings)
    finally:
        beating.cancel()
