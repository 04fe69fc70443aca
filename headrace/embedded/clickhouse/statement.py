"""Where a statement ends and an INSERT's data begins: lexing only; the engine does the parsing.

The HTTP protocol sends both in one stream (the `query` of the URL, then the body). An INSERT's statement ends at
VALUES or at FORMAT <name>; after that come bytes of that format, which may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from headrace.embedded.clickhouse.errors import refuse

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_$]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*)
    |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
# A table, perhaps of a database, each perhaps a parameter; a list of columns, also of a nested one; settings: w a word,
# t a quoted text, n a number.
_TABLE_NAME = re.compile(rb"([wt]|\{w:w\})(\.([wt]|\{w:w\}))?")
_COLUMNS = re.compile(rb"(\([wt](\.[wt])*(,[wt](\.[wt])*)*\))?")
_SETTINGS = re.compile(rb"(w=-?[wtn](,w=-?[wtn])*)?")
_EXCEPTED = re.compile(rb"\(\*w([wt]|\([wt](,[wt])*\))\)")
_SETTINGS_BEGUN = re.compile(rb"(w=-?[wtn],)*(w(=(-?[wtn]?)?)?)?")
# The temporary table that stands for input(…).
INPUT = "_input"
# What input(…) begins with: a statement without it need not be cut up to see that it has none.
_INPUT = re.compile(rb"\binput\s*(?:\(|--|\#|/\*)", re.IGNORECASE)
_AFTER_FORMAT = re.compile(rb"[ \t\f]*;?[ \t\f]*\r?\n?")

# Statements that answer with nothing: no format is announced for them.
_SILENT = frozenset(
    b"CREATE DROP ALTER INSERT SET USE RENAME TRUNCATE SYSTEM GRANT REVOKE ATTACH DETACH DELETE UPDATE EXCHANGE "
    b"UNDROP MOVE".split()
)
_STREAMED = frozenset(b"SELECT WITH FROM (".split())


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement as the engine takes it.

    sql: for an INSERT with data, without its VALUES or FORMAT clause
    format: what the statement itself names, None where it leaves it to the client
    data_at: where an INSERT's data begins in the text; None for every other statement
    silent: answers with nothing
    streamed: a SELECT
    uses: USE
    """

    sql: bytes
    format: str | None
    data_at: int | None = None
    silent: bool = False
    streamed: bool = False
    uses: bool = False


@dataclass(frozen=True, slots=True)
class FromInput:
    """INSERT … SELECT … FROM input('structure') … FORMAT name, data: rows that a SELECT reshapes on their way in.

    sql: with the table INPUT in place of input(…) and without the FORMAT clause
    structure: the data's columns, as in CREATE TABLE
    data_at: where the data begins in the text
    """

    sql: bytes
    structure: str
    format: str
    data_at: int


@dataclass(frozen=True, slots=True)
class Target:
    """Where an INSERT goes, as its text has it.

    columns: a list in parentheses, or empty
    excepted: names that (* EXCEPT …) leaves out of all columns
    settings: from the word SETTINGS on, or empty
    """

    table: str
    columns: str
    settings: str = ""
    excepted: tuple[str, ...] = ()


class Token(NamedTuple):
    """A tuple: a statement of the loop has five hundred, and is cut up before it runs.

    text: in capitals
    """

    kind: str
    text: bytes
    start: int
    end: int


def tokens(text: bytes, at: int = 0) -> Iterator[Token]:
    for found in _TOKEN.finditer(text, at):
        kind = found.lastgroup or "mark"
        if kind != "space":
            yield Token("text" if kind == "tag" else kind, found.group().upper(), found.start(), found.end())


def insert_at(text: bytes) -> int | None:
    """Where the word INSERT begins, first or behind a WITH: then the rest may be data, which must not be read whole."""
    depth, before = 0, Token("", b"", 0, 0)
    for token in tokens(text):
        if not before.text and token.text == b"INSERT":
            return token.start
        if before.text == b"INSERT" and token.text == b"INTO" and not depth:
            return before.start
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        if (not before.text and token.text != b"WITH") or (not depth and token.text == b"SELECT"):
            return None
        before = token
    return None


