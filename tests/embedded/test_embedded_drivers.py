"""Drivers as they come from their registries: clickhouse-go, clickhouse-jdbc, @clickhouse/client."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from headrace.embedded.clickhouse import ClickHouseServer

pytestmark = [pytest.mark.acceptance, pytest.mark.stack]

DRIVERS = Path(__file__).with_name("drivers")
GO = "github.com/ClickHouse/clickhouse-go/v2@v2.51.0"
JDBC = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>headrace</groupId><artifactId>driver</artifactId><version>1</version>
<dependencies><dependency><groupId>com.clickhouse</groupId><artifactId>clickhouse-jdbc</artifactId>
<version>0.9.4</version><classifier>all</classifier></dependency></dependencies></project>
"""
NODE = "@clickhouse/client@1.23.1"


def fetched(folder: Path, *command: str) -> None:
    """Get packages; where that fails the test is skipped with what was said."""
    program = command[0]
    if shutil.which(program) is None:
        pytest.skip(f"there is no {program} here")
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.skip(f"{' '.join(command)} failed: {done.stderr[-300:] or done.stdout[-300:]}")


def run(server: ClickHouseServer, folder: Path, *command: str) -> None:
    """Run a program on the server; it exits with 0 where all is right."""
    done = subprocess.run([*command, *_where(server)], cwd=folder, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]


def _where(server: ClickHouseServer) -> list[str]:
    return [f"127.0.0.1:{server.port}", "pass:word"]


def test_go(server: ClickHouseServer, tmp_path: Path) -> None:
    """clickhouse-go over HTTP with every compression: batches, parameters, zones, many rows, early and late errors."""
    shutil.copy(DRIVERS / "driver.go", tmp_path / "driver.go")
    fetched(tmp_path, "go", "mod", "init", "driver")
    fetched(tmp_path, "go", "get", GO)
    fetched(tmp_path, "go", "mod", "tidy")
    fetched(tmp_path, "go", "build", "-o", "driver", ".")
    run(server, tmp_path, str(tmp_path / "driver"))


def test_jdbc(server: ClickHouseServer, tmp_path: Path) -> None:
    """The JDBC driver with its defaults, without compression and with blocks both ways: metadata, batches, cancel."""
    if shutil.which("javac") is None:
        pytest.skip("there is no javac here")
    (tmp_path / "pom.xml").write_text(JDBC)
    fetched(tmp_path, "mvn", "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory=jars")
    run(server, tmp_path, "java", "-cp", "jars/*", str(DRIVERS / "Driver.java"))


def test_node(server: ClickHouseServer, tmp_path: Path) -> None:
    """The client for Node, plain and with gzip: inserts of each shape, a stream, KILL QUERY and an abort."""
    fetched(tmp_path, "npm", "install", "--silent", "--no-audit", "--no-fund", NODE)
    shutil.copy(DRIVERS / "driver.mjs", tmp_path / "driver.mjs")
    command = ["node", str(tmp_path / "driver.mjs"), f"http://{_where(server)[0]}", "pass:word"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
