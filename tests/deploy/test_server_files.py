"""The configuration of ClickHouse and Grafana, checked without them."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import yaml

from headrace.embedded.clickhouse.configuration import ANALYST_LIMITS

DEPLOY = Path(__file__).parents[2] / "deploy"
# The logs about itself that ClickHouse 25.8 keeps with its default configuration.
SYSTEM_LOGS = {
    "query_log",
    "query_metric_log",
    "query_thread_log",
    "query_views_log",
    "part_log",
    "trace_log",
    "text_log",
    "metric_log",
    "latency_log",
    "error_log",
    "crash_log",
    "session_log",
    "asynchronous_metric_log",
    "asynchronous_insert_log",
    "opentelemetry_span_log",
    "processors_profile_log",
    "backup_log",
    "blob_storage_log",
    "s3queue_log",
}


def test_system_logs_are_bounded() -> None:
    """Each log that ClickHouse keeps about itself expires or is not kept."""
    root = ElementTree.parse(DEPLOY / "clickhouse" / "config.d" / "headrace.xml").getroot()
    bounded = {log.tag for log in root if log.get("remove") == "1" or "INTERVAL" in log.findtext("ttl", "")}
    assert SYSTEM_LOGS - bounded == set()


def test_analyst_reads_within_limits() -> None:
    """The analyst may only read, and has the embedded server's limits, which no query can raise or switch off."""
    root = ElementTree.parse(DEPLOY / "clickhouse" / "users.d" / "analyst.xml").getroot()
    profile = root.find("profiles/analyst")
    assert profile is not None
    assert profile.findtext("readonly") == "2"
    for name, limit in ANALYST_LIMITS.items():
        assert profile.findtext(name) == str(limit)
        assert profile.findtext(f"constraints/{name}/max") == str(limit)
        assert profile.findtext(f"constraints/{name}/min") == "1"
    user = root.find("users/analyst")
    assert user is not None
    assert [grant.text for grant in user.findall("grants/query")] == ["GRANT SELECT ON headrace.*"]
    password = user.find("password")
    assert password is not None
    assert (password.get("from_env"), password.text) == ("ANALYST_PASSWORD", None)


def test_grafana_reads_as_the_analyst() -> None:
    """Grafana's data source logs in as the read-only user and holds no password."""
    text = (DEPLOY / "grafana" / "provisioning" / "datasources" / "clickhouse.yaml").read_text("utf-8")
    (source,) = yaml.safe_load(text)["datasources"]
    assert source["jsonData"]["username"] == "analyst"
    assert source["jsonData"]["defaultDatabase"] == "headrace"
    assert source["secureJsonData"]["password"] == "$ANALYST_PASSWORD"
