"""chdb's engine: one to a process and a folder, any number of sessions on it."""

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from headrace.embedded.clickhouse import configuration
from headrace.embedded.clickhouse.errors import Refused, from_engine, refuse
from headrace.errors import StackError

_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


class Piece(Protocol):
    """A block of a result in its format, and what was read and written for it so far."""

    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def storage_rows_read(self) -> int: ...
    def storage_bytes_read(self) -> int: ...
    def rows_written(self) -> int: ...
    def bytes_written(self) -> int: ...


class Session:
    """One session: its database, settings and temporary tables. Not for two threads at once."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._open: Generator[Piece, None, None] | None = None
        self._lent: list[str] = []
        self._lent_tables: list[str] = []

    def use(self, database: str) -> None:
        self.query(f"USE {_identifier(database)}")

    def set(self, settings: Mapping[str, str]) -> None:
        """Apply settings, values as in a URL. Raises Refused (115 unknown, 452 beyond a limit, 164 read-only)."""
        if settings:
            for name in settings:
                if not _NAME.fullmatch(name):
                    raise refuse(115, "UNKNOWN_SETTING", f"Setting {name!r} is neither a builtin setting nor allowed")
            self.query("SET " + ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items()))

    def lend(self, settings: Mapping[str, str]) -> None:
        """`set` until `restore`."""
        self.set(settings)
        self._lent.extend(settings)

    def lend_table(self, name: str, structure: str, format: str, data: bytes) -> None:
        """A temporary table until `restore`; structure as in CREATE TABLE. Raises Refused."""
        quoted = _identifier(name)
        self.query(f"CREATE TEMPORARY TABLE {quoted} ({structure}) ENGINE = Memory")
        self._lent_tables.append(quoted)
        self.insert(f"INSERT INTO {quoted}".encode(), format, iter([data]))

    def restore(self) -> None:
        """As it was before the request: nothing open, nothing lent."""
        self.end_stream()
        if self._lent:
            self.query("SET " + ", ".join(f"{name} = DEFAULT" for name in self._lent))
            self._lent.clear()
        while self._lent_tables:
            self.query(f"DROP TEMPORARY TABLE {self._lent_tables.pop()}")

    def query(self, sql: str | bytes, format: str = "TabSeparated") -> Piece:
        """Run a statement and return the whole result. Raises Refused."""
        try:
            result: Piece = self._connection.query(sql, format)
        except Exception as error:
            raise from_engine(error) from None
        return result

    def only_reads(self, sql: bytes) -> bool:
        """Whether the engine's parser says that the statement changes nothing, the session included."""
        found = self._connection._conn.classify_query(sql.decode("utf-8", "surrogateescape"))
        return bool(found["query_class"].name == "READ_ONLY")

    def stream(self, sql: bytes, format: str) -> Iterator[Piece]:
        """A SELECT's result, block by block; the last piece holds no rows but may hold totals. Raises Refused."""
        try:
            result = self._connection.send_query(sql.decode("utf-8", "surrogateescape"), format)
        except Exception as error:
            raise from_engine(error) from None
        self._open = self._pieces(result)
        return self._open

    def _pieces(self, result: Any) -> Generator[Piece, None, None]:
        # chdb's own iterator drops the last piece (an empty result's header, totals) and keeps no counts.
        native = result._conn
        done = False
        try:
            while not done:
                piece = native.streaming_fetch_result(result._result)
                done = piece is None or piece.rows_read() == 0
                if piece is not None:
                    yield piece
        except GeneratorExit:
            raise
        except Exception as error:
            done = True
            raise from_engine(error) from None
        finally:
            if not done:
                native.streaming_cancel_query(result._result)

    def insert(self, sql: bytes, format: str, data: Iterator[bytes]) -> tuple[int, int]:
        """Insert the data as it comes, in bounded memory; rows and bytes written. Raises Refused.

        What was written before an error stays, as in ClickHouse: a block is whole or absent, an insert is not.
        """
        try:
            with self._connection.send_insert(sql.decode("utf-8", "surrogateescape"), format) as writer:
                for piece in data:
                    writer.append(piece)
                result = writer.finish()
        except Refused:
            raise
        except RuntimeError as error:
            raise from_engine(error) from None
        return result.rows_written, result.bytes_written

    def end_stream(self) -> None:
        """Cancel a result that nobody reads any more. Before anything else: the engine crashes otherwise."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def close(self) -> None:
        self.end_stream()
        self._connection.close()


class Engine:
    """The engine on one folder. Raises StackError when chdb is missing or the folder is taken or unwritable."""

    def __init__(self, folder: Path, memory_bytes: int) -> None:
        try:
            import chdb
            from chdb import _chdb
        except ImportError:
            raise StackError("The embedded ClickHouse needs the package chdb; install headrace[embedded]") from None
        folder = folder.resolve()
        try:
            folder.mkdir(parents=True, exist_ok=True)
            config = configuration.write(folder, memory_bytes)
        except OSError as error:
            raise StackError(
                f"{error.filename or folder} cannot be written ({error.strerror}); set HEADRACE_HOME"
            ) from None
        # Like clickhouse-local, the engine takes file('name') from the working folder, whatever user_files_path says.
        os.chdir(folder / "user_files")
        # The engine reads the zone once; timestamps in answers and logs are UTC wherever it runs.
        os.environ["TZ"] = "UTC"
        _chdb.set_signal_handlers_enabled(False)  # type: ignore[attr-defined]
        self._address = f"{folder / 'data'}?config-file={config}"
        self._connect = chdb.connect
        try:
            # The engine lives as long as one session does: this one.
            self._first = self.session()
        except RuntimeError as error:
            raise StackError(f"ClickHouse could not open {folder / 'data'}: {str(error).splitlines()[0]}") from None
        self.version = self._first.query("SELECT version()").bytes().decode().strip()
        self.timezone = self._first.query("SELECT timezone()").bytes().decode().strip()

    def session(self) -> Session:
        """A new session, with nothing set. About 0.2 ms."""
        return Session(self._connect(self._address))

    def close(self) -> None:
        """Finish merges and writes under way and close the tables."""
        self._first.close()


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
