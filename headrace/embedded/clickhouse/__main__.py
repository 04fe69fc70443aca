"""`python -m headrace.embedded.clickhouse --home … --port …`: serve until SIGTERM, then close the tables."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from headrace.embedded.clickhouse import (
    ANALYST,
    ANALYST_PASSWORD_VARIABLE,
    HOST,
    PASSWORD_VARIABLE,
    USER_VARIABLE,
    place,
)
from headrace.embedded.clickhouse.engine import Engine
from headrace.embedded.clickhouse.front import Front
from headrace.embedded.clickhouse.request import Users
from headrace.embedded.server import check_port
from headrace.errors import StackError

# In-flight queries may end within this when the server is asked to stop; the supervisor waits longer.
GRACE_S = 8.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the embedded ClickHouse.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--memory-mb", type=int, default=4096, help="most memory that queries may use together")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    users = Users(
        {
            os.environ.get(USER_VARIABLE) or "default": os.environ.get(PASSWORD_VARIABLE, ""),
            ANALYST: os.environ.get(ANALYST_PASSWORD_VARIABLE, ""),
        }
    )
    try:
        check_port(place(options.host, options.port))
        engine = Engine(options.home / "clickhouse", options.memory_mb << 20)
    except StackError as error:
        print(error, file=sys.stderr)
        return 2
    front = Front((options.host, options.port), engine, users)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.1}, name="listener", daemon=True).start()
    stop.wait()
    front.stop(GRACE_S)
    engine.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
