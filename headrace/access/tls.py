"""TLS from PEM files that settings name: whom to trust, and which certificate to show."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from headrace.errors import SettingsError

T = TypeVar("T")


def tls_context(prefix: str, ca: Path | None, cert: Path | None, key: Path | None) -> ssl.SSLContext:
    """A client's context: trusts `ca`, or the system's where it is None, and shows `cert` where there is one.

    prefix: of the three variables' names, as in HEADRACE_KAFKA
    Raises SettingsError that names the variable whose file cannot be used.
    """
    if key is not None and cert is None:
        raise SettingsError(f"{prefix}_KEY is set without {prefix}_CERT, the certificate of that key")
    context = ssl.create_default_context()
    if ca is not None:
        context = _loaded(f"{prefix}_CA", ca, lambda: ssl.create_default_context(cafile=str(ca)))
    if cert is not None:
        name = f"{prefix}_CERT" if key is None else f"{prefix}_CERT with {prefix}_KEY"
        # The empty password keeps OpenSSL from asking at the terminal for that of an encrypted key.
        _loaded(name, cert, lambda: context.load_cert_chain(str(cert), str(key) if key else None, password=""))
    return context


def _loaded(variable: str, file: Path, load: Callable[[], T]) -> T:
    try:
        return load()
    except ssl.SSLError as error:
        raise SettingsError(f"{variable} is {file}, which is not PEM that can be used ({error.reason})") from None
    except OSError as error:
        raise SettingsError(f"{variable} is {file}, which cannot be read: {error.strerror or error}") from None
