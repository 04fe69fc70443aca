"""A Kafka and a ClickHouse as a company runs them: TLS by a CA of its own, a login for each part and role, ACLs."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trustme
from cryptography.hazmat.primitives import serialization

from headrace.access.acls import PARTS, of_everyone
from headrace.bus.kafka import ensure_topics
from headrace.bus.kafka.rights import grant
from headrace.contract.topics import TOPICS
from headrace.embedded.clickhouse import ClickHouseServer, Tls
from headrace.embedded.kafka import KafkaServer
from headrace.embedded.listeners import Secured
from headrace.embedded.server import free_port
from headrace.settings import Settings

CACHE = Path(__file__).parents[1] / "var" / "cache"
ADMINISTRATOR = "administrator"
FLYWHEEL = "flywheel"
"""A login that all parts share, as small companies have it."""


@dataclass(frozen=True)
class Certificates:
    """PEM files.

    broker: key and chain in one; cert, key: of the servers; client_cert, client_key: of CN=parts
    """

    ca: Path
    broker: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


def certificates(folder: Path) -> Certificates:
    """A new CA and what it signs."""
    folder.mkdir(parents=True, exist_ok=True)
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    client = authority.issue_cert("parts@example.org", common_name="parts")
    made = Certificates(
        *(folder / name for name in ("ca.pem", "broker.pem", "server.pem", "server.key", "client.pem", "client.key"))
    )
    authority.cert_pem.write_to_path(made.ca)
    for issued, cert, key in ((server, made.cert, made.key), (client, made.client_cert, made.client_key)):
        cert.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        key.write_bytes(_pkcs8(issued.private_key_pem.bytes()))
    made.broker.write_bytes(made.key.read_bytes() + made.cert.read_bytes())
    return made


def _pkcs8(pem: bytes) -> bytes:
    """As the broker reads keys."""
    key = serialization.load_pem_private_key(pem, None)
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


@dataclass(frozen=True)
class Company:
    """What the flywheel's owner was given.

    settings: of the administrator, by SCRAM-SHA-512
    tls_port: of the broker, where a client certificate is the login
    """

    settings: Settings
    files: Certificates
    tls_port: int

    def as_(self, name: str, **changes: Any) -> Settings:
        """The settings of a part or role, as in of_everyone()."""
        return self.settings.replaced(kafka_user=name, kafka_password=password(name), **changes)


def password(name: str) -> str:
    return f"{name}-secret"


def server_context(files: Certificates) -> ssl.SSLContext:
    """Of an https server of a test's own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    return context


@contextmanager
def company(home: Path, clickhouse: bool = True) -> Iterator[Company]:
    """Both servers, up, with topics and everyone's rights."""
    files = certificates(home / "certificates")
    tls_port = free_port()
    users = {name: password(name) for name in (*of_everyone(), ADMINISTRATOR, FLYWHEEL)}
    secured = Secured(files.broker, files.ca, tls_port, users, (ADMINISTRATOR,))
    with KafkaServer(home / "company", cache=CACHE, secured=secured) as broker:
        settings = Settings(
            home=home,
            embedded=(),
            kafka=broker.bootstrap,
            kafka_protocol="SASL_SSL",
            kafka_mechanism="SCRAM-SHA-512",
            kafka_user=ADMINISTRATOR,
            kafka_password=password(ADMINISTRATOR),  # type: ignore[arg-type]
            kafka_ca=files.ca,
        )
        made = Company(settings, files, tls_port)
        asyncio.run(_prepared(made))
        if not clickhouse:
            yield made
            return
        with ClickHouseServer(home / "company", tls=Tls(files.cert, files.key, files.ca)) as server:
            by_https = {"ca": files.ca, "cert": files.client_cert, "key": files.client_key}
            named = {f"clickhouse_{name}": file for name, file in by_https.items()}
            yield Company(settings.replaced(**server.login(), **named), files, tls_port)


async def _prepared(made: Company) -> None:
    everyone = {f"User:{name}": acls for name, acls in of_everyone().items()}
    flywheel = {f"User:{FLYWHEEL}": {acl for acls in PARTS.values() for acl in acls}}
    await grant(made.settings, everyone | flywheel)
    await ensure_topics(made.as_("prepare"), TOPICS)
