"""Where the embedded broker listens and who may log in: the part of server.properties that is about security.

PARTS       SASL, for headrace's parts on this machine and the broker itself; KAFKA_USER may do everything
EMITTERS    HEADRACE_KAFKA: without a password, where the ACLs let anonymous clients emit events and nothing else;
            closed (HEADRACE_KAFKA_ANONYMOUS=false) it takes the login of PARTS
CONTROLLER  as PARTS; the broker's own connection

With a Secured, the listener at HEADRACE_KAFKA is instead what a company's broker is: TLS, and logins of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from headrace.access.logins import KAFKA_USER
from headrace.errors import StackError

MECHANISMS = ("SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN", "OAUTHBEARER")
_PLAIN = "org.apache.kafka.common.security.plain.PlainLoginModule"
_SCRAM = "org.apache.kafka.common.security.scram.ScramLoginModule"
_BEARER = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule"


@dataclass(frozen=True, slots=True)
class Secured:
    """A broker as a company runs it, to try headrace against: SASL_SSL at HEADRACE_KAFKA, and SSL at `tls_port`.

    certificate: a PEM file, the private key (PKCS#8) and then the certificate's chain
    ca: a PEM file that signs client certificates, which `tls_port` demands
    users: passwords by name, for SCRAM and PLAIN; OAUTHBEARER takes unsigned tokens of any subject
    administrators: those who may do everything
    """

    certificate: Path
    ca: Path
    tls_port: int
    users: Mapping[str, str] = field(repr=False)
    administrators: tuple[str, ...] = ()

    @classmethod
    def read(cls, file: Path) -> Self:
        """Raises StackError where the file does not say what it should."""
        try:
            told = json.loads(file.read_text("utf-8"))
            return cls(
                Path(told["certificate"]),
                Path(told["ca"]),
                int(told["tls_port"]),
                dict(told["users"]),
                tuple(told["administrators"]),
            )
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StackError(f"{file} does not describe a secured broker: {type(error).__name__}: {error}") from None

    def write(self, file: Path) -> None:
        """What `read` reads."""
        file.touch(mode=0o600)
        told = {"certificate": str(self.certificate), "ca": str(self.ca), "tls_port": self.tls_port}
        file.write_text(json.dumps(told | {"users": dict(self.users), "administrators": self.administrators}), "utf-8")

    def credentials(self) -> list[str]:
        """Arguments that make the SCRAM users when the storage is formatted."""
        return [
            argument
            for mechanism in ("SCRAM-SHA-512", "SCRAM-SHA-256")
            for name, password in self.users.items()
            for argument in ("--add-scram", f"{mechanism}=[name={name},password={password}]")
        ]


@dataclass(frozen=True, slots=True)
class Ports:
    """emitters: HEADRACE_KAFKA's."""

    host: str
    emitters: int
    parts: int
    controller: int


def properties(ports: Ports, password: str, anonymous: bool, secured: Secured | None) -> str:
    """The lines about listeners, logins and who may do everything."""
    host = ports.host
    protocols = {"PARTS": "SASL_PLAINTEXT", "CONTROLLER": "SASL_PLAINTEXT"}
    protocols["EMITTERS"] = "SASL_SSL" if secured else "PLAINTEXT" if anonymous else "SASL_PLAINTEXT"
    places = {"PARTS": ports.parts, "EMITTERS": ports.emitters}
    administrators = [KAFKA_USER]
    if secured:
        protocols["TLS"], places["TLS"] = "SSL", secured.tls_port
        administrators += secured.administrators
    login = f'{_PLAIN} required username="{KAFKA_USER}" password="{password}" user_{KAFKA_USER}="{password}";'
    listening = [f"{name}://{host}:{port}" for name, port in places.items()]
    lines = {
        "listeners": ",".join([*listening, f"CONTROLLER://{host}:{ports.controller}"]),
        "advertised.listeners": ",".join(listening),
        "listener.security.protocol.map": ",".join(f"{name}:{protocol}" for name, protocol in protocols.items()),
        "controller.quorum.voters": f"1@{host}:{ports.controller}",
        "controller.listener.names": "CONTROLLER",
        "inter.broker.listener.name": "PARTS",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "sasl.mechanism.controller.protocol": "PLAIN",
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        "super.users": ";".join(f"User:{name}" for name in administrators),
    }
    plain = ["parts", "controller", *(["emitters"] if protocols["EMITTERS"] == "SASL_PLAINTEXT" else [])]
    for name in plain:
        lines[f"listener.name.{name}.sasl.enabled.mechanisms"] = "PLAIN"
        lines[f"listener.name.{name}.plain.sasl.jaas.config"] = login
    if secured:
        lines |= _secured(secured)
    return "".join(f"{name}={value}\n" for name, value in lines.items())


def _secured(secured: Secured) -> dict[str, str]:
    users = " ".join(f'user_{name}="{password}"' for name, password in secured.users.items())
    emitters = "listener.name.emitters"
    lines = {
        f"{emitters}.sasl.enabled.mechanisms": ",".join(MECHANISMS),
        f"{emitters}.plain.sasl.jaas.config": f"{_PLAIN} required {users};",
        f"{emitters}.scram-sha-256.sasl.jaas.config": f"{_SCRAM} required;",
        f"{emitters}.scram-sha-512.sasl.jaas.config": f"{_SCRAM} required;",
        f"{emitters}.oauthbearer.sasl.jaas.config": f'{_BEARER} required unsecuredLoginStringClaim_sub="nobody";',
        f"{emitters}.oauthbearer.sasl.server.callback.handler.class": (
            "org.apache.kafka.common.security.oauthbearer.internals.unsecured."
            "OAuthBearerUnsecuredValidatorCallbackHandler"
        ),
        "listener.name.tls.ssl.client.auth": "required",
    }
    for name in ("emitters", "tls"):
        lines |= {
            f"listener.name.{name}.ssl.keystore.type": "PEM",
            f"listener.name.{name}.ssl.keystore.location": str(secured.certificate),
            f"listener.name.{name}.ssl.truststore.type": "PEM",
            f"listener.name.{name}.ssl.truststore.location": str(secured.ca),
        }
    return lines
