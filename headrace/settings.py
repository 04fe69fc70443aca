"""Where things are: built once in `main` from the environment and passed down, never read at import."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from headrace.errors import SettingsError

PREFIX = "HEADRACE_"


@dataclass(frozen=True, slots=True)
class Settings:
    """Addresses and places. Each field is the environment variable HEADRACE_<FIELD> in capitals.

    home: the one folder that a run writes to
    plan: flywheel.toml
    kafka: bootstrap servers, `host:port[,host:port]`
    clickhouse: HTTP address of ClickHouse
    clickhouse_user, clickhouse_password: who the parts log in as; the password is never printed
    database: the ClickHouse database of this flywheel
    gateway, console: HTTP addresses of the gateway and of the console
    artifacts: where trained models are published
    embedded: which servers `headrace up` starts itself: "kafka", "clickhouse"; empty where they exist already
    streams_workers: how many Faust workers `headrace up` runs
    health_port: where worker 0 tells its health on loopback, worker 1 one above; 0: any free port
    api_keys: `tenant=key,tenant=key`; empty: the gateway takes everyone on loopback as tenant "default"
    rate_limits: `tenant=events_per_s/burst,*=…`, what each may send to the gateway; empty: as much as it likes
    spool_mib: how many MiB of events the gateway keeps on disk while Kafka is away
    """

    home: Path = Path("var")
    plan: Path = Path("flywheel.toml")
    kafka: str = "127.0.0.1:9092"
    clickhouse: str = "http://127.0.0.1:8123"
    clickhouse_user: str = "default"
    clickhouse_password: str = field(default="", repr=False)
    database: str = "headrace"
    gateway: str = "http://127.0.0.1:8080"
    console: str = "http://127.0.0.1:8081"
    artifacts: Path = Path("var/artifacts")
    embedded: tuple[str, ...] = ("kafka", "clickhouse")
    streams_workers: int = 1
    health_port: int = 0
    api_keys: str = field(default="", repr=False)
    rate_limits: str = ""
    spool_mib: int = 256

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read HEADRACE_* variables. Raises SettingsError naming the variable that is unknown or unusable."""
        environ = os.environ if environ is None else environ
        given = {name[len(PREFIX) :].lower(): text for name, text in environ.items() if name.startswith(PREFIX)}
        unknown = sorted(set(given) - set(cls.__slots__))
        if unknown:
            allowed = ", ".join(PREFIX + name.upper() for name in cls.__slots__)
            raise SettingsError(f"{PREFIX}{unknown[0].upper()} is not a setting; there are {allowed}")
        values: dict[str, object] = {}
        for name, text in given.items():
            values[name] = _parse(name, text)
        home = values.get("home")
        if isinstance(home, Path):
            values.setdefault("artifacts", home / "artifacts")
        return cls(**values)  # type: ignore[arg-type]

    def environ(self) -> dict[str, str]:
        """The variables that give a child process the same settings."""
        out: dict[str, str] = {}
        for name in self.__slots__:
            value = getattr(self, name)
            out[PREFIX + name.upper()] = ",".join(value) if isinstance(value, tuple) else str(value)
        return out


def address(url: str) -> tuple[str, int]:
    """Host and port of an http address or of the first `host:port` of a bootstrap list."""
    first = url.split(",")[0]
    parts = urlsplit(first if "//" in first else f"//{first}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise SettingsError(f"{url!r} is not an address: it needs a host and a port, as in 127.0.0.1:8080")
    return host, port


def _parse(name: str, text: str) -> object:
    match name:
        case "home" | "plan" | "artifacts":
            return Path(text)
        case "embedded":
            names = tuple(part.strip() for part in text.split(",") if part.strip())
            for part in names:
                if part not in ("kafka", "clickhouse"):
                    raise SettingsError(f"{PREFIX}EMBEDDED names {part!r}; it takes kafka and clickhouse, or nothing")
            return names
        case "streams_workers":
            if not text.isdigit() or not 1 <= int(text) <= 64:
                raise SettingsError(f"{PREFIX}STREAMS_WORKERS is {text!r}; it takes a whole number from 1 to 64")
            return int(text)
        case "health_port":
            if not text.isdigit() or int(text) > 65_000:
                raise SettingsError(f"{PREFIX}HEALTH_PORT is {text!r}; it takes a port up to 65000, 0 for a free one")
            return int(text)
        case "spool_mib":
            if not text.isdigit() or not 1 <= int(text) <= 1_048_576:
                raise SettingsError(f"{PREFIX}SPOOL_MIB is {text!r}; it takes a whole number from 1 to 1048576")
            return int(text)
        case "clickhouse" | "gateway" | "console":
            address(text)
            return text.rstrip("/")
        case "kafka":
            for server in text.split(","):
                address(server)
            return text
        case _:
            return text
