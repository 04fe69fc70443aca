"""Where a statement ends and an INSERT's data begins: lexing only; the engine does the parsing.

The HTTP protocol sends both in one stream (the `query` of the URL, then the body). An INSERT's statement ends at
VALUES or at FORMAT <name>; after that come bytes of that format, which may be anything.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headrace.embedded.clickhouse.errors import refuse

_TOKEN = re.compile(
    rb"""(?P<space>\s+|--[^\n]*|\#[ !][^\n]*|/\*.*?\*/)
    |(?P<text>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.|``)*`|\$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*)
    |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
# The temporary table that stands for input(…).
INPUT = "_input"
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
    """

    sql: bytes
    format: str | None
    data_at: int | None = None
    silent: bool = False
    streamed: bool = False


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
    """Where an INSERT goes, as its text has it; columns: a list in parentheses, or empty."""

    table: str
    columns: str


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: bytes
    start: int
    end: int


def _tokens(text: bytes) -> Iterator[_Token]:
    for found in _TOKEN.finditer(text):
        kind = found.lastgroup or "mark"
        if kind != "space":
            yield _Token("text" if kind == "tag" else kind, found.group().upper(), found.start(), found.end())


def is_insert(text: bytes) -> bool:
    """Whether the first word is INSERT: then the rest may be data, which must not be read whole."""
    return next((token.text for token in _tokens(text)), b"") == b"INSERT"


def takes_data(text: bytes) -> bool:
    """Whether an INSERT has no rows of its own: neither a SELECT nor data in the text."""
    depth = 0
    for token in _tokens(text):
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        if not depth and token.text in (b"SELECT", b"WITH", b"EXPLAIN", b"WATCH", b"FROM"):
            return False
    return True


def split_insert(text: bytes, final: bool) -> Statement | None:
    """An INSERT and where its data begins; None where it takes its rows from a SELECT, or more text is needed.

    final: no more text will come
    """
    depth = 0
    tokens = _tokens(text)
    for token in tokens:
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
            return Statement(text[: token.start], "Values", token.end, silent=True)
        if token.text == b"FORMAT":
            name = next(tokens, None)
            if name is None or (name.end == len(text) and not final):
                return None
            at = _AFTER_FORMAT.match(text, name.end)
            data_at = at.end() if at else name.end
            return Statement(text[: token.start], text[name.start : name.end].decode(), data_at, silent=True)
    return None


def target(sql: bytes) -> Target | None:
    """Of the text before FORMAT or VALUES; None where it is more than a table's name and a list of columns."""
    tokens = list(_tokens(sql))
    at = 3 if len(tokens) > 2 and tokens[2].text == b"TABLE" else 2
    if [token.text for token in tokens[:2]] != [b"INSERT", b"INTO"] or len(tokens) <= at:
        return None
    name = tokens[at : at + 3 if len(tokens) > at + 2 and tokens[at + 1].text == b"." else at + 1]
    rest = tokens[at + len(name) :]
    if any(token.kind not in ("word", "text") for token in (name[0], name[-1])) or name[0].text == b"FUNCTION":
        return None
    marks = {token.text for token in rest if token.kind == "mark"}
    listed = bool(rest) and rest[0].text == b"(" and rest[-1].text == b")" and marks == {b"(", b")", b","}
    if rest and not (listed or (len(rest) == 3 and rest[0].text == b"(")):
        return None
    columns = sql[rest[0].start : rest[-1].end] if rest else b""
    return Target(sql[name[0].start : name[-1].end].decode(), columns.decode("utf-8", "surrogateescape"))


def split_input(text: bytes, final: bool) -> FromInput | None:
    """The statement, where it is one that reads input(…) once; None where it is not, or more text is needed.

    final: no more text will come
    """
    depth = 0
    seen: list[_Token] = []
    opened = 0
    for token in _tokens(text):
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
    """A statement that carries no data. Raises Refused for several statements and for INTO OUTFILE."""
    tokens = list(_tokens(text))
    while tokens and tokens[-1].text == b";":
        tokens.pop()
    if not tokens:
        raise refuse(62, "SYNTAX_ERROR", "Syntax error: the query is empty")
    depth = 0
    for before, token in zip([None, *tokens], tokens, strict=False):
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        if token.text == b";" and depth == 0:
            raise refuse(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
        # chdb, like any client, would write the file itself, and for a read-only user too.
        if token.text == b"OUTFILE" and before is not None and before.text == b"INTO":
            raise refuse(48, "NOT_IMPLEMENTED", "INTO OUTFILE is not allowed over HTTP")
        if token.text == b"INFILE" and before is not None and before.text == b"FROM":
            raise refuse(48, "NOT_IMPLEMENTED", "FROM INFILE is not allowed over HTTP")
    return Statement(
        text[: tokens[-1].end],
        _named_format(tokens, text),
        silent=tokens[0].text in _SILENT,
        streamed=tokens[0].text in _STREAMED,
    )


def _named_format(tokens: list[_Token], text: bytes) -> str | None:
    """The name after the last FORMAT that ends the statement or stands before SETTINGS."""
    for index in range(len(tokens) - 2, -1, -1):
        token, name = tokens[index], tokens[index + 1]
        ends = index + 2 == len(tokens) or tokens[index + 2].text == b"SETTINGS"
        if ends and token.text == b"FORMAT" and token.kind == name.kind == "word":
            return text[name.start : name.end].decode()
    return None
