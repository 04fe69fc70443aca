"""How every client logs in to Kafka: one set of options for aiokafka, and the same for Faust.

HEADRACE_KAFKA_PROTOCOL  needs
(empty)                  the embedded broker's own login where it is embedded, else PLAINTEXT
PLAINTEXT                nothing
SSL                      HEADRACE_KAFKA_CA where the system does not know the brokers' CA; _CERT and _KEY where the
                         brokers ask for a client certificate
SASL_PLAINTEXT, SASL_SSL HEADRACE_KAFKA_USER and HEADRACE_KAFKA_PASSWORD (or _PASSWORD_FILE) for PLAIN and SCRAM; for
                         OAUTHBEARER those of the client, and HEADRACE_KAFKA_TOKEN_URL
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.conn import create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    AuthenticationMethodNotSupported,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from headrace.access.logins import KAFKA_USER, embedded_broker, kafka_password
from headrace.access.tls import tls_context
from headrace.errors import HeadraceError, SettingsError
from headrace.settings import Settings, address

TOKEN = "OAUTHBEARER"
# Of a token's life; a new one is fetched while the old one is still good.
REFRESH_AFTER = 0.8
LOOK_WITHIN_S = 5.0


def client_options(settings: Settings) -> dict[str, Any]:
    """What every aiokafka client of these settings is made with.

    Raises SettingsError that names the variable which is missing or cannot be used; never a secret.
    """
    if broker := embedded_broker(settings):
        logging.getLogger("aiokafka.conn").addFilter(_on_loopback)
        return {
            "bootstrap_servers": [broker.parts],
            "security_protocol": "SASL_PLAINTEXT",
            "sasl_mechanism": "PLAIN",
            "sasl_plain_username": KAFKA_USER,
            "sasl_plain_password": kafka_password(settings.home).get_secret_value(),
        }
    protocol = settings.kafka_protocol or "PLAINTEXT"
    options: dict[str, Any] = {"bootstrap_servers": settings.kafka.split(","), "security_protocol": protocol}
    if protocol.endswith("SSL"):
        options["ssl_context"] = tls_context(
            "HEADRACE_KAFKA", settings.kafka_ca, settings.kafka_cert, settings.kafka_key
        )
    if protocol.startswith("SASL"):
        options |= _sasl(settings)
    return options


def _sasl(settings: Settings) -> dict[str, Any]:
    mechanism = settings.kafka_mechanism
    needed = {"USER": settings.kafka_user, "PASSWORD": settings.kafka_password.get_secret_value()}
    if mechanism == TOKEN:
        needed["TOKEN_URL"] = settings.kafka_token_url
    for name, value in needed.items():
        if not value:
            raise SettingsError(f"HEADRACE_KAFKA_{name} is not set; {settings.kafka_protocol} by {mechanism} needs it")
    if mechanism == TOKEN:
        return {"sasl_mechanism": mechanism, "sasl_oauth_token_provider": TokenProvider(settings)}
    login = {"sasl_plain_username": needed["USER"], "sasl_plain_password": needed["PASSWORD"]}
    return {"sasl_mechanism": mechanism, **login}


class TokenProvider(AbstractTokenProvider):
    """Access tokens for OAUTHBEARER by the client-credentials grant (RFC 6749, section 4.4).

    A token is kept for REFRESH_AFTER of its life.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._token, self._until = "", 0.0
        # Faust's consumer asks from the event loop of another thread: no asyncio lock is common to both.
        self._verify = tls_context("HEADRACE_KAFKA", settings.kafka_ca, None, None)

    async def token(self) -> str:
        """The token to log in with. Raises HeadraceError where the server refuses or does not answer."""
        if not self._token or time.monotonic() >= self._until:
            self._token, life_s = await self._fetch()
            self._until = time.monotonic() + REFRESH_AFTER * life_s
        return self._token

    async def _fetch(self) -> tuple[str, float]:
        import httpx

        url, settings = self._settings.kafka_token_url, self._settings
        login = httpx.BasicAuth(settings.kafka_user, settings.kafka_password.get_secret_value())
        try:
            async with httpx.AsyncClient(trust_env=False, timeout=LOOK_WITHIN_S, verify=self._verify) as client:
                answer = await client.post(url, data={"grant_type": "client_credentials"}, auth=login)
            told = answer.json() if answer.is_success else {}
            if answer.is_success:
                return str(told["access_token"]), float(told.get("expires_in", 60))
        except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            raise TokenError(f"HEADRACE_KAFKA_TOKEN_URL {url} gave no token: {type(error).__name__}") from None
        raise TokenError(
            f"HEADRACE_KAFKA_TOKEN_URL {url} answered {answer.status_code} to HEADRACE_KAFKA_USER and _PASSWORD"
        )


class TokenError(KafkaError, HeadraceError):
    """No token could be had. One of aiokafka's errors, too: its clients then try again as after any failure."""


async def refusal(settings: Settings) -> HeadraceError | None:
    """Why a broker does not let this client in, as one sentence; None where no broker answers.

    aiokafka says of every failed start that it reached no broker; this asks each one once more, for its own words.
    """
    options = client_options(settings)
    servers = options.pop("bootstrap_servers")
    for server in servers:
        host, port = address(server)
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                connection = await create_conn(host, port, **options)
        except (KafkaError, OSError, TimeoutError) as error:
            if said := _said(error, server, settings):
                return said
            continue
        try:
            await connection.send(MetadataRequest([]))
        except (KafkaError, OSError):
            return _closed(server)
        finally:
            connection.close()
    return None


def _said(error: BaseException, server: str, settings: Settings) -> HeadraceError | None:
    if isinstance(error, TokenError):
        return error
    if isinstance(error, (AuthenticationFailedError, SaslAuthenticationFailed)):
        user = settings.kafka_user or KAFKA_USER
        names = "HEADRACE_KAFKA_USER and HEADRACE_KAFKA_PASSWORD" if settings.kafka_protocol else "HEADRACE_HOME"
        return SettingsError(f"Kafka at {server} refused the login of {user}; check {names}")
    if isinstance(error, UnsupportedSaslMechanismError):
        return SettingsError(
            f"Kafka at {server} takes no logins by {settings.kafka_mechanism}; set HEADRACE_KAFKA_MECHANISM"
        )
    if isinstance(error, (AuthenticationMethodNotSupported, IllegalSaslStateError)):
        return SettingsError(f"Kafka at {server} takes no logins there; check HEADRACE_KAFKA_PROTOCOL")
    if isinstance(error, ssl.SSLCertVerificationError):
        return SettingsError(
            f"the certificate of Kafka at {server} is not trusted ({error.verify_message}); set HEADRACE_KAFKA_CA"
        )
    return _closed(server) if isinstance(error, (ssl.SSLError, KafkaConnectionError)) else None


def _closed(server: str) -> HeadraceError:
    """Not the wrong settings for certain: a broker that stops does so, too."""
    return HeadraceError(
        f"Kafka at {server} answers, but closes the connection; check HEADRACE_KAFKA_PROTOCOL and what it needs"
        " (a login, HEADRACE_KAFKA_CERT and HEADRACE_KAFKA_KEY)"
    )


def _on_loopback(record: logging.LogRecord) -> bool:
    """The embedded broker's password goes over loopback only: aiokafka's warning says nothing there."""
    return record.msg != "Sending username and password in the clear"