def takes_data(text: bytes, insert: int) -> bool:
    """Whether the INSERT that begins there has no rows of its own: neither a SELECT nor data in the text."""
    depth = 0
    for token in tokens(text, insert):
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        if not depth and token.text in (b"SELECT", b"WITH", b"EXPLAIN", b"WATCH", b"FROM"):
            return False
    return True


def split_insert(text: bytes, insert: int, final: bool) -> Statement | None:
    """An INSERT and where its data begins; None where it takes its rows from a SELECT, or more text is needed.

    insert: where it begins; a WITH before it means nothing to data
    final: no more text will come
    """
    depth = 0
    found = tokens(text, insert)
    for token in found:
        if token.text in (b"(", b"[", b"{"):
            depth += 1
        elif token.text in (b")", b"]", b"}"):
            depth -= 1
        # A word that touches the end may go on in the next piece.
        if depth or token.kind != "word" or (token.end == len(text) and not final):
            continue
        if token.text in (b"SELECT", b"WITH", b"EXPLAIN", b"WATCH"):
            return None
        if token.text == b"VALUES":
            return Statement(text[insert : token.start], "Values", token.end, silent=True)
        if token.text == b"FORMAT":
            name = next(found, None)
            if name is None or (name.end == len(text) and not final):
                return None
            settings = _settings_behind(text, name.end, final)
            if settings is None:
                return None
            at = _AFTER_FORMAT.match(text, settings)
            head = text[insert : token.start] + text[name.end : settings]
            data_at = at.end() if at else settings
            return Statement(head, text[name.start : name.end].decode(), data_at, silent=True)
    return None


def _settings_behind(text: bytes, at: int, final: bool) -> int | None:
    """Where SETTINGS end that follow FORMAT <name>, `at` where there are none; None where more text is needed."""
    ended, shape = at, b""
    for token in tokens(text, at):
        if not shape and token.text != b"SETTINGS":
            # The beginning of the word, perhaps.
            goes_on = token.end == len(text) and b"SETTINGS".startswith(token.text)
            return None if goes_on and not final else at
        grown = shape + _shape([token])
        if not _SETTINGS_BEGUN.fullmatch(grown[1:]):
            # A quote alone is the beginning of a text, perhaps.
            goes_on = token.text in (b"'", b'"', b"`") and shape.endswith(b"=")
            if goes_on and not final:
                return None
            break
        ended, shape = token.end, grown
    else:
        # The last word may go on in the next piece, and so may the list.
        if not final:
            return None
    return ended if len(shape) > 1 and _SETTINGS.fullmatch(shape[1:]) else at


def target(sql: bytes) -> Target | None:
    """Of the text before FORMAT or VALUES; None where it is more than a table's name, a list of columns, settings."""
    found = list(tokens(sql))
    at = 1
    for word in (b"INTO", b"TABLE"):
        at += len(found) > at + 1 and found[at].text == word
    shape = _TABLE_NAME.match(_shape(found[at:]))
    if shape is None or found[at].text == b"FUNCTION":
        return None
    # A letter of the shape is a token.
    name, rest = found[at : at + shape.end()], found[at + shape.end() :]
    split = next((index for index, token in enumerate(rest) if token.text == b"SETTINGS"), len(rest))
    columns, settings = rest[:split], rest[split:]
    excepted: tuple[str, ...] = ()
    if _EXCEPTED.fullmatch(_shape(columns)) and columns[2].text == b"EXCEPT":
        excepted = tuple(_name(sql, token) for token in columns[3:] if token.kind != "mark")
        columns = []
    if not _COLUMNS.fullmatch(_shape(columns)) or not _SETTINGS.fullmatch(_shape(settings[1:])):
        return None
    return Target(
        _text(sql[name[0].start : name[-1].end]),
        _text(sql[columns[0].start : columns[-1].end]) if columns else "",
        _text(sql[settings[0].start : settings[-1].end]) if settings else "",
        excepted,
    )


