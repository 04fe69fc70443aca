"""Secrets that this machine's home keeps: made at random when they are first asked for, one file each, mode 0600.

Who can read the home owns the flywheel: these files are what its parts log in with.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from pathlib import Path

from pydantic import SecretStr

from headrace.errors import SettingsError
from headrace.settings import Settings

FOLDER = "secrets"
BYTES = 32


def of_home(home: Path, name: str) -> SecretStr:
    """The secret of that name, made where there is none yet; several processes that ask get the same one.

    Raises SettingsError where the file cannot be read or written, or others than its owner may read it.
    """
    file = home / FOLDER / name
    try:
        if not file.exists():
            _make(file)
        if file.stat().st_mode & 0o077:
            raise SettingsError(f"{file} may be read by others than its owner; run chmod 600 on it, or delete it")
        text = file.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"the secret {file} cannot be used: {error}") from None
    if not text:
        raise SettingsError(f"the secret {file} is empty; delete it, and a new one is made at the next start")
    return SecretStr(text)


def gateway_secret(settings: Settings) -> SecretStr:
    """What gateways sign their answers with, and workers check."""
    return settings.gateway_secret if settings.gateway_secret.get_secret_value() else of_home(settings.home, "gateway")


def audit_secret(settings: Settings) -> SecretStr:
    """What workers draw the base audit by."""
    return settings.audit_secret if settings.audit_secret.get_secret_value() else of_home(settings.home, "audit")


def _make(file: Path) -> None:
    """Whole or not at all, and the first one wins."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    staging = file.with_name(f".{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
    handle = os.open(staging, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w") as out:
            out.write(secrets.token_urlsafe(BYTES) + "\n")
            out.flush()
            os.fsync(out.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(staging, file)
    finally:
        staging.unlink()
