"""The warehouse as the parts see it: insert JSON rows, run a query by name. One object a process, safe in threads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Protocol, Self
from uuid import UUID

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from headrace.access.logins import LOGIN_CODES, analyst_login, clickhouse_login
from headrace.access.tls import tls_context
from headrace.contract.given_ids import Given
from headrace.errors import Permanent, Transient, WarehouseError
from headrace.settings import Settings, address
from headrace.warehouse import foreign_ids, migration
from headrace.warehouse.codes import classify, short

PIECE_BYTES = 1 << 20

_INSERT = {
    "date_time_input_format": "best_effort",
    "input_format_skip_unknown_fields": "0",
    "input_format_null_as_default": "1",
    "input_format_json_read_objects_as_strings": "1",  # extra, trigger, live: JSON in a String column
    "async_insert": "0",
    # Where a replica knows a repeated block, what it feeds (arrivals) may lack it: each table looks for itself.
    "deduplicate_blocks_in_dependent_materialized_views": "1",
}
# A piece of a dumped table has rows of all its months; a block of new events makes few parts (headrace/places.py).
_DUMPED = _INSERT | {"throw_on_max_partitions_per_insert_block": "0"}


class Sink(Protocol):
    """Where rows go."""

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """Store rows, each one JSON object, all or none. A row of the same key that was stored before is replaced.

        Raises Transient where waiting may help, Permanent where this block cannot be stored as it is.
        """

    def insert_records(self, table: str, records: Sequence[bytes]) -> None:
        """Store the events of Kafka records into `inferences` or `feedback`, all or none.

        records: JSON objects: kafka_topic, kafka_partition, kafka_offset, events, a list as the emitter wrote it, which
            the table's model accepts in its strict mode, and first, the place of the first of them in the record; for
            inferences also audit_key_0, audit_key_1 and audit_rates (by task), by which the base audit draws, and
            mark_key_0 and mark_key_1, by which gateways mark their ids
        Raises Transient; Permanent where a value cannot be stored or has a form that only `insert` takes.
        """

    def identify(self, given: Sequence[Given]) -> Mapping[int, UUID]:
        """By key of each text the id that stands for it, the same for ever. Raises WarehouseError."""


class Warehouse:
    """ClickHouse over HTTP."""

    def __init__(self, client: Client, database: str) -> None:
        self._client = client
        self.database = database

    @classmethod
    def connect(cls, settings: Settings, answer_within_s: int = 120, as_analyst: bool = False) -> Self:
        """Raises Transient where ClickHouse does not answer, Permanent where it refuses the login.

        answer_within_s: how long a statement may take
        as_analyst: log in as the user who only reads, within limits; else as the parts do
        """
        host, port = address(settings.clickhouse)
        user, password = analyst_login(settings) if as_analyst else clickhouse_login(settings)
        try:
            client = clickhouse_connect.get_client(
                host=host,
                port=port,
                interface="https" if settings.clickhouse.startswith("https") else "http",
                username=user,
                password=password,
                **_tls(settings),
                # Who only reads may set nothing.
                settings={} if as_analyst else _replicas(settings),
                autogenerate_session_id=False,
                compress=False,
                tz_mode="aware",
                connect_timeout=5,
                send_receive_timeout=answer_within_s,
            )
        except ClickHouseError as error:
            where = f"ClickHouse at {settings.clickhouse}"
            if (code := int(getattr(error, "code", 0) or 0)) in LOGIN_CODES:
                variable = "HEADRACE_ANALYST_PASSWORD" if as_analyst else "HEADRACE_CLICKHOUSE_PASSWORD"
                raise Permanent(f"{where} refused the login of {user}; check {variable}", code) from None
            raise Transient(f"{where} does not answer: {short(error)}{_advice(error)}") from None
        return cls(client, settings.database)

    def prepare(self) -> None:
        """Create the database where it is not there, and bring it to the present schema (see migration.py).

        Raises SettingsError where a newer version wrote it.
        """
        self._run(lambda: self._client.command(f"CREATE DATABASE IF NOT EXISTS {_identifier(self.database)}"))
        migration.prepare(self)

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """See Sink.insert."""
        if not rows:
            return
        name = f"{_identifier(self.database)}.{_identifier(table)}"
        block = b"\n".join(rows)
        self._run(lambda: self._client.raw_insert(name, insert_block=block, settings=_INSERT, fmt="JSONEachRow"))

    def insert_records(self, table: str, records: Sequence[bytes]) -> None:
        """See Sink.insert_records."""
        if not records:
            return
        settings = {**_INSERT, "input_format_json_ignore_unknown_keys_in_named_tuple": "0", "database": self.database}
        block = b"\n".join((insert_text(table), *records))
        self._run(lambda: self._client.raw_insert("", insert_block=block, settings=settings))

    def identify(self, given: Sequence[Given]) -> Mapping[int, UUID]:
        """See Sink.identify."""
        return foreign_ids.identify(self, given)

    def query(self, name: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of the query in `queries/<name>.sql`, as dictionaries."""
        return self.rows(query_text(name), **parameters)

    def rows(self, sql: str, **parameters: Any) -> list[dict[str, Any]]:
        """Rows of a query; `{name:Type}` in the text takes the parameter of that name."""
        result = self._run(lambda: self._client.query(sql, parameters=parameters, settings={"database": self.database}))
        return list(result.named_results())

    def blocks(self, name: str, **parameters: Any) -> Iterator[Sequence[Sequence[Any]]]:
        """Rows of the query in `queries/<name>.sql` as they arrive, a block at a time. Raises WarehouseError."""
        asked = {"database": self.database}
        found = self._run(
            lambda: self._client.query_row_block_stream(query_text(name), parameters=parameters, settings=asked)
        )
        with found as blocks:
            while (block := self._run(lambda: next(blocks, None))) is not None:
                yield block

    def command(self, sql: str, **parameters: Any) -> None:
        """Run a statement that returns nothing."""
        self._run(lambda: self._client.command(sql, parameters=parameters, settings={"database": self.database}))

    def stream(self, sql: str, **parameters: Any) -> Iterator[bytes]:
        """The bytes of a query's result in the format that it names. Raises WarehouseError."""
        asked = {"database": self.database}
        found = self._run(lambda: self._client.raw_stream(sql, parameters=parameters, settings=asked))
        with found:
            while piece := self._run(lambda: found.read(PIECE_BYTES)):
                yield piece

    def insert_native(self, table: str, data: Iterator[bytes]) -> None:
        """Store a block in ClickHouse's format Native, which names its columns. Raises WarehouseError."""
        name = f"{_identifier(self.database)}.{_identifier(table)}"
        block = b"".join(data)
        self._run(lambda: self._client.raw_insert(name, insert_block=block, settings=_DUMPED, fmt="Native"))

    def close(self) -> None:
        """Give the connections back."""
        self._client.close()

    def _run(self, statement: Any) -> Any:
        try:
            return statement()
        except (ClickHouseError, OSError) as error:
            raise classify(error) from error