def _name(sql: bytes, token: Token) -> str:
    """An identifier without its quotes."""
    text = _text(sql[token.start : token.end])
    return (
        re.sub(r"\\(.)|``|\"\"", lambda found: found.group(1) or found.group()[0], text[1:-1])
        if token.kind == "text"
        else text
    )


def _shape(found: list[Token]) -> bytes:
    """Marks as they are, a letter for every other token: of its kind."""
    return b"".join(token.text if token.kind == "mark" else token.kind[0].encode() for token in found)


def called(text: bytes) -> Iterator[str]:
    """Names in front of a parenthesis, and OUTFILE behind INTO; text: as the engine writes a statement."""
    before: Token | None = None
    for token in tokens(text):
        if before is not None and token.text == b"(" and before.kind in ("word", "text"):
            yield _text(text[before.start : before.end]).strip('`"')
        if before is not None and before.text == b"INTO" and token.text == b"OUTFILE":
            yield "OUTFILE"
        before = token


def _text(piece: bytes) -> str:
    return piece.decode("utf-8", "surrogateescape")


def split_input(text: bytes, final: bool) -> FromInput | None:
    """The statement, where it is one that reads input(…) once; None where it is not, or more text is needed.

    final: no more text will come
    """
    if not _INPUT.search(text):
        return None
    depth = 0
    seen: list[Token] = []
    opened = 0
    for token in tokens(text):
        seen.append(token)
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        before = [held.text for held in seen[-4:-2]]
        if token.text == b")" and before == [b"INPUT", b"("] and seen[-2].kind == "text":
            opened = len(seen) - 4
        if not opened or depth or seen[-2].text != b"FORMAT" or token.kind != "word":
            continue
        # A word that touches the end may go on in the next piece.
        if token.end == len(text) and not final:
            return None
        after = _AFTER_FORMAT.match(text, token.end)
        word, close = seen[opened], seen[opened + 3]
        return FromInput(
            text[: word.start] + f"`{INPUT}`".encode() + text[close.end : seen[-2].start],
            _unquoted(text[seen[opened + 2].start : seen[opened + 2].end]),
            text[token.start : token.end].decode(),
            after.end() if after else token.end,
        )
    return None


def _unquoted(literal: bytes) -> str:
    return literal[1:-1].replace(b"''", b"'").replace(b"\\'", b"'").decode("utf-8", "surrogateescape")


def read(text: bytes) -> Statement:
    """A statement that carries no data. Raises Refused (62) for none and for several."""
    found = list(tokens(text))
    while found and found[-1].text == b";":
        found.pop()
    if not found:
        raise refuse(62, "SYNTAX_ERROR", "Syntax error: the query is empty")
    depth = 0
    inserts = False
    for token, after in zip(found, [*found[1:], found[0]], strict=True):
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        if token.text == b";" and depth == 0:
            raise refuse(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        # WITH … INSERT INTO … SELECT
        inserts = inserts or (token.text == b"INSERT" and after.text == b"INTO" and not depth)
    return Statement(
        text[: found[-1].end],
        _named_format(found, text),
        silent=inserts or found[0].text in _SILENT,
        streamed=found[0].text in _STREAMED and not inserts,
        uses=found[0].text == b"USE",
    )


def without_format(sql: bytes) -> bytes:
    """The statement without its FORMAT clause, as it may stand in parentheses."""
    found = list(tokens(sql))
    at = _format_at(found)
    return sql if at is None else sql[: found[at].start] + sql[found[at + 1].end :]


def _named_format(found: list[Token], text: bytes) -> str | None:
    at = _format_at(found)
    return None if at is None else text[found[at + 1].start : found[at + 1].end].decode()


def _format_at(found: list[Token]) -> int | None:
    """Where the last FORMAT <name> is that ends the statement or stands before SETTINGS."""
    for index in range(len(found) - 2, -1, -1):
        token, name = found[index], found[index + 1]
        ends = index + 2 == len(found) or found[index + 2].text == b"SETTINGS"
        if ends and token.text == b"FORMAT" and token.kind == name.kind == "word":
            return index
    return None
