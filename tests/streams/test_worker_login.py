"""How a Faust worker logs in to Kafka: as every other client of the same settings."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import pytest
from faust.transport.drivers.aiokafka import credentials_to_aiokafka_auth

from headrace.bus.kafka.security import TokenProvider, client_options
from headrace.settings import Settings
from streams.transport import broker_options

LOGIN: dict[str, Any] = {"kafka_user": "streams", "kafka_password": "hush"}
TOKEN = LOGIN | {"kafka_mechanism": "OAUTHBEARER", "kafka_token_url": "https://127.0.0.1:9/token"}


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"kafka_protocol": "SSL"},
        {"kafka_protocol": "SASL_PLAINTEXT", "kafka_mechanism": "PLAIN", **LOGIN},
        {"kafka_protocol": "SASL_SSL", "kafka_mechanism": "SCRAM-SHA-256", **LOGIN},
        {"kafka_protocol": "SASL_SSL", **TOKEN},
        {"kafka_protocol": "SASL_PLAINTEXT", **TOKEN},
    ],
)
def test_faust_is_told_what_every_client_is_told(said: dict[str, Any], tmp_path: Path) -> None:
    """Brokers, protocol, mechanism, login, certificates and tokens are those of client_options()."""
    settings = Settings(home=tmp_path, embedded=(), kafka="one:9092,two:9093", **said)
    wanted, given = client_options(settings), broker_options(settings)
    assert given["broker"] == [f"kafka://{server}" for server in wanted.pop("bootstrap_servers")]
    told = credentials_to_aiokafka_auth(given["broker_credentials"])
    assert _plain(told) == _plain(wanted)


def _plain(options: Any) -> dict[str, Any]:
    """Options to compare: contexts and providers by what they are."""
    told = {name: value for name, value in options.items() if value is not None}
    kinds = (ssl.SSLContext, TokenProvider)
    return {name: type(value) if isinstance(value, kinds) else value for name, value in told.items()}
