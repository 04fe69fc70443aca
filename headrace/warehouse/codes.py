"""ClickHouse's error codes: which of them say that waiting may help."""

from __future__ import annotations

from clickhouse_connect.driver.exceptions import DatabaseError, OperationalError

from headrace.errors import Permanent, Transient, WarehouseError

# ClickHouse's codes, by its own names, after which the same statement may succeed later: memory, too many parts or
# queries, disk, sockets, time-outs, read-only tables; a replica, a quorum or keeper that is away or changes; a server
# that is starting or stopping.
TRANSIENT_CODES = {
    3: "UNEXPECTED_END_OF_FILE",
    159: "TIMEOUT_EXCEEDED",
    160: "TOO_SLOW",
    164: "READONLY",
    198: "DNS_ERROR",
    201: "QUOTA_EXCEEDED",
    202: "TOO_MANY_SIMULTANEOUS_QUERIES",
    203: "NO_FREE_CONNECTION",
    209: "SOCKET_TIMEOUT",
    210: "NETWORK_ERROR",
    225: "NO_ZOOKEEPER",
    232: "NO_SUCH_DATA_PART",
    234: "NO_REPLICA_HAS_PART",
    236: "ABORTED",
    241: "MEMORY_LIMIT_EXCEEDED",
    242: "TABLE_IS_READ_ONLY",
    243: "NOT_ENOUGH_SPACE",
    244: "UNEXPECTED_ZOOKEEPER_ERROR",
    252: "TOO_MANY_PARTS",
    254: "NO_ACTIVE_REPLICAS",
    279: "ALL_CONNECTION_TRIES_FAILED",
    285: "TOO_FEW_LIVE_REPLICAS",
    286: "UNSATISFIED_QUORUM_FOR_PREVIOUS_WRITE",
    289: "REPLICA_IS_NOT_IN_QUORUM",
    319: "UNKNOWN_STATUS_OF_INSERT",
    341: "UNFINISHED",
    369: "ALL_REPLICAS_ARE_STALE",
    394: "QUERY_WAS_CANCELLED",
    415: "ALL_REPLICAS_LOST",
    416: "REPLICA_STATUS_CHANGED",
    425: "SYSTEM_ERROR",
    439: "CANNOT_SCHEDULE_TASK",
    473: "DEADLOCK_AVOIDED",
    499: "S3_ERROR",
    517: "CANNOT_ASSIGN_ALTER",
    519: "NO_REMOTE_SHARD_AVAILABLE",
    529: "NOT_A_LEADER",
    568: "RAFT_ERROR",
    571: "DATABASE_REPLICATION_FAILED",
    692: "TOO_MANY_MUTATIONS",
    722: "ASYNC_LOAD_WAIT_FAILED",
    733: "TABLE_IS_BEING_RESTARTED",
    738: "PART_IS_LOCKED",
    745: "SERVER_OVERLOADED",
    749: "TCP_CONNECTION_LIMIT_REACHED",
    762: "HTTP_CONNECTION_LIMIT_REACHED",
    774: "TABLE_IS_PERMANENTLY_READ_ONLY",
    999: "KEEPER_EXCEPTION",
}
# Codes of a file system that is full or fails: a person mends that, and then the same statement succeeds.
DISK_CODES = frozenset({74, 75, 76, 243})


def classify(error: Exception) -> WarehouseError:
    """Whether waiting may help. A refusal without a ClickHouse code came from the way there: transient."""
    code = int(getattr(error, "code", 0) or 0)
    text = short(error)
    if isinstance(error, DatabaseError) and not isinstance(error, OperationalError) and code:
        return Transient(text, code) if _is_passing(code) else Permanent(text, code)
    if code and not _is_passing(code):
        return Permanent(text, code)
    return Transient(text, code)


def _is_passing(code: int) -> bool:
    return code in TRANSIENT_CODES or code in DISK_CODES


def short(error: Exception) -> str:
    """Its text in one line."""
    return " ".join(str(error).split())[:500]
