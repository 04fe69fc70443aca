"""The engine's configuration, in ClickHouse's own files: config.xml and users.xml beside the data."""

from __future__ import annotations

import uuid
from pathlib import Path
from xml.sax.saxutils import escape

from headrace.embedded.clickhouse.allowed import FIXED, PRIVILEGES, TABLE_ENGINES

# The engine starts with a database in which every file of the machine is a table; `Engine` detaches it.
FILES_DATABASE = "_files"

# What a read-only user may spend: the most that settings in the URL can ask for. A profile's values do not reach the
# engine's sessions, so each request sets them.
ANALYST_LIMITS = {
    "max_execution_time": 60,
    "max_memory_usage": 2_000_000_000,
    "max_rows_to_read": 1_000_000_000,
    "max_result_bytes": 4_000_000_000,
}

CONFIG = """\
<clickhouse>
    <users_config>{users}</users_config>
    <user_files_path>{files}</user_files_path>
    <default_database>{database}</default_database>
    <access_control_improvements><table_engines_require_grant>true</table_engines_require_grant></access_control_improvements>
    <max_server_memory_usage>{memory}</max_server_memory_usage>
    <mark_cache_size>67108864</mark_cache_size>
    <uncompressed_cache_size>0</uncompressed_cache_size>
    <background_pool_size>2</background_pool_size>
    <background_merges_mutations_concurrency_ratio>2</background_merges_mutations_concurrency_ratio>
    <merge_tree>
        <!-- A pool of four never has the eight free slots that the default waits for. -->
        <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
        <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
        <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
    </merge_tree>
</clickhouse>
"""

USERS = """\
<clickhouse>
    <profiles>
        <default>
            <!-- A server's defaults where clickhouse-local has others. -->
            <implicit_select>0</implicit_select>
            <async_insert>0</async_insert>
            <max_memory_usage>{memory}</max_memory_usage>
            <constraints>{fixed}</constraints>
        </default>
    </profiles>
    <users>
        <!-- The front checks names and passwords; every session here is this user. -->
        <default>
            <password></password>
            <networks><ip>127.0.0.1</ip><ip>::1</ip></networks>
            <profile>default</profile>
            <quota>default</quota>
            <grants>{grants}</grants>
        </default>
    </users>
    <quotas><default></default></quotas>
</clickhouse>
"""


def write(folder: Path, memory_bytes: int) -> Path:
    """Write both files into the folder, and the database `default` where there is none; return config.xml."""
    users, config = folder / "users.xml", folder / "config.xml"
    grants = [*PRIVILEGES, *(f"GRANT TABLE ENGINE ON {name}" for name in sorted(TABLE_ENGINES))]
    users.write_text(
        USERS.format(
            memory=memory_bytes,
            grants="".join(f"<query>{query}</query>" for query in grants),
            fixed="".join(f"<{name}><const/></{name}>" for name in FIXED),
        )
    )
    files = folder / "user_files"
    files.mkdir(exist_ok=True)
    config.write_text(
        CONFIG.format(users=escape(str(users)), files=escape(f"{files}/"), memory=memory_bytes, database=FILES_DATABASE)
    )
    _own_default(folder / "data" / "metadata")
    return config


def _own_default(metadata: Path) -> None:
    """See to it that the database `default` is an ordinary one.

    The engine's database of files takes the tables to which the link `default` points. It would be emptied with it:
    the link goes, and comes back when `default` is loaded.
    """
    statement, link = metadata / "default.sql", metadata / "default"
    metadata.mkdir(parents=True, exist_ok=True)
    if link.is_symlink() or not statement.exists():
        number = link.readlink().name if link.is_symlink() else str(uuid.uuid4())
        statement.write_text(f"ATTACH DATABASE _ UUID '{number}'\nENGINE = Atomic\n")
    link.unlink(missing_ok=True)
