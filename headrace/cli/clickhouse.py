"""The warehouse for a person: away is one sentence, and any of ClickHouse's formats passes through."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from headrace.errors import Permanent, SettingsError, Transient

if TYPE_CHECKING:
    from headrace.settings import Settings
    from headrace.warehouse import Warehouse

TABLE_FORMAT = "JSONCompact"
# An error behind the rows stands in the last of them.
TAIL_BYTES = 1 << 16
_LESS = "ask for less (a shorter time, fewer columns), or log in without the analyst's limits: --as-owner"
ADVICE = {
    164: "`headrace sql` only reads: --as-owner logs in as the parts do",
    497: "`headrace sql` only reads: --as-owner logs in as the parts do",
    **dict.fromkeys((158, 159, 241, 396), _LESS),
}


def connect(settings: Settings, answer_within_s: int = 120) -> Warehouse:
    """Raises SettingsError where ClickHouse does not answer."""
    from headrace.warehouse import Warehouse

    try:
        return Warehouse.connect(settings, answer_within_s)
    except Transient as error:
        if error.code:
            raise
        raise SettingsError(_away(settings)) from error


def ask(
    settings: Settings,
    sql: str,
    format: str,
    parameters: Mapping[str, str],
    out: BinaryIO,
    as_owner: bool = False,
    where: str = "the query",
) -> dict[str, Any] | None:
    """Run a query as it stands. An answer in TABLE_FORMAT is returned, any other streamed to `out`.

    A FORMAT clause of the query itself wins over `format`. It reads as the analyst; as_owner: as the parts do.
    Raises Permanent with ClickHouse's own words and `where` they apply, SettingsError where it does not answer.
    """
    from headrace.access.logins import LOGIN_CODES, analyst_login, clickhouse_login

    asked = {"database": settings.database, "default_format": format}
    asked |= {f"param_{name}": value for name, value in parameters.items()}
    login = clickhouse_login(settings) if as_owner else analyst_login(settings)
    try:
        return _ask(settings, sql, asked, login, format, out)
    except Permanent as error:
        if error.code in LOGIN_CODES:
            variable = "HEADRACE_CLICKHOUSE_PASSWORD" if as_owner else "HEADRACE_ANALYST_PASSWORD"
            raise SettingsError(
                f"ClickHouse at {settings.clickhouse} refused the login of {login[0]}; set {variable} to its password"
            ) from None
        raise Permanent(sentence(str(error), where, error.code), error.code) from None


def _ask(
    settings: Settings, sql: str, asked: dict[str, str], login: tuple[str, str], format: str, out: BinaryIO
) -> dict[str, Any] | None:
    import httpx

    from headrace.access.tls import tls_context

    user = dict(zip(("X-ClickHouse-User", "X-ClickHouse-Key"), login, strict=True))
    timeout = httpx.Timeout(600.0, connect=5.0)
    files = (settings.clickhouse_ca, settings.clickhouse_cert, settings.clickhouse_key)
    verify = tls_context("HEADRACE_CLICKHOUSE", *files) if settings.clickhouse.startswith("https") else True
    tail = b""
    try:
        with (
            httpx.Client(trust_env=False, timeout=timeout, headers=user, verify=verify) as client,
            client.stream("POST", settings.clickhouse, params=asked, content=sql.encode()) as answer,
        ):
            if answer.status_code != 200:
                code = answer.headers.get("X-ClickHouse-Exception-Code", "0")
                raise Permanent(" ".join(answer.read().decode(errors="replace").split()), int(code))
            if answer.headers.get("X-ClickHouse-Format", format) == TABLE_FORMAT == format:
                text = answer.read()
                _check(text)
                return json.loads(text) if text.strip() else None
            for chunk in answer.iter_bytes():
                tail = (tail + chunk)[-TAIL_BYTES:]
                out.write(chunk)
    except httpx.HTTPError as error:
        # A result that breaks off says why in its last bytes.
        _check(tail)
        raise SettingsError(_away(settings)) from error
    _check(tail)
    return None


def _check(answer: bytes) -> None:
    """Raise Permanent where rows end in an error: it came too late for a status."""
    _, mark, text = answer[-TAIL_BYTES:].rpartition(b"Code: ")
    if mark and (found := re.match(rb"(\d+)\. DB::Exception: ", text)) and b"__exception__" in answer[-TAIL_BYTES:]:
        words = text.split(b"\n")[0].decode(errors="replace")
        raise Permanent(f"Code: {words}", int(found[1]))


def sentence(text: str, where: str, code: int) -> str:
    """ClickHouse's words as one sentence for a person: where, what, and what to do about it."""
    words = re.sub(r"^Code: \d+\. DB::Exception: | \(version [^)]*\)", "", " ".join(text.split()))
    words = re.sub(r"(?:\. Expected one of:|[.:]? In scope) .*(?= \([A-Z_]+\)$)", "", words)
    if line := re.search(r" \(line (\d+), col (\d+)\)", words):
        where, words = f"{where}, line {line[1]}, column {line[2]}", words.replace(line[0], "")
    advice = ADVICE.get(code, "")
    return f"{where}: {words}{'; ' if advice else ''}{advice}"


def _away(settings: Settings) -> str:
    return (
        f"ClickHouse at {settings.clickhouse} does not answer; start it with `headrace up` or set HEADRACE_CLICKHOUSE"
    )
