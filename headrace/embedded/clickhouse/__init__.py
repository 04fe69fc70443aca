"""ClickHouse's engine (chdb) behind ClickHouse's HTTP protocol, as `python -m headrace.embedded.clickhouse`.

statement      where a statement ends and an INSERT's data begins
allowed        what no statement over HTTP may reach
origin         whether a request was meant for this server, and was not sent by a web page
request        one HTTP request as values: who asks, for what, with which settings
body           a request's body as bytes, bounded, never whole in memory
engine         chdb's engine: one to a process and a folder, any number of sessions on it
configuration  the engine's configuration, in ClickHouse's own files
sessions       named sessions (`session_id`): a client's settings and temporary tables between its requests
native         Native blocks as a client's version of the protocol has them
columns        where a column of a Native block ends, by its type
states         where the states of an aggregate function end
varints        whole numbers in LEB128, and texts with their length
type_names     the parts of a type's name
running        the requests that run, by their query ids
processes      the clients' query ids in system.processes and KILL QUERY
execute        a request on a session: which statement it is, what the engine is told, what comes back
formats        which output formats may be cut into pieces, and the header that each piece repeats
reply          how an answer is dressed: its content type and its compression
blocks         ClickHouse's compressed blocks
answer         an answer on its connection
errors         ClickHouse's errors as the protocol carries them
guests         connections that have not logged in: they cannot keep out those who do
front          HTTP: a thread to a connection
__main__       serves until SIGTERM, then closes the tables
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from pydantic import SecretStr

from headrace.access.logins import analyst_login, clickhouse_login
from headrace.embedded.server import Place, Server, free_port
from headrace.process.child import Child
from headrace.settings import Settings, address

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Tls:
    """What the server shows over https, PEM files.

    client_ca: signs the client certificates that it then demands
    """

    cert: Path
    key: Path
    client_ca: Path | None = None

    def arguments(self) -> list[str]:
        """As the command takes it."""
        given = ["--tls-cert", str(self.cert), "--tls-key", str(self.key)]
        return given if self.client_ca is None else [*given, "--tls-client-ca", str(self.client_ca)]


class ClickHouseServer(Server):
    """The server for a test or a script; data under `home/clickhouse` outlives it.

    Users: `default` (or $HEADRACE_CLICKHOUSE_USER), and `analyst`, who only reads, with limits. Their passwords are
    $HEADRACE_CLICKHOUSE_PASSWORD and $HEADRACE_ANALYST_PASSWORD, or else random ones in the home's secrets, which
    settings of this home log in with.

    port: a free one when not given
    env: variables beside this process's own
    tls: listens by https
    """

    def __init__(
        self, home: Path, port: int | None = None, env: Mapping[str, str] | None = None, tls: Tls | None = None
    ) -> None:
        self.port = port or free_port()
        self.url = f"http{'s' if tls else ''}://{HOST}:{self.port}"
        self._home, self._env = home, {**os.environ, **(env or {})}
        argv = command(home, HOST, self.port) + (tls.arguments() if tls else [])
        child = Child("clickhouse", argv, home / "log" / "clickhouse.log", self._env)
        super().__init__(child, lambda: answers(self.url), place(HOST, self.port))

    def login(self) -> dict[str, Any]:
        """Changes that make settings of any home log in as the parts do, and as the analyst."""
        settings = Settings.from_environ(self._env).replaced(home=self._home, embedded=("clickhouse",))
        user, password = clickhouse_login(settings)
        analyst = analyst_login(settings)[1]
        return {
            "clickhouse": self.url,
            "clickhouse_user": user,
            "clickhouse_password": SecretStr(password),
            "analyst_password": SecretStr(analyst),
        }


def place(host: str, port: int) -> Place:
    return Place(host, port, "ClickHouse", "HEADRACE_CLICKHOUSE")


def command(home: Path, host: str, port: int) -> list[str]:
    """The command line that runs the server."""
    module = [sys.executable, "-m", "headrace.embedded.clickhouse"]
    return [*module, "--home", str(home), "--host", host, "--port", str(port)]


def answers(url: str) -> bool:
    """Whether a server answers /ping at this address; of one that speaks TLS, whether it listens."""
    try:
        if url.startswith("https"):
            socket.create_connection(address(url), timeout=2).close()
            return True
        # Without proxies: the address is loopback.
        with build_opener(ProxyHandler({})).open(f"{url}/ping", timeout=2) as response:
            return bool(response.read() == b"Ok.\n")
    except (URLError, OSError):
        return False
