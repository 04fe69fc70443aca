"""`python -m headrace.embedded.clickhouse --home … --port …`: serve until SIGTERM, then close the tables."""

from __future__ import annotations

import argparse
import signal
import ssl
import sys
import threading
from pathlib import Path

from headrace.access.logins import ANALYST, CLICKHOUSE
from headrace.access.secrets import of_home
from headrace.embedded.clickhouse import HOST, place
from headrace.embedded.clickhouse.engine import Engine
from headrace.embedded.clickhouse.front import Front
from headrace.embedded.clickhouse.request import Users
from headrace.embedded.server import check_port
from headrace.errors import StackError, UserError
from headrace.settings import Settings

# In-flight queries may end within this when the server is asked to stop; the supervisor waits longer.
GRACE_S = 8.0


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the embedded ClickHouse.")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--host", default=HOST)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--memory-mb", type=int, default=4096, help="most memory that queries may use together")
    parser.add_argument("--tls-cert", type=Path, help="PEM file of the certificate's chain: listen by https")
    parser.add_argument("--tls-key", type=Path, help="PEM file of its key, where that is not in the same file")
    parser.add_argument("--tls-client-ca", type=Path, help="PEM file; clients must show a certificate that it signed")
    options = parser.parse_args()
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        users = _users(options.home)
        tls = _tls(options)
        check_port(place(options.host, options.port))
        engine = Engine(options.home / "clickhouse", options.memory_mb << 20)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    front = Front((options.host, options.port), engine, users, tls)
    threading.Thread(target=front.serve_forever, kwargs={"poll_interval": 0.1}, name="listener", daemon=True).start()
    stop.wait()
    front.stop(GRACE_S)
    engine.close()
    return 0


def _users(home: Path) -> Users:
    """The environment's passwords, or the home's."""
    settings = Settings.from_environ()
    given = {
        settings.clickhouse_user: (settings.clickhouse_password, CLICKHOUSE),
        ANALYST: (settings.analyst_password, ANALYST),
    }
    passwords = {
        user: password.get_secret_value() or of_home(home, name).get_secret_value()
        for user, (password, name) in given.items()
    }
    return Users(passwords)


def _tls(options: argparse.Namespace) -> ssl.SSLContext | None:
    if options.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(options.tls_cert, options.tls_key)
        if options.tls_client_ca is not None:
            context.load_verify_locations(options.tls_client_ca)
            context.verify_mode = ssl.CERT_REQUIRED
    except OSError as error:
        raise StackError(f"--tls-cert {options.tls_cert} and what goes with it cannot be used: {error}") from None
    return context


if __name__ == "__main__":
    sys.exit(main())