class MemorySink:
    """A Sink in memory: keeps rows by table; `fail` holds errors to raise, first in first out."""

    def __init__(self) -> None:
        self.tables: dict[str, list[bytes]] = {}
        self.ids: dict[int, UUID] = {}
        self.fail: list[WarehouseError] = []

    def insert(self, table: str, rows: Sequence[bytes]) -> None:
        """See Sink.insert."""
        if self.fail:
            raise self.fail.pop(0)
        self.tables.setdefault(table, []).extend(rows)

    def insert_records(self, table: str, records: Sequence[bytes]) -> None:
        """See Sink.insert_records."""
        self.insert(table, [row for record in records for row in events_of(record)])

    def identify(self, given: Sequence[Given]) -> Mapping[int, UUID]:
        """See Sink.identify."""
        return {one.key: self.ids.setdefault(one.key, one.id) for one in given}


def events_of(record: bytes) -> list[bytes]:
    """The rows of one of insert_records' records, without the draw of the base audit."""
    fields = json.loads(record)
    events, first = fields.pop("events"), fields.pop("first", 0)
    origin = {name: value for name, value in fields.items() if name.startswith("kafka_")}
    return [json.dumps({**event, **origin, "kafka_index": place}).encode() for place, event in enumerate(events, first)]


@cache
def query_text(name: str) -> str:
    """The text of `queries/<name>.sql`; a name is `asker/query`."""
    return (resources.files("headrace.warehouse") / "queries" / f"{name}.sql").read_text("utf-8")


@cache
def insert_text(table: str) -> bytes:
    """The text of `inserts/<table>.sql`, without its comment."""
    text = (resources.files("headrace.warehouse") / "inserts" / f"{table}.sql").read_bytes()
    return text[text.index(b"INSERT INTO") :].rstrip()


def query_names() -> Iterable[str]:
    """The names of all queries, `asker/query`."""
    folders = (resources.files("headrace.warehouse") / "queries").iterdir()
    files = ((folder.name, file.name) for folder in folders if folder.is_dir() for file in folder.iterdir())
    return sorted(f"{folder}/{file.removesuffix('.sql')}" for folder, file in files if file.endswith(".sql"))


def _tls(settings: Settings) -> dict[str, Any]:
    """Options of an https address. Raises SettingsError where a file that they name cannot be used."""
    if not settings.clickhouse.startswith("https"):
        return {}
    ca, cert, key = settings.clickhouse_ca, settings.clickhouse_cert, settings.clickhouse_key
    # clickhouse-connect would say so only when it connects, and not which file it was.
    tls_context("HEADRACE_CLICKHOUSE", ca, cert, key)
    files = {"ca_cert": ca, "client_cert": cert, "client_cert_key": key}
    options: dict[str, Any] = {name: str(file) for name, file in files.items() if file is not None}
    # The password counts beside a client certificate; without one the certificate is the login.
    return options | {"tls_mode": "strict"} if clickhouse_login(settings)[1] else options


def _replicas(settings: Settings) -> dict[str, str]:
    """What every statement asks of a warehouse with replicas."""
    asked: dict[str, str] = {}
    if settings.clickhouse_quorum:
        asked["insert_quorum"] = settings.clickhouse_quorum
    if settings.clickhouse_sequential:
        # Blocks of a table then get their quorum one after the other: else ClickHouse cannot tell what is complete.
        asked |= {"select_sequential_consistency": "1", "insert_quorum_parallel": "0"}
    return asked


def _advice(error: Exception) -> str:
    return "; set HEADRACE_CLICKHOUSE_CA" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""


def _identifier(name: str) -> str:
    if not name.replace("_", "").isalnum():
        raise Permanent(f"{name!r} is not a name of a database or table")
    return f"`{name}`"
