"""API keys: one file of digests and rights, changed while everything runs.

A key is `hr_<id>_<secret>`. The file is JSON with mode 0600 and replaced whole under a lock; what it does not hold, the
secret, is shown once, by `headrace keys add`. A revoked key stays in the file, so that it says who had which rights.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from headrace.access.roles import Principal, Rate, Role
from headrace.contract.events import Moment, Name, sentence
from headrace.errors import SettingsError, UserError

SCHEMA_VERSION = 1
PREFIX = "hr"
ID_BYTES, SECRET_BYTES = 5, 20


def _rate(text: str) -> str:
    try:
        return str(Rate.parse(text)) if text else ""
    except UserError as error:
        raise ValueError(str(error)) from None


class Key(BaseModel):
    """What the file says of one key.

    origins: of web pages, for the role publish; rate: events_per_s/burst, empty for the tenant's own
    digest: SHA-256 of the key's text, hexadecimal
    """

    # A field that a later headrace added within this version is kept.
    model_config = ConfigDict(frozen=True, extra="allow")

    id: Annotated[str, Field(pattern="^[0-9a-f]{6,32}$")]
    name: Name
    tenant: Name
    roles: tuple[Role, ...]
    origins: tuple[str, ...] = ()
    rate: Annotated[str, AfterValidator(_rate)] = ""
    digest: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    created_at: Moment
    created_by: str
    expires_at: Moment | None = None
    revoked_at: Moment | None = None
    revoked_by: str = ""

    def state(self, now: datetime) -> str:
        """active, revoked or expired."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= now else "active"

    def principal(self) -> Principal:
        """Who holds it."""
        rate = Rate.parse(self.rate) if self.rate else None
        return Principal(self.tenant, frozenset(self.roles), self.id, self.name, self.origins, rate)


class Keys(BaseModel):
    """The file's content."""

    model_config = ConfigDict(frozen=True, extra="allow")

    schema_version: int
    keys: tuple[Key, ...] = ()


def read(file: Path) -> tuple[Key, ...]:
    """The keys of a file, none where there is no file.

    Raises SettingsError where it is no such file, a later headrace's, or one that others may read.
    """
    return _content(file).keys


def make(
    file: Path,
    name: str,
    tenant: str,
    roles: frozenset[Role],
    by: str,
    origins: Sequence[str] = (),
    lifetime: timedelta | None = None,
    rate: str = "",
) -> tuple[Key, SecretStr]:
    """Add a key; its text is known here and never again. Raises UserError for rights that do not go together."""
    found = tuple(_origin(text) for text in origins)
    if not (name + tenant).isprintable():
        raise UserError("a key's name and its tenant are printable text on one line")
    if not roles:
        raise UserError(f"a key has a role: --role with one or more of {', '.join(Role)}")
    if Role.PUBLISH in roles and len(roles) > 1:
        raise UserError("a key with the role publish stands in web pages for all to read; give it no other role")
    if (Role.PUBLISH in roles) is not bool(found):
        raise UserError(
            "the role publish takes the origins of its web pages, and no other role does: --origin https://…"
        )
    with _changed(file) as keys:
        now = datetime.now(UTC)
        if any(one.name == name and one.state(now) == "active" for one in keys):
            raise UserError(f"there is an active key {name!r} already; revoke or rotate it, or choose another name")
        made, text = _new(now, by, name, tenant, tuple(sorted(roles)), found, rate, lifetime)
        keys.append(made)
    return made, text


def rotate(file: Path, key: str, overlap: timedelta, by: str) -> tuple[Key, Key, SecretStr]:
    """A new key with the rights of an active one, which ends after `overlap`: the old one, the new one and its text."""
    with _changed(file) as keys:
        now = datetime.now(UTC)
        named = _active(keys, key, now, file)
        # After an earlier rotation both bear the name: the younger is the one that stays.
        old = max(named, key=lambda one: one.created_at)
        lifetime = old.expires_at - old.created_at if old.expires_at else None
        made, text = _new(now, by, old.name, old.tenant, old.roles, old.origins, old.rate, lifetime)
        end = min(filter(None, (old.expires_at, now + overlap)))
        ending = old.model_copy(update={"expires_at": end})
        keys[keys.index(old)] = ending
        keys.append(made)
    return ending, made, text


