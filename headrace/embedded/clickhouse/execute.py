"""A request on a session: which statement it is, what the engine is told, what comes back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from headrace.embedded.clickhouse import formats, native, statement
from headrace.embedded.clickhouse.body import Bounded, ByteSource, pieces, read_piece
from headrace.embedded.clickhouse.configuration import ANALYST_LIMITS
from headrace.embedded.clickhouse.engine import Engine, Piece, Session
from headrace.embedded.clickhouse.errors import Refused, refuse
from headrace.embedded.clickhouse.processes import comment, own_ids, own_kill
from headrace.embedded.clickhouse.request import Request
from headrace.embedded.clickhouse.statement import INPUT, FromInput, Statement

# ClickHouse's own limit (max_query_size) is the engine's to apply; this one bounds what the front holds.
LARGEST_STATEMENT = 16 << 20
# A result in a format that cannot be cut is held whole: beyond this it is refused (396), unless the client says how
# much it expects (max_result_bytes).
LARGEST_WHOLE = 512 << 20
# So much of a streamed result is waited for with `wait_end_of_query`: JDBC always sends it, for large results too.
WAITED = 8 << 20
# The data of an INSERT is held whole, too.
LARGEST_INPUT = 256 << 20


@dataclass(slots=True)
class StatementResult:
    """What a statement gave.

    format: None for statements that answer with nothing
    body: in pieces; the first is at hand, the others come as they are read and may raise Refused
    whole: all of it is at hand
    """

    format: str | None
    body: Iterator[bytes]
    whole: bool
    summary: dict[str, int] = field(default_factory=dict)


def execute(
    request: Request, body: ByteSource, session: Session, engine: Engine, reads: Callable[[], None]
) -> StatementResult:
    """Run the request. Raises Refused with ClickHouse's code, ConnectionError when the client has left.

    reads: is called before a statement runs that changes nothing, where the client asked that its leaving ends it
    """
    insert, text = _read_statement(request, body)
    allowed = engine.allowed
    for table in request.tables:
        allowed.check(_structure(table.structure))
    if isinstance(insert, FromInput):
        allowed.check(insert.sql)
        allowed.check(_structure(insert.structure))
        return _insert_input(request, insert, text, body, session)
    if insert is not None:
        # No check: it names a table and columns, and the rest is data.
        return _insert(request, insert, text, body, session)
    kill = own_kill(text, request.user) if request.analyst else None
    run = own_ids(text) if kill is None else kill
    plain = statement.read(run)
    allowed.check(plain.sql)
    name = plain.format or request.format or "TabSeparated"
    skip = formats.header_of(name) if plain.streamed else None
    # An array of rows has brackets around all of them.
    if request.settings.get("output_format_json_array_of_rows", "0") not in ("0", "false"):
        skip = None
    written_by_client = "" if run == text else text.decode("utf-8", "replace").strip()
    _prepare(request, session, LARGEST_WHOLE if plain.streamed and skip is None else None, written_by_client)
    if request.readonly and request.session_id and not session.only_reads(plain.sql):
        raise _only_read()
    # The engine's read-only mode lets every KILL through; an analyst's is of its own statements.
    if request.analyst and kill is None and not session.only_reads(plain.sql):
        allowed.parse(plain.sql)
        raise refuse(164, "READONLY", "Cannot execute query in readonly mode")
    if request.ends_with_client and session.only_reads(plain.sql):
        reads()
    is_native = name.lower() == "native" and request.protocol > 0
    if skip is None:
        result = session.query(plain.sql, name)
        if plain.uses:
            session.keep_database()
        whole = native.versioned(result.bytes(), request.protocol) if is_native else result.bytes()
        return StatementResult(None if plain.silent else name, iter([whole]), True, _summary(result))
    written = _versions(request, plain.sql, session, engine) if is_native else _as_it_is
    return _streamed(session.stream(plain.sql, name), name, skip, written, WAITED if request.waits else 0)


def _as_it_is(piece: bytes) -> bytes:
    return piece


def _versions(request: Request, sql: bytes, session: Session, engine: Engine) -> Callable[[bytes], bytes]:
    """Write each block for the client's version of the protocol."""
    kept = session.database() if request.session_id else request.database
    types: Sequence[str] | None = None

    def written(block: bytes) -> bytes:
        nonlocal types
        if (done := native.single(block, request.protocol)) is not None:
            return done
        if types is None:
            zoned = request.protocol >= native.WITH_TIME_ZONES and native.may_lack_a_zone(block)
            types = _types(request, sql, engine, kept) if zoned else ()
        return native.versioned(block, request.protocol, types)

    return written


def _types(request: Request, sql: bytes, engine: Engine, database: str) -> Sequence[str]:
    """The types of a running SELECT's columns, asked for beside it; none where it reads its session's own tables."""
    beside = engine.session()
    try:
        _prepare(replace(request, database=database), beside)
        return beside.types_of(statement.without_format(sql))
    except Refused:
        return ()
    finally:
        beside.close()


def _insert(request: Request, insert: Statement, text: bytes, body: ByteSource, session: Session) -> StatementResult:
    _prepare_write(request, session)
    data = pieces(Bounded(body, LARGEST_INPUT), text[insert.data_at :])
    rows, size = session.insert(insert.sql, insert.format or "Values", data)
    return StatementResult(None, iter(()), True, {"written_rows": rows, "written_bytes": size})


