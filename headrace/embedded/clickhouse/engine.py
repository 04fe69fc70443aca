"""chdb's engine: one to a process and a folder, any number of sessions on it."""

from __future__ import annotations

import contextlib
import json
import os
import re
import threading
from collections.abc import Generator, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from headrace.embedded.clickhouse import configuration, statement
from headrace.embedded.clickhouse.allowed import Allowed
from headrace.embedded.clickhouse.errors import Refused, from_engine, refuse
from headrace.errors import StackError

# Where the data of an INSERT waits to be written.
STAGED = "_staged"
# The longest statement that is parsed for what it may not do.
LARGEST_CHECKED = 4 << 20

# A parameter's name may have a $ in it; no setting's has.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*|param_[A-Za-z0-9_$]+")

# Types that a table keeps once it was created with the settings for them: the table in memory is created alike.
_CAREFUL_TYPES = re.compile(r"Nested\(|Variant\(|FixedString\(\d{3}|LowCardinality\((?!(?:Nullable\()?String)")
_AS_THE_TABLE = {
    "flatten_nested": "0",
    "allow_suspicious_variant_types": "1",
    "allow_suspicious_fixed_string_types": "1",
    "allow_suspicious_low_cardinality_types": "1",
}


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
        self._own_database: str | None = None

    def use(self, database: str) -> None:
        self.query(f"USE {_identifier(database)}")

    def database(self) -> str:
        return self.query("SELECT currentDatabase()", "RawBLOB").bytes().decode("utf-8", "surrogateescape")

    def set(self, settings: Mapping[str, str]) -> None:
        """Apply settings, values as in a URL. Raises Refused (115 unknown, 452 beyond a limit, 164 read-only)."""
        if settings:
            for name in settings:
                if not _NAME.fullmatch(name):
                    raise refuse(115, "UNKNOWN_SETTING", f"Setting {name!r} is neither a builtin setting nor allowed")
            self.query("SET " + ", ".join(f"{name} = {_literal(value)}" for name, value in settings.items()))

    def lend_database(self, name: str) -> None:
        """`use` until `restore`, unless the statement itself is a USE. Raises Refused (81)."""
        own = self.database()
        self.use(name)
        self._own_database = own

    def keep_database(self) -> None:
        """After a USE: nothing to restore."""
        self._own_database = None

    def lend(self, settings: Mapping[str, str], kept: Mapping[str, str] | None = None) -> None:
        """`set` until `restore`; kept: settings that stay, set by the same statement."""
        self.set({**settings, **(kept or {})})
        self._lent.extend(settings)

    def lend_table(
        self, name: str, structure: str, format: str, data: Iterator[bytes], columns: str = "", settings: str = ""
    ) -> None:
        """A temporary table of the data until `restore`. Raises Refused.

        structure: as in CREATE TABLE; columns: those that the data has, a list in parentheses; empty: all;
        settings: SETTINGS of the INSERT, which say how the data is read; empty: none
        """
        quoted = _identifier(name)
        self.query(f"CREATE TEMPORARY TABLE {quoted} ({structure}) ENGINE = Memory")
        self._lent_tables.append(quoted)
        wanted = self._stream(f"{quoted} {columns} {settings}", format, data)
        held = int(self.query(f"SELECT count() FROM {quoted}").bytes())
        if held != wanted:
            raise refuse(241, "MEMORY_LIMIT_EXCEEDED", f"Only {held} of {wanted} rows could be held in memory")

    def restore(self) -> None:
        """As it was before the request: nothing open, nothing lent."""
        self.end_stream()
        if self._lent:
            self.query("SET " + ", ".join(f"{name} = DEFAULT" for name in self._lent))
            self._lent.clear()
        if self._own_database is not None:
            own, self._own_database = self._own_database, None
            # It may be gone by now.
            with contextlib.suppress(Refused):
                self.use(own)
        while self._lent_tables:
            self.query(f"DROP TEMPORARY TABLE {self._lent_tables.pop()}")

    def query(self, sql: str | bytes, format: str = "TabSeparated") -> Piece:
        """Run a statement and return the whole result. Raises Refused."""
        try:
            result: Piece = self._connection.query(sql, format)
        except Exception as error:
            raise from_engine(error) from None
        return result

    def types_of(self, select: bytes) -> list[str]:
        """The types of a SELECT's columns. Raises Refused."""
        described = self.query(b"DESCRIBE TABLE (" + select + b")", "JSONCompact").bytes()
        return [str(column[1]) for column in json.loads(described)["data"]]

    def only_reads(self, sql: bytes) -> bool:
        """Whether the engine's parser says that the statement changes nothing, the session included."""
        found = self._connection._conn.classify_query(sql)
        return bool(found["query_class"].name == "READ_ONLY")

    def stream(self, sql: bytes, format: str) -> Iterator[Piece]:
        """A SELECT's result, block by block; the last piece holds no rows but may hold totals. Raises Refused."""
        try:
            result = self._connection.send_query(sql, format)
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
        """Insert the data; rows and bytes written. Raises Refused, and then nothing or whole blocks were written.

        The engine's streamed insert forgets what goes wrong while it writes: a violated constraint, a full disk, too
        many parts are told as success. It only fills a table in memory here, and a statement writes from that. The
        data never is part of a statement: what follows VALUES (…); would run as one more.
        """
        target = statement.target(sql)
        if target is None:
            raise refuse(
                48,
                "NOT_IMPLEMENTED",
                "An INSERT with data names a table, its columns and settings, and its data comes with the request, "
                "not FROM INFILE; for anything else use INSERT … SELECT … FROM input(…)",
            )
        structure, own = self._insertable(target.table)
        left_out = {_identifier(name) for name in target.excepted}
        names = target.columns or f"({', '.join(name for name in own if name not in left_out)})"
        if _CAREFUL_TYPES.search(structure):
            self.lend(_AS_THE_TABLE)
        self.lend_table(STAGED, structure, format, data, names, target.settings)
        into = f"INSERT INTO {target.table} {names} {target.settings}"
        result = self.query(f"{into} SELECT {names[1:-1]} FROM {_identifier(STAGED)}")
        return result.rows_written(), result.bytes_written()

    def _insertable(self, table: str) -> tuple[str, list[str]]:
        """The structure of a table for the data of an INSERT, and the columns that take data when none are named."""
        structure, own = [], []
        described = json.loads(self.query(f"DESCRIBE TABLE {table}", "JSONCompact").bytes())["data"]
        for name, type, kind, default, *_ in described:
            if kind in ("", "DEFAULT", "EPHEMERAL"):
                structure.append(f"{_identifier(name)} {type}" + (f" DEFAULT {default}" if kind else ""))
            if kind in ("", "DEFAULT"):
                own.append(_identifier(name))
        return ", ".join(structure), own

    def _stream(self, table: str, format: str, data: Iterator[bytes]) -> int:
        """Rows of the data, as the engine's streamed insert puts them into a table in memory."""
        try:
            with self._connection.send_insert(f"INSERT INTO {table}", format) as writer:
                for piece in data:
                    writer.append(piece)
                return int(writer.finish().rows_written)
        except Refused:
            raise
        except RuntimeError as error:
            raise from_engine(error) from None

    def end_stream(self) -> None:
        """Cancel a result that nobody reads any more. Before anything else: the engine crashes otherwise."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def close(self) -> None:
        self.end_stream()
        self._connection.close()


class Parser:
    """The engine's parser on a session of its own, for any number of threads."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._session.set({"max_query_size": str(2 * LARGEST_CHECKED)})
        self._lock = threading.Lock()

    def tree(self, sql: bytes) -> Any:
        """The statement as the engine parses it; None where the engine has no tree of this kind of statement.

        Raises Refused (62) where it is not one statement.
        """
        try:
            return json.loads(self._call("parseQueryToJSON", sql).decode("utf-8", "surrogateescape"))
        except Refused as refused:
            if refused.code == 36 and "parseQueryToJSON)" in refused.text:
                return None
            raise

    def formatted(self, sql: bytes) -> bytes:
        """The statement as the engine writes it: without comments, escapes in names, and needless quotes.

        Raises Refused (62) where it is not one statement.
        """
        return self._call("formatQuerySingleLine", sql)

    def names(self, table: str) -> list[str]:
        """What `system.<table>` lists."""
        with self._lock:
            return self._session.query(f"SELECT name FROM system.{table}").bytes().decode().split()

    def close(self) -> None:
        self._session.close()

    def _call(self, function: str, sql: bytes) -> bytes:
        if len(sql) > LARGEST_CHECKED:
            raise refuse(62, "SYNTAX_ERROR", f"The statement is longer than {LARGEST_CHECKED} bytes")
        text = sql.replace(b"\\", b"\\\\").replace(b"'", b"\\'")
        try:
            with self._lock:
                return self._session.query(b"SELECT %b('%b')" % (function.encode(), text), "RawBLOB").bytes()
        except Refused as refused:
            # Without the call around the statement.
            words = re.sub(rf": In scope SELECT {function}\(.*(?= \([A-Z_]+\)$)", "", refused.text, flags=re.DOTALL)
            raise Refused(refused.code, words) from None


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
        # Whatever takes a relative path, despite `allowed`, takes it from here.
        os.chdir(folder / "user_files")
        # The engine reads the zone once; timestamps in answers and logs are UTC wherever it runs.
        os.environ["TZ"] = "UTC"
        _chdb.set_signal_handlers_enabled(False)  # type: ignore[attr-defined]
        self._address = f"{folder / 'data'}?config-file={config}"
        self._connect = chdb.connect
        try:
            # In the place of the engine's own, which reads any file and asks for no privilege.
            chdb.create_function("file", _no_file, arg_types=["String"], return_type="String")
            # The engine lives as long as one session does: this one.
            self._first = self.session()
            self._first.query(f"DETACH DATABASE {configuration.FILES_DATABASE}")
        except (RuntimeError, Refused) as error:
            raise StackError(f"ClickHouse could not open {folder / 'data'}: {str(error).splitlines()[0]}") from None
        self.version = self._first.query("SELECT version()").bytes().decode().strip()
        self.timezone = self._first.query("SELECT timezone()").bytes().decode().strip()
        self._parser = Parser(self.session())
        engines = [*self._parser.names("table_engines"), *self._parser.names("database_engines")]
        self.allowed = Allowed(self._parser, self._parser.names("table_functions"), engines)

    def session(self) -> Session:
        """A new session, with nothing set. About 0.2 ms."""
        return Session(self._connect(self._address))

    def close(self) -> None:
        """Finish merges and writes under way and close the tables."""
        self._parser.close()
        self._first.close()


def _no_file(path: str) -> str:
    """The function `file` of SQL."""
    raise PermissionError(path)


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
