"""The warehouse for a person: away is one sentence, and any of ClickHouse's formats passes through."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO

from headrace.errors import Permanent, SettingsError, Transient
from headrace.settings import Settings

if TYPE_CHECKING:
    from headrace.warehouse import Warehouse

TABLE_FORMAT = "JSONCompact"


def connect(settings: Settings) -> Warehouse:
    """Raises SettingsError where ClickHouse does not answer."""
    from headrace.warehouse import Warehouse

    try:
        return Warehouse.connect(settings)
    except Transient as error:
        if error.code:
            raise
        raise SettingsError(_away(settings)) from error


def ask(
    settings: Settings, sql: str, format: str, parameters: Mapping[str, str], out: BinaryIO
) -> dict[str, Any] | None:
    """Run a query as it stands. An answer in TABLE_FORMAT is returned, any other streamed to `out`.

    A FORMAT clause of the query itself wins over `format`. Raises Permanent with ClickHouse's own words, SettingsError
    where it does not answer.
    """
    import httpx

    asked = {"database": settings.database, "default_format": format}
    asked |= {f"param_{name}": value for name, value in parameters.items()}
    user = {"X-ClickHouse-User": settings.clickhouse_user, "X-ClickHouse-Key": settings.clickhouse_password}
    timeout = httpx.Timeout(600.0, connect=5.0)
    try:
        with (
            httpx.Client(trust_env=False, timeout=timeout, headers=user) as client,
            client.stream("POST", settings.clickhouse, params=asked, content=sql.encode()) as answer,
        ):
            if answer.status_code != 200:
                code = answer.headers.get("X-ClickHouse-Exception-Code", "0")
                raise Permanent(" ".join(answer.read().decode(errors="replace").split()), int(code))
            if answer.headers.get("X-ClickHouse-Format", format) != TABLE_FORMAT or format != TABLE_FORMAT:
                for chunk in answer.iter_bytes():
                    out.write(chunk)
                return None
            text = answer.read()
            return json.loads(text) if text.strip() else None
    except httpx.HTTPError as error:
        raise SettingsError(_away(settings)) from error


def _away(settings: Settings) -> str:
    return (
        f"ClickHouse at {settings.clickhouse} does not answer; start it with `headrace up` or set HEADRACE_CLICKHOUSE"
    )
