"""One HTTP request as values: who asks, for what, with which settings."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from urllib.parse import parse_qsl

from headrace.access.logins import ANALYST
from headrace.embedded.clickhouse.errors import refuse
from headrace.embedded.clickhouse.reply import Dress

# Of the protocol, not of the engine. Settings that only say how HTTP answers are among them.
_RESERVED = """query database default_format user password quota_key session_id session_timeout session_check query_id
    compress decompress wait_end_of_query buffer_size stacktrace client_protocol_version role close_session
    enable_http_compression http_zlib_compression_level send_progress_in_http_headers add_http_cors_header
    http_headers_progress_interval_ms cancel_http_readonly_queries_on_client_close http_wait_end_of_query
    http_response_buffer_size http_native_compression_disable_checksumming_on_decompress replace_running_query"""


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body: text fields, which mean the same as in the URL, and files, which are external tables."""

    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ExternalTable:
    """An external table; structure as in CREATE TABLE, `a UInt8, b String`."""

    name: str
    structure: str
    format: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Request:
    """What the URL and the headers say.

    query: the statement, or its beginning where the body goes on
    parameters: values of `{name:Type}`, escaped as in a tab-separated field
    settings: of the engine, for this statement only
    tables: data sent along, which the statement reads by name
    analyst: may only read
    readonly: a GET, which by ClickHouse's protocol changes nothing
    dress: how the answer is compressed
    blocks: the body is in ClickHouse's compressed blocks; with `unverified` their checksums do not count
    protocol: the client's version of ClickHouse's protocol, for the format Native; 0 where it does not say
    ends_with_client: a statement that changes nothing ends when the client leaves
    waits: the answer begins when all of it is known, as far as the front can hold it
    replaces: a statement of this user's with the same id is ended first
    session_timeout: seconds a session is kept without a request
    """

    query: bytes
    user: str
    database: str = ""
    format: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    tables: tuple[ExternalTable, ...] = ()
    readonly: bool = False
    dress: Dress = field(default_factory=Dress)
    blocks: bool = False
    unverified: bool = False
    protocol: int = 0
    ends_with_client: bool = False
    waits: bool = False
    replaces: bool = False
    query_id: str = ""
    session_id: str = ""
    session_timeout: float = 60.0
    session_check: bool = False

    @property
    def analyst(self) -> bool:
        return self.user == ANALYST


@dataclass(frozen=True, slots=True)
class Users:
    """Passwords by user; a user whose password is empty cannot log in."""

    passwords: Mapping[str, str] = field(repr=False)

    def check(self, user: str, password: str) -> None:
        """Raise Refused (516) as ClickHouse does, saying no more to who may not know."""
        wanted = self.passwords.get(user, "").encode()
        # The same work for a user who is not there.
        right = hmac.compare_digest(wanted, password.encode("utf-8", "surrogateescape"))
        if not wanted or not right:
            raise refuse(
                516,
                "AUTHENTICATION_FAILED",
                f"{user}: Authentication failed: password is incorrect, or there is no user with such name",
            )


def authenticate(url_query: str, headers: Message, users: Users) -> str:
    """The user, by the headers or the URL: the body is not for those who are not known. Raises Refused (516)."""
    fields = _fields(url_query)
    user, password = fields.get("user", "default"), fields.get("password", "")
    if "X-ClickHouse-User" in headers or "X-ClickHouse-Key" in headers:
        user, password = headers.get("X-ClickHouse-User", "default"), headers.get("X-ClickHouse-Key", "")
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "basic":
        try:
            user, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise refuse(516, "AUTHENTICATION_FAILED", "Authorization is not base64 of user:password") from None
    elif scheme:
        raise refuse(516, "AUTHENTICATION_FAILED", f"Authorization by {scheme} is not supported; use Basic")
    users.check(user or "default", password)
    return user or "default"


