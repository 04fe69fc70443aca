"""A streams worker as another machine runs it: a host name, a home and logins of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.access.logins import KAFKA_USER, broker_of, clickhouse_login, kafka_password
from headrace.access.secrets import audit_secret, gateway_secret
from headrace.process.readiness import PART_VARIABLE
from headrace.settings import Settings

# The process is told the host's name before anything of headrace asks for it.
AS_HOST = """
import runpy, socket, sys
name = sys.argv.pop(1)
socket.gethostname = lambda: name
runpy.run_module("streams", run_name="__main__", alter_sys=True)
"""


def settings_of(host: str, settings: Settings) -> Settings:
    """The stage's servers as seen from another machine, which finds no secrets in its home."""
    broker = broker_of(settings.home)
    assert broker is not None, "the stage's broker runs"
    user, password = clickhouse_login(settings)
    return settings.replaced(
        home=settings.home / host,
        embedded="",
        kafka=broker.parts,
        kafka_protocol="SASL_PLAINTEXT",
        kafka_mechanism="PLAIN",
        kafka_user=KAFKA_USER,
        kafka_password=kafka_password(settings.home),
        clickhouse_user=user,
        clickhouse_password=password,
        gateway_secret=gateway_secret(settings),
        audit_secret=audit_secret(settings),
    )


@contextmanager
def worker_on(host: str, settings: Settings) -> Iterator[subprocess.Popen[bytes]]:
    """The first worker of a host, under the name that it has by default; killed at the end where it still runs."""
    settings.home.mkdir(parents=True, exist_ok=True)
    own = {name: value for name, value in os.environ.items() if name != PART_VARIABLE}
    with Path(settings.home, "streams.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", AS_HOST, host], env=own | settings.environ(), stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()
