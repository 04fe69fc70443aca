"""How this machine's parts log in to the embedded servers: passwords and an address that those left in the home.

The broker listens twice. At HEADRACE_KAFKA programs on this machine need no password and may only emit events; the
parts log in at a second port, which the broker chooses and writes to secrets/kafka.json.
"""

from __future__ import annotations

import json
import os
import secrets as random
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import SecretStr

from headrace.access.secrets import FOLDER, of_home
from headrace.settings import Settings

KAFKA_USER = "headrace"
KAFKA = "kafka"
CLICKHOUSE = "clickhouse"
ANALYST = "analyst"
LOGIN_CODES = frozenset({192, 193, 194, 516})
"""ClickHouse's: an unknown user, a wrong or a missing password."""

_ADDRESSES = "kafka.json"


@dataclass(frozen=True, slots=True)
class Broker:
    """The embedded broker's addresses, `host:port`.

    emitters: HEADRACE_KAFKA, for programs without a password
    parts: for those that log in as KAFKA_USER
    """

    emitters: str
    parts: str


def broker_of(home: Path) -> Broker | None:
    """What the broker of this home last told; None where none has run there."""
    try:
        return Broker(**json.loads((home / FOLDER / _ADDRESSES).read_text("utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def tell_broker(home: Path, broker: Broker) -> None:
    """Write where it listens, whole or not at all. Raises OSError."""
    folder = home / FOLDER
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    staging = folder / f".{_ADDRESSES}.{random.token_hex(4)}"
    with os.fdopen(os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
        json.dump(asdict(broker), out)
    staging.replace(folder / _ADDRESSES)


def embedded_broker(settings: Settings) -> Broker | None:
    """The embedded broker, where these settings mean it and say nothing else about logging in."""
    if settings.kafka_protocol or "kafka" not in settings.embedded:
        return None
    broker = broker_of(settings.home)
    return broker if broker is not None and broker.emitters == settings.kafka else None


def kafka_password(home: Path) -> SecretStr:
    """Of KAFKA_USER on the embedded broker; made where there is none yet."""
    return of_home(home, KAFKA)


def clickhouse_login(settings: Settings) -> tuple[str, str]:
    """User and password of the parts: the settings', or the embedded server's."""
    given = settings.clickhouse_password.get_secret_value()
    return settings.clickhouse_user, given or _embedded(settings, CLICKHOUSE)


def analyst_login(settings: Settings) -> tuple[str, str]:
    """User and password of people who read; the password is empty where it is not known."""
    return ANALYST, settings.analyst_password.get_secret_value() or _embedded(settings, ANALYST)


def _embedded(settings: Settings, name: str) -> str:
    """The embedded ClickHouse's password, where it has made one in this home."""
    if "clickhouse" not in settings.embedded or not (settings.home / FOLDER / name).exists():
        return ""
    return of_home(settings.home, name).get_secret_value()