def _insert_input(
    request: Request, insert: FromInput, text: bytes, body: ByteSource, session: Session
) -> StatementResult:
    """The engine's own way to send data takes no SELECT: the data waits in memory, as a table of this request."""
    _prepare_write(request, session)
    data = pieces(Bounded(body, LARGEST_INPUT), text[insert.data_at :])
    session.lend_table(INPUT, insert.structure, insert.format, data)
    result = session.query(insert.sql)
    written = {"written_rows": result.rows_written(), "written_bytes": result.bytes_written()}
    return StatementResult(None, iter(()), True, written)


def _read_statement(request: Request, body: ByteSource) -> tuple[Statement | FromInput | None, bytes]:
    """An INSERT and the text read so far, whose data may go on in the body; or no INSERT and the whole text."""
    text = request.query + b"\n" if request.query else b""
    while True:
        # With a statement in the URL, what follows in the body is its data: no need to look for more of it.
        at = statement.insert_at(text)
        if at is not None and (insert := _split(text, at, final=bool(request.query))):
            return insert, text
        piece = read_piece(body)
        if not piece:
            break
        if request.query and at is not None and statement.takes_data(text, at):
            # Without a format of its own it takes the client's.
            return Statement(text[at:], request.format or "Values", len(text), silent=True), text + piece
        text += piece
        if len(text) > LARGEST_STATEMENT:
            raise refuse(62, "SYNTAX_ERROR", f"The statement is longer than {LARGEST_STATEMENT} bytes")
    at = statement.insert_at(text)
    return None if at is None else _split(text, at, final=True), text


def _split(text: bytes, at: int, final: bool) -> Statement | FromInput | None:
    return statement.split_insert(text, at, final) or statement.split_input(text, final)


def _prepare_write(request: Request, session: Session) -> None:
    """`_prepare` for a statement that is known to write. Raises Refused (164) where the request may only read."""
    _prepare(request, session)
    if request.readonly and request.session_id:
        raise _only_read()


def _only_read() -> Refused:
    return refuse(164, "READONLY", "Cannot execute query in readonly mode. A GET changes nothing: use POST")


def _structure(structure: str) -> bytes:
    """The statement that a client's list of columns becomes a part of."""
    return f"CREATE TEMPORARY TABLE t ({structure}) ENGINE = Memory".encode("utf-8", "surrogateescape")


def _limits(asked: Mapping[str, str]) -> dict[str, str]:
    """An analyst's limits: what the request asks for, or else the most. Raises Refused (452) for more, and for none."""
    for name, most in ANALYST_LIMITS.items():
        given = asked.get(name, str(most))
        # 0 would be no limit at all.
        if not given.isdigit() or not 1 <= int(given) <= most:
            raise refuse(
                452, "SETTING_CONSTRAINT_VIOLATION", f"Setting {name} is {given}, not a number from 1 to {most}"
            )
    return {name: asked.get(name, str(most)) for name, most in ANALYST_LIMITS.items()}


def _prepare(request: Request, session: Session, most_bytes: int | None = None, text: str = "") -> None:
    """Database, limits, settings, tables, parameters and, last, read-only: nothing after it can lift it.

    All settings are one statement, unless tables come between: a statement takes a third of a small query's time.
    """
    if request.database and request.session_id:
        session.lend_database(request.database)
    elif request.database:
        session.use(request.database)
    if request.analyst:
        limits = _limits(request.settings)
        if request.tables:
            # Their structure is SQL, and would run before readonly does.
            raise refuse(164, "READONLY", "External tables are not for a user who only reads")
    else:
        limits = {}
    said = comment(request.query_id, request.user, request.settings.get("log_comment", ""), text)
    lent = {**request.settings, "log_comment": said}
    if most_bytes is not None:
        # Whoever asks: such a result is held whole in this process.
        asked = lent.get("max_result_bytes", "")
        lent["max_result_bytes"] = str(min(int(asked) if asked.isdigit() and int(asked) else most_bytes, most_bytes))
    last = {f"param_{name}": value for name, value in request.parameters.items()}
    if request.analyst:
        last["readonly"] = "1"
    elif request.readonly and not request.session_id and request.settings.get("readonly") != "1":
        # A kept session could not be made writable again; there the statement itself is asked.
        last["readonly"] = "2"
    if request.tables:
        session.lend(lent)
        for table in request.tables:
            session.lend_table(table.name, table.structure, table.format, iter([table.data]))
        session.set(last)
    else:
        session.lend(lent, limits | lent | last)


def _streamed(
    result: Iterator[Piece], name: str, skip: formats.Skip, written: Callable[[bytes], bytes], wait_bytes: int
) -> StatementResult:
    """Two pieces are read at once: a small result is whole, and its errors come before its headers.

    wait_bytes: so much of it is waited for, too
    """
    held: list[bytes] = []
    summary: dict[str, int] = {}
    whole, size = False, 0
    for piece in result:
        data = piece.bytes()
        held.append(written(data[skip(data) :] if held else data))
        size += len(held[-1])
        for count, number in _summary(piece).items():
            before = summary.get(count, 0)
            # A piece has rows of its own; what was read is counted on.
            summary[count] = before + number if count == "result_rows" else max(before, number)
        whole = piece.rows_read() == 0
        if whole or (len(held) >= 2 and size >= wait_bytes):
            break
    first = b"".join(held)
    summary["result_bytes"] = size

    def rest() -> Iterator[bytes]:
        yield first
        if not whole:
            for piece in result:
                data = piece.bytes()
                yield written(data[skip(data) :])

    return StatementResult(name, rest(), whole, summary)


def _summary(piece: Piece) -> dict[str, int]:
    return {
        "read_rows": piece.storage_rows_read(),
        "read_bytes": piece.storage_bytes_read(),
        "written_rows": piece.rows_written(),
        "written_bytes": piece.bytes_written(),
        "result_rows": piece.rows_read(),
    }