def revoke(file: Path, key: str, by: str) -> list[Key]:
    """Revoke the active key of an id, or all of a name. Raises UserError where there is none."""
    with _changed(file) as keys:
        now = datetime.now(UTC)
        ended = []
        for one in _active(keys, key, now, file):
            ended.append(one.model_copy(update={"revoked_at": now, "revoked_by": by}))
            keys[keys.index(one)] = ended[-1]
    return ended


def _new(
    now: datetime,
    by: str,
    name: str,
    tenant: str,
    roles: tuple[Role, ...],
    origins: tuple[str, ...],
    rate: str,
    lifetime: timedelta | None,
) -> tuple[Key, SecretStr]:
    key_id = secrets.token_hex(ID_BYTES)
    text = f"{PREFIX}_{key_id}_{secrets.token_hex(SECRET_BYTES)}"
    try:
        key = Key(
            id=key_id,
            name=name,
            tenant=tenant,
            roles=roles,
            origins=origins,
            rate=rate,
            digest=digest(text),
            created_at=now,
            created_by=by,
            expires_at=now + lifetime if lifetime else None,
        )
    except ValidationError as error:
        raise UserError(sentence("key", error)) from None
    return key, SecretStr(text)


def _active(keys: Sequence[Key], key: str, now: datetime, file: Path) -> list[Key]:
    found = [one for one in keys if key in (one.id, one.name) and one.state(now) == "active"]
    if not found:
        raise UserError(f"{file} has no active key {key!r}; `headrace keys list` shows ids and names")
    return found


def _origin(text: str) -> str:
    """As browsers write it. Raises UserError."""
    parts = urlsplit(text.lower().rstrip("/"))
    local = parts.hostname in ("localhost", "127.0.0.1")
    if not parts.hostname or parts.scheme not in ("https", "http") or parts.path or parts.query or parts.username:
        raise UserError(f"{text!r} is not the origin of a web page: write it as in https://helpdesk.example.com")
    if parts.scheme == "http" and not local:
        raise UserError(f"{text}: a web page that sends feedback is served by https")
    return f"{parts.scheme}://{parts.netloc}"


def digest(text: str) -> str:
    """What the file has of a key's text."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _content(file: Path) -> Keys:
    try:
        with file.open("rb") as opened:
            if os.fstat(opened.fileno()).st_mode & 0o077:
                raise SettingsError(f"the key file {file} may be read by others than its owner; run chmod 600 on it")
            found = Keys.model_validate_json(opened.read())
    except FileNotFoundError:
        return Keys(schema_version=SCHEMA_VERSION)
    except OSError as error:
        raise SettingsError(f"the key file {file} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise SettingsError(
            f"the key file {file} is damaged ({where + ': ' if where else ''}{first['msg']}); restore it from a backup"
        ) from None
    if found.schema_version > SCHEMA_VERSION:
        raise SettingsError(
            f"the key file {file} was written by a later headrace (schema {found.schema_version}, this one reads"
            f" {SCHEMA_VERSION}); use that version"
        )
    return found


@contextmanager
def _changed(file: Path) -> Iterator[list[Key]]:
    """The keys to change, one process at a time; written, whole, where nothing was raised."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(file.with_name(f"{file.name}.lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            before = _content(file)
            keys = list(before.keys)
            yield keys
            _write(file, before.model_copy(update={"keys": tuple(keys)}))
        finally:
            os.close(lock)
    except OSError as error:
        raise SettingsError(f"the key file {file} cannot be written: {error.strerror}") from None


def _write(file: Path, content: Keys) -> None:
    staging = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(content.model_dump_json(indent=1).encode() + b"\n")
            out.flush()
            os.fsync(out.fileno())
        staging.replace(file)
    finally:
        staging.unlink(missing_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
