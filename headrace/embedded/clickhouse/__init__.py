"""ClickHouse's engine (chdb) behind ClickHouse's HTTP protocol, as `python -m headrace.embedded.clickhouse`.

Read in this order: `statement` (where a statement ends and its data begins), `allowed` (what no statement may reach),
`origin` (which requests are meant for this server), `request` (one HTTP request as values), `body` (compressed and
chunked bodies), `engine` (chdb's sessions), `execute` (a request on a session), `front` (HTTP).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from headrace.embedded.child import Child
from headrace.embedded.server import Place, Server, free_port

HOST = "127.0.0.1"
USER_VARIABLE = "HEADRACE_CLICKHOUSE_USER"
PASSWORD_VARIABLE = "HEADRACE_CLICKHOUSE_PASSWORD"
ANALYST = "analyst"
ANALYST_PASSWORD_VARIABLE = "ANALYST_PASSWORD"


class ClickHouseServer(Server):
    """The server for a test or a script; data under `home/clickhouse` outlives it.

    Users: `default` (or $HEADRACE_CLICKHOUSE_USER), and `analyst`, who only reads, with limits. Their passwords come
    from the environment ($HEADRACE_CLICKHOUSE_PASSWORD, $ANALYST_PASSWORD); without one that user cannot log in.

    port: a free one when not given
    """

    def __init__(self, home: Path, port: int | None = None, env: Mapping[str, str] | None = None) -> None:
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}"
        inherited = None if env is None else {**os.environ, **env}
        child = Child("clickhouse", command(home, HOST, self.port), home / "log" / "clickhouse.log", inherited)
        super().__init__(child, lambda: answers(self.url), place(HOST, self.port))


def place(host: str, port: int) -> Place:
    return Place(host, port, "ClickHouse", "HEADRACE_CLICKHOUSE")


def command(home: Path, host: str, port: int) -> list[str]:
    """The command line that runs the server."""
    module = [sys.executable, "-m", "headrace.embedded.clickhouse"]
    return [*module, "--home", str(home), "--host", host, "--port", str(port)]


def answers(url: str) -> bool:
    """Whether a server answers /ping at this address."""
    try:
        # Without proxies: the address is loopback.
        with build_opener(ProxyHandler({})).open(f"{url}/ping", timeout=2) as response:
            return bool(response.read() == b"Ok.\n")
    except (URLError, OSError):
        return False
