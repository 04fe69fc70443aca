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
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<number>[0-9][A-Za-z0-9_.]*)
    |(?P<mark>.)""",
    re.DOTALL | re.VERBOSE,
)
# A list of columns, also of a nested one; settings: w a word, t a quoted text, n a number.
_COLUMNS = re.compile(rb"(\([wt](\.[wt])*(,[wt](\.[wt])*)*\))?")
_SETTINGS = re.compile(rb"(w=-?[wtn](,w=-?[wtn])*)?")
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
    """Where an INSERT goes, as its text has it.

    columns: a list in parentheses, or empty
    settings: from the word SETTINGS on, or empty
    """

    table: str
    columns: str
    settings: str = ""


class _Token(NamedTuple):
    """A tuple: a statement of the loop has five hundred, and is cut up before it runs."""

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
    """Of the text before FORMAT or VALUES; None where it is more than a table's name, a list of columns, settings."""
    tokens = list(_tokens(sql))
    at = 3 if len(tokens) > 2 and tokens[2].text == b"TABLE" else 2
    if [token.text for token in tokens[:2]] != [b"INSERT", b"INTO"] or len(tokens) <= at:
        return None
    name = tokens[at : at + 3 if len(tokens) > at + 2 and tokens[at + 1].text == b"." else at + 1]
    rest = tokens[at + len(name) :]
    if any(token.kind not in ("word", "text") for token in (name[0], name[-1])) or name[0].text == b"FUNCTION":
        return None
    split = next((index for index, token in enumerate(rest) if token.text == b"SETTINGS"), len(rest))
    columns, settings = rest[:split], rest[split:]
    if not _COLUMNS.fullmatch(_shape(columns)) or not _SETTINGS.fullmatch(_shape(settings[1:])):
        return None
    return Target(
        _text(sql[name[0].start : name[-1].end]),
        _text(sql[columns[0].start : columns[-1].end]) if columns else "",
        _text(sql[settings[0].start : settings[-1].end]) if settings else "",
    )


def _shape(tokens: list[_Token]) -> bytes:
    """Marks as they are, a letter for every other token: of its kind."""
    return b"".join(token.text if token.kind == "mark" else token.kind[0].encode() for token in tokens)


def called(text: bytes) -> Iterator[str]:
    """Names in front of a parenthesis, and OUTFILE behind INTO; text: as the engine writes a statement."""
    before: _Token | None = None
    for token in _tokens(text):
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
    """A statement that carries no data. Raises Refused (62) for none and for several."""
    tokens = list(_tokens(text))
    while tokens and tokens[-1].text == b";":
        tokens.pop()
    if not tokens:
        raise refuse(62, "SYNTAX_ERROR", "Syntax error: the query is empty")
    depth = 0
    for token in tokens:
        depth += (token.text in (b"(", b"[", b"{")) - (token.text in (b")", b"]", b"}"))
        if token.text == b";" and depth == 0:
            raise refuse(62, "SYNTAX_ERROR", "Syntax error (Multi-statements are not allowed)")
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
