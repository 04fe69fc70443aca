"""Where things are and how to log in there: built once in `main` from the environment, never read at import."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from headrace.errors import SettingsError

PREFIX = "HEADRACE_"
FROM_FILE = "_file"

Port = Annotated[int, Field(ge=0, le=65_000)]
Whole = Annotated[int, Field(ge=1, le=1_048_576)]


class Settings(BaseSettings):
    """Addresses, places and credentials. Each field is the environment variable HEADRACE_<FIELD> in capitals.

    A secret may stand in a file instead, named by HEADRACE_<FIELD>_FILE. Secrets are never printed.

    home: the one folder that a run writes to
    plan: flywheel.toml
    kafka: bootstrap servers, `host:port[,host:port]`
    kafka_protocol, kafka_mechanism: how to log in to them; see headrace/bus/kafka/security.py. Empty: the embedded
        broker's own password where it is embedded, else PLAINTEXT
    kafka_user, kafka_password: of SASL; for OAUTHBEARER a client id and its secret, for kafka_token_url
    kafka_ca, kafka_cert, kafka_key: PEM files: who signed the brokers, and this client's certificate
    kafka_anonymous: whether programs on this machine may emit events to the embedded broker without a password
    clickhouse: HTTP or HTTPS address of ClickHouse
    clickhouse_user, clickhouse_password: who the parts log in as; the embedded server has a password of its own
    analyst_password: of the user `analyst`, as whom people read
    clickhouse_ca, clickhouse_cert, clickhouse_key: PEM files, as for Kafka
    clickhouse_quorum: how many replicas have a block before it counts as stored, or "auto" for most of them; empty: one
    clickhouse_sequential: whether reads see every block that was stored before, whichever replica they ask
    database: the ClickHouse database of this flywheel
    gateway, console: HTTP addresses of the gateway and of the console
    gateway_processes: how many gateways `headrace up` runs, which share these addresses: one has the work of one core
    otlp_grpc: where the gateway takes OpenTelemetry over gRPC, `host:port`; empty: nowhere
    artifacts: where trained models are published; by default below home
    embedded: which servers `headrace up` starts itself: "kafka", "clickhouse"; empty where they exist already
    partitions: of each topic of events; the same for emitters, workers and `headrace prepare`, which makes them
    streams_workers: how many Faust workers `headrace up` runs
    health_host: the address at which workers tell their health: loopback, or one that a kubelet or Prometheus reaches
    health_port: where worker 0 tells it, worker 1 one above; 0: any free port
    keys: the file of API keys and their rights, by default keys.json below home
    key: the API key as whose holder the command line acts; empty: as the owner of this machine's home
    gateway_secret: what gateways sign their own answers with; shared by all gateways and workers
    audit_secret: what the base audit is drawn by; known to the workers alone
    rate_limits: `tenant=events_per_s/burst,*=…`, what each may send to the gateway; empty: as much as it likes
    spool_mib: how many MiB of events the gateway keeps on disk while Kafka is away
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid", hide_input_in_errors=True)
    SECRETS: ClassVar[tuple[str, ...]] = (
        "kafka_password",
        "clickhouse_password",
        "analyst_password",
        "key",
        "gateway_secret",
        "audit_secret",
    )

    home: Path = Path("var")
    plan: Path = Path("flywheel.toml")
    kafka: str = "127.0.0.1:9092"
    kafka_protocol: Literal["", "PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = ""
    kafka_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "SCRAM-SHA-512"
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_token_url: str = ""
    kafka_ca: Path | None = None
    kafka_cert: Path | None = None
    kafka_key: Path | None = None
    kafka_anonymous: bool = True
    clickhouse: str = "http://127.0.0.1:8123"
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    analyst_password: SecretStr = SecretStr("")
    clickhouse_ca: Path | None = None
    clickhouse_cert: Path | None = None
    clickhouse_key: Path | None = None
    clickhouse_quorum: Annotated[str, Field(pattern=r"^(|auto|[2-9])$")] = ""
    clickhouse_sequential: bool = False
    database: str = "headrace"
    gateway: str = "http://127.0.0.1:8080"
    gateway_processes: Annotated[int, Field(ge=1, le=64)] = 1
    otlp_grpc: str = "127.0.0.1:4317"
    console: str = "http://127.0.0.1:8081"
    artifacts: Path = Path("var/artifacts")
    embedded: Annotated[tuple[Literal["kafka", "clickhouse"], ...], NoDecode] = ("kafka", "clickhouse")
    partitions: Annotated[int, Field(ge=1, le=256)] = 8
    streams_workers: Annotated[int, Field(ge=1, le=64)] = 1
    health_host: str = "127.0.0.1"
    health_port: Port = 0
    keys: Path = Path("var/keys.json")
    key: SecretStr = SecretStr("")
    gateway_secret: SecretStr = SecretStr("")
    audit_secret: SecretStr = SecretStr("")
    rate_limits: str = ""
    spool_mib: Whole = 256

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Settings(...) is what it says; only `from_environ` reads the environment."""
        return (init_settings,)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str] | None = None) -> Self:
        """Read HEADRACE_* variables. Raises SettingsError naming the variable that is unknown or unusable."""
        environ = os.environ if environ is None else environ
        given = {name[len(PREFIX) :].lower(): text for name, text in environ.items() if name.startswith(PREFIX)}
        for name in cls.SECRETS:
            if file := given.pop(name + FROM_FILE, ""):
                given[name] = _content(name, Path(file))
        unknown = sorted(set(given) - set(cls.model_fields))
        if unknown:
            raise SettingsError(_unknown(unknown[0], cls.model_fields))
        source = EnvSettingsSource(cls)
        # As it is read from os.environ, names folded; this way a test or a job file can say it, too.
        source.env_vars = {f"{PREFIX}{name}".lower(): text for name, text in given.items()}
        try:
            return cls(**source())
        except ValidationError as error:
            raise SettingsError(_sentence(error, given)) from None

    def environ(self, secrets: Collection[str] = SECRETS) -> dict[str, str]:
        """The variables that give a child process the same settings.

        secrets: those that it needs; the others are left out
        """
        out: dict[str, str] = {}
        for name, field in type(self).model_fields.items():
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                value = (name in secrets and value.get_secret_value()) or None
            # Empty is said only where it is not what saying nothing means.
            if value or (value is not None and value != field.default):
                out[PREFIX + name.upper()] = ",".join(value) if isinstance(value, tuple) else str(value)
        return out

    def replaced(self, **changes: Any) -> Self:
        """The same settings but for these; what lies below home by default follows it. Raises SettingsError."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        if "home" in changes:
            values = {name: value for name, value in values.items() if value != _below(self.home).get(name)}
        try:
            return type(self)(**(values | changes))
        except ValidationError as error:
            raise SettingsError(_sentence(error, {})) from None

    @model_validator(mode="before")
    @classmethod
    def _below_home(cls, values: Any) -> Any:
        home = values.get("home")
        return values if home is None else _below(Path(home)) | values

    @field_validator("embedded", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("kafka")
    @classmethod
    def _servers(cls, text: str) -> str:
        for server in text.split(","):
            address(server)
        return text

    @field_validator("otlp_grpc")
    @classmethod
    def _server(cls, text: str) -> str:
        if text:
            address(text)
        return text

    @field_validator("health_host")
    @classmethod
    def _host(cls, text: str) -> str:
        try:
            return str(ipaddress.ip_address(text))
        except ValueError:
            raise SettingsError(
                f"HEADRACE_HEALTH_HOST is {text!r}; it takes an IP address, as 127.0.0.1, or 0.0.0.0 for every one"
            ) from None

    @field_validator("key")
    @classmethod
    def _key(cls, text: SecretStr) -> SecretStr:
        return SecretStr(bare_key(text.get_secret_value()))

    @field_validator("clickhouse", "gateway", "console")
    @classmethod
    def _url(cls, text: str) -> str:
        address(text)
        return text.rstrip("/")


def bare_key(text: str) -> str:
    """An API key as it is sent, without what it was pasted with. Raises SettingsError, which does not show it."""
    key = text.strip().removeprefix("Bearer ").strip()
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise SettingsError("the API key has blanks or signs that no key has; `headrace keys add` prints it as hr_…")
    return key


def key_of_environ(environ: Mapping[str, str] | None = None) -> str:
    """The API key in HEADRACE_KEY, or in the file that HEADRACE_KEY_FILE names; empty where there is none."""
    environ = os.environ if environ is None else environ
    file = environ.get(f"{PREFIX}KEY{FROM_FILE.upper()}", "")
    return bare_key(_content("key", Path(file)) if file else environ.get(f"{PREFIX}KEY", ""))


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


def is_loopback(host: str) -> bool:
    """Whether only this machine's own programs reach what listens on, or is called, this host."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _below(home: Path) -> dict[str, Path]:
    """What stands below home where nothing else is said."""
    return {"artifacts": home / "artifacts", "keys": home / "keys.json"}


def _content(name: str, file: Path) -> str:
    try:
        return file.read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        variable = f"{PREFIX}{name.upper()}_FILE"
        raise SettingsError(f"{variable} is {file}, which cannot be read: {error}") from None


def _unknown(name: str, known: Collection[str]) -> str:
    variable = PREFIX + name.upper()
    if name == "api_keys":
        return f"{variable} is not a setting any more; API keys stand in a file: make them with `headrace keys add`"
    return f"{variable} is not a setting; there are {', '.join(PREFIX + one.upper() for one in known)}"


def _sentence(error: ValidationError, given: Mapping[str, str]) -> str:
    """The first complaint, with the variable and, where it is no secret, what it was."""
    first = error.errors(include_url=False, include_input=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    variable = PREFIX + name.upper()
    what = repr(given[name]) if name in given and name not in Settings.SECRETS else "what it is"
    if name == "embedded":
        return f"{variable} is {what}; it takes kafka and clickhouse, or nothing"
    bounds = {
        "partitions": "a whole number from 1 to 256",
        "streams_workers": "a whole number from 1 to 64",
        "gateway_processes": "a whole number from 1 to 64",
        "health_port": "a port up to 65000, 0 for a free one",
        "spool_mib": "a whole number from 1 to 1048576",
    }
    if name in bounds:
        return f"{variable} is {what}; it takes {bounds[name]}"
    message = first["msg"].removeprefix("Value error, ")
    return f"{variable} is {what}; {message[0].lower()}{message[1:]}"