def parse(method: str, url_query: str, headers: Message, form: Form, user: str) -> Request:
    """Read a request. Raises Refused: a password in the body (516), a way of asking that is not supported (48)."""
    if form.fields.keys() & {"user", "password"}:
        raise refuse(516, "AUTHENTICATION_FAILED", "The user and password stand in the headers or the URL")
    fields = _fields(url_query) | form.fields
    tables = tuple(_table(name, data, fields) for name, data in form.files.items())
    reserved = _RESERVED.split()
    settings = {n: v for n, v in fields.items() if n not in reserved and not n.startswith("param_")}
    if user == ANALYST and settings.get("readonly") == "1":
        # As an analyst always is: a server lets a setting pass that is what it was.
        del settings["readonly"]
    if user == ANALYST and settings.keys() & {"profile", "readonly", "dialect"}:
        raise refuse(164, "READONLY", "Cannot modify 'readonly', 'profile' and 'dialect' in readonly mode")
    return Request(
        query=fields.get("query", "").encode("utf-8", "surrogateescape"),
        user=user,
        database=fields.get("database") or headers.get("X-ClickHouse-Database") or "",
        format=_format(headers.get("X-ClickHouse-Format") or fields.get("default_format")),
        parameters={name[6:]: value for name, value in fields.items() if name.startswith("param_")},
        settings=settings,
        tables=tables,
        readonly=method in ("GET", "HEAD"),
        dress=Dress(
            _on(fields, "compress"),
            _encoding(headers.get("Accept-Encoding", ""), fields.get("enable_http_compression", "1")),
        ),
        blocks=_on(fields, "decompress"),
        unverified=_on(fields, "http_native_compression_disable_checksumming_on_decompress"),
        protocol=_number(fields, "client_protocol_version"),
        ends_with_client=_on(fields, "cancel_http_readonly_queries_on_client_close"),
        waits=_on(fields, "wait_end_of_query") or _on(fields, "http_wait_end_of_query"),
        replaces=_on(fields, "replace_running_query"),
        query_id=fields.get("query_id") or str(uuid.uuid4()),
        session_id=fields.get("session_id", ""),
        session_timeout=_seconds(fields.get("session_timeout", "60")),
        session_check=fields.get("session_check", "0") == "1",
    )


def _table(name: str, data: bytes, fields: dict[str, str]) -> ExternalTable:
    """Take the table's own fields out of `fields`; what stays there is a setting."""
    structure = fields.pop(f"{name}_structure", "")
    types = fields.pop(f"{name}_types", "")
    if types:
        structure = ", ".join(f"_{number} {kind}" for number, kind in enumerate(types.split(","), 1))
    if not structure:
        raise refuse(36, "BAD_ARGUMENTS", f"External table {name!r} has neither {name}_structure nor {name}_types")
    return ExternalTable(name, structure, _format(fields.pop(f"{name}_format", "")) or "TabSeparated", data)


def _format(name: str | None) -> str | None:
    """It becomes a part of a statement. Raises Refused (73) for what is no word."""
    if name and not re.fullmatch(r"\w+", name, re.ASCII):
        raise refuse(73, "UNKNOWN_FORMAT", f"Unknown format {name}")
    return name


def form_of(body: bytes, content_type: str) -> Form:
    """Read multipart/form-data. Raises Refused (36) when it is not that."""
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=HTTP).parsebytes(head + body)
    form = Form()
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        data = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(data, bytes):
            raise refuse(36, "BAD_ARGUMENTS", "A part of the multipart body has no name")
        if part.get_filename() is None:
            form.fields[name] = data.decode("utf-8", "surrogateescape")
        else:
            form.files[name] = data
    return form


def _fields(url_query: str) -> dict[str, str]:
    return dict(parse_qsl(url_query, keep_blank_values=True, errors="surrogateescape"))


def _encoding(accepted: str, enabled: str) -> str | None:
    if enabled not in ("1", "true"):
        return None
    names = {part.split(";")[0].strip().lower() for part in accepted.split(",")}
    return next((name for name in ("zstd", "lz4", "gzip", "deflate", "br") if name in names), None)


def _on(fields: Mapping[str, str], name: str) -> bool:
    return fields.get(name, "0") not in ("0", "false", "")


def _number(fields: Mapping[str, str], name: str) -> int:
    given = fields.get(name, "0")
    if not (given.isascii() and given.isdigit() and len(given) < 10):
        raise refuse(36, "BAD_ARGUMENTS", f"{name} is {given!r}, not a number")
    return int(given)


def _seconds(text: str) -> float:
    if not text.isdigit() or not 0 < int(text) <= 3600:
        raise refuse(374, "INVALID_SESSION_TIMEOUT", f"Session timeout {text!r} is not a number of seconds up to 3600")
    return float(text)
