"""The clients' own query ids in `system.processes` and KILL QUERY.

chdb gives each statement an id of its own and takes none. The front sends the client's id and user along in the setting
`log_comment`, which the engine shows beside the running statement; a statement that asks for ids reads them there.
"""

from __future__ import annotations

import json
import re

from headrace.embedded.clickhouse.statement import Token, tokens


def comment(query_id: str, user: str, own: str, text: str = "") -> str:
    """The setting `log_comment` of a request's statements.

    own: the client's, empty where it has none
    text: the statement as the client wrote it, where another one runs
    """
    said = {"query_id": query_id, "user": user}
    return json.dumps(said | ({"log_comment": own} if own else {}) | ({"query": text} if text else {}))


def _read(key: str, column: str) -> str:
    """What `comment` says of a running statement; the engine's own column where it says nothing."""
    where = "Settings['log_comment']"
    return f"if(JSONHas({where}, '{key}'), JSONExtractString({where}, '{key}'), {column})"


_COLUMNS = {
    b"QUERY_ID": _read("query_id", "query_id"),
    b"INITIAL_QUERY_ID": _read("query_id", "initial_query_id"),
    b"USER": _read("user", "user"),
    b"INITIAL_USER": _read("user", "initial_user"),
}
_SHOWN = _COLUMNS | {b"QUERY": _read("query", "query")}
_REPLACED = ", ".join(f"{read} AS {column.decode().lower()}" for column, read in _SHOWN.items())
_TABLE = f"(SELECT * REPLACE ({_REPLACED}) FROM system.processes)"
# Behind a table without an alias.
_NO_ALIAS = frozenset(
    b"WHERE PREWHERE ORDER GROUP LIMIT FORMAT SETTINGS UNION INTERSECT EXCEPT HAVING WINDOW JOIN INNER LEFT RIGHT FULL "
    b"CROSS ANY ALL ASOF SEMI ANTI GLOBAL PASTE ON USING ARRAY FINAL SAMPLE INTO OFFSET FETCH QUALIFY".split()
)

# A subquery has neither; of its own table the engine says so itself.
_NOT_OF_A_SUBQUERY = (b"FINAL", b"SAMPLE")
# What the engine runs for SHOW PROCESSLIST.
_PROCESS_LIST = f"SELECT * FROM {_TABLE} AS processes ORDER BY elapsed DESC"

# Nothing of it is the client's but the id, in which nothing can end the literal: no other condition is passed on.
_KILL_BY_ID = re.compile(
    rb"\s*KILL\s+QUERY\s+WHERE\s+([`\"]?)query_id\1\s*=\s*'([^'\\\0]*)'\s*((?:\b(?:SYNC|ASYNC|TEST)\b)?\s*(?:\bFORMAT\s+\w+)?)\s*;?\s*",
    re.IGNORECASE,
)


def own_kill(sql: bytes, user: str) -> bytes | None:
    """KILL QUERY of a statement by its id, where that is the user's own; None where it is another statement."""
    found = _KILL_BY_ID.fullmatch(sql)
    if found is None:
        return None
    _, query_id, how = found.groups()
    wanted = f"({_COLUMNS[b'QUERY_ID']}) = '".encode() + query_id + f"' AND ({_COLUMNS[b'USER']}) = '{user}' ".encode()
    return b"KILL QUERY WHERE " + wanted + how


def own_ids(sql: bytes) -> bytes:
    """The statement with the clients' ids and users in the place of the engine's, where it asks for them.

    It has to be checked as any other: the engine may cut it into words otherwise than this does.
    """
    lowered = sql.lower()
    if b"kill" in lowered:
        found = list(tokens(sql))
        if [token.text for token in found[:2]] == [b"KILL", b"QUERY"]:
            return _killing(sql, found)
    if b"processlist" in lowered:
        found = list(tokens(sql))
        if [token.text for token in found[:2]] == [b"SHOW", b"PROCESSLIST"] and _ends_a_select(found[2:]):
            return _changed(sql, [(found[0].start, found[1].end, _PROCESS_LIST)])
    return _reading(sql, list(tokens(sql))) if b"processes" in lowered else sql


def _ends_a_select(rest: list[Token]) -> bool:
    """Whether what follows SHOW PROCESSLIST means the same behind a SELECT."""
    return not rest or rest[0].text in (b"FORMAT", b"SETTINGS", b"INTO", b";")


def _killing(sql: bytes, found: list[Token]) -> bytes:
    return _changed(sql, [
        (token.start, token.end, _COLUMNS[token.text.strip(b'`"')])
        for token in found
        if token.text.strip(b'`"') in _COLUMNS
    ])  # fmt: skip


def _reading(sql: bytes, found: list[Token]) -> bytes:
    changes = []
    names = [sql[token.start : token.end].strip(b'`"') for token in found]
    for at in range(1, len(found) - 2):
        if names[at : at + 3] == [b"system", b".", b"processes"] and found[at - 1].text in (b"FROM", b"JOIN"):
            after = found[at + 3] if at + 3 < len(found) else None
            named = after is not None and after.kind in ("word", "text") and after.text not in _NO_ALIAS
            behind = at + 3 + (0 if not named else 2 if after is not None and after.text == b"AS" else 1)
            if behind < len(found) and found[behind].text in _NOT_OF_A_SUBQUERY:
                continue
            text = _TABLE if named else f"{_TABLE} AS processes"
            changes.append((found[at].start, found[at + 2].end, text))
    tables = {start for start, _, _ in changes}
    for at in range(len(found) - 3) if changes else ():
        if names[at : at + 4] == [b"system", b".", b"processes", b"."] and found[at].start not in tables:
            # A column's whole name.
            changes.append((found[at].start, found[at + 2].end, "processes"))
    changes.sort()
    return _changed(sql, changes)


def _changed(sql: bytes, changes: list[tuple[int, int, str]]) -> bytes:
    for start, end, text in reversed(changes):
        sql = sql[:start] + text.encode() + sql[end:]
    return sql
