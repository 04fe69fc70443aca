"""How parts and people log in to ClickHouse: by passwords of the home, by https, with a client certificate."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from secured_servers import Certificates, certificates

from headrace.cli.clickhouse import ask
from headrace.embedded.clickhouse import ClickHouseServer, Tls
from headrace.errors import HeadraceError, Permanent, SettingsError, Transient, WarehouseError
from headrace.settings import Settings
from headrace.warehouse import Warehouse

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def by_https(files: Certificates, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A server that speaks TLS and wants a client certificate."""
    home = tmp_path_factory.mktemp("https")
    with ClickHouseServer(home, tls=Tls(files.cert, files.key, files.ca)) as server:
        yield Settings(
            home=home,
            clickhouse=server.url,
            clickhouse_ca=files.ca,
            clickhouse_cert=files.client_cert,
            clickhouse_key=files.client_key,
            database="default",
        )


def one(settings: Settings, **how: Any) -> int:
    warehouse = Warehouse.connect(settings, **how)
    try:
        return int(warehouse.rows("SELECT 1 AS one")[0]["one"])
    finally:
        warehouse.close()


def test_https_with_a_client_certificate(by_https: Settings) -> None:
    """Parts, the analyst and the command line talk to it by TLS, each with a password of the home."""
    assert one(by_https) == one(by_https, as_analyst=True) == 1
    out = io.BytesIO()
    assert ask(by_https, "SELECT 1 FORMAT TSV", "TSV", {}, out) is None
    assert out.getvalue() == b"1\n"


@pytest.mark.parametrize(
    ("changes", "kind", "said"),
    [
        ({"clickhouse_ca": None}, Transient, "CERTIFICATE_VERIFY_FAILED.*; set HEADRACE_CLICKHOUSE_CA"),
        (
            {"clickhouse_ca": Path("/nowhere.pem")},
            SettingsError,
            "HEADRACE_CLICKHOUSE_CA is /nowhere.pem, which can",
        ),
        ({"clickhouse_cert": None}, SettingsError, "HEADRACE_CLICKHOUSE_KEY is set without HEADRACE_CLICKHOUSE_CERT"),
        ({"clickhouse_cert": None, "clickhouse_key": None}, Transient, "does not answer"),
        ({"clickhouse_password": "hunter2"}, Permanent, "refused the login of default; check HEADRACE_CLICKHOUSE_PASS"),
        ({"embedded": ()}, HeadraceError, "ClickHouse at https://127.0.0.1"),
    ],
)
def test_a_mistake_is_one_sentence(
    by_https: Settings, changes: dict[str, Any], kind: type[HeadraceError], said: str
) -> None:
    """What is wrong names the variable, and the certificate of the server is always checked."""
    with pytest.raises(kind, match=said) as refused:
        one(by_https.replaced(**changes))
    assert "hunter2" not in str(refused.value)


def test_a_server_without_the_trusted_name_is_refused(by_https: Settings) -> None:
    """The certificate must be of the host that was asked for."""
    port = by_https.clickhouse.rsplit(":", 1)[1]
    with pytest.raises(Transient, match="does not answer"):
        one(by_https.replaced(clickhouse=f"https://127.0.0.2:{port}"))


def test_nobody_logs_in_without_the_home_s_password(tmp_path: Path) -> None:
    """At its first start the engine makes a password for each user, in files that only their owner reads."""
    with ClickHouseServer(tmp_path) as server:
        secrets = tmp_path / "secrets"
        passwords = {name: (secrets / name).read_text().strip() for name in ("clickhouse", "analyst")}
        assert {path.stat().st_mode & 0o777 for path in secrets.iterdir()} == {0o600}
        assert len(set(passwords.values())) == 2 and min(map(len, passwords.values())) > 30
        users = {"default": passwords["clickhouse"], "analyst": passwords["analyst"]}
        for user, password in users.items():
            for tried in ("", "x", passwords["analyst" if user == "default" else "clickhouse"]):
                answer = httpx.post(server.url, content="SELECT 1", auth=(user, tried), trust_env=False)
                assert answer.headers["X-ClickHouse-Exception-Code"] == "516"
            answer = httpx.post(server.url, content="SELECT 1", auth=(user, password), trust_env=False)
            assert answer.text == "1\n"
        assert one(Settings(home=tmp_path, clickhouse=server.url, database="default")) == 1
    with ClickHouseServer(tmp_path):
        assert passwords == {name: (secrets / name).read_text().strip() for name in passwords}


def test_the_analyst_s_connection_only_reads(clickhouse_server: Settings) -> None:
    """What the console and people connect as cannot write, and asks with parameters as the parts do."""
    warehouse = Warehouse.connect(clickhouse_server.replaced(database="default"), as_analyst=True)
    assert warehouse.rows("SELECT {n:UInt8} AS n", n=7) == [{"n": 7}]
    with pytest.raises(WarehouseError, match="READONLY"):
        warehouse.command("CREATE TABLE mine (a UInt8) ENGINE = Memory")
    warehouse.close()
