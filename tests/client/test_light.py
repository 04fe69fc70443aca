"""What an agent frontend installs stays small."""

from __future__ import annotations

import subprocess
import sys


def test_importing_the_client_is_light() -> None:
    """`import headrace.client` loads neither torch nor a ClickHouse client, nor a transport it may not need."""
    code = "import sys, headrace.client; print(sorted(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("torch", "clickhouse_connect", "chdb", "transformers", "httpx", "aiokafka", "faust"):
        assert f"'{name}'" not in out
