"""Every .sql file keeps the rules of docs/warehouse.md, "On several replicas", or is an exception with a reason."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
# What a running stack writes below var/ comes and goes while it is looked at.
ROOMS = [
    room
    for room in REPOSITORY.iterdir()
    if room.is_dir() and room.name not in (".git", ".venv", "var", "build", "tests")
]
FILES = sorted(path for room in ROOMS for path in room.rglob("*.sql"))

# Tables that grow with the events.
EVENTS = {
    "inferences",
    "feedback",
    "expired",
    "expired_inferences",
    "parked",
    "arrivals",
    "audit_labels",
    "dataset_rows",
}
# Functions that may give each replica another value.
UNSTABLE = re.compile(
    r"\b(now64|now|today|yesterday|rand\w*|generateUUID\w*|dictGet\w*|joinGet\w*|hostName|uptime|currentUser)\s*\(",
    re.I,
)
OUTSIDE = re.compile(r"\b(url|file|s3|s3Cluster|remote|remoteSecure|cluster|clusterAllReplicas|executable)\s*\(", re.I)
SERVER = re.compile(r"^\s*(OPTIMIZE|SYSTEM|KILL|TRUNCATE|ATTACH|DETACH)\b", re.I)
ENGINE = re.compile(r"ENGINE\s*=\s*(Null|(Replacing|Aggregating|Summing)?MergeTree(\([\w, ]*\))?)\s", re.I)

EXCEPTIONS = {
    (
        "mutation",
        "migrations/023_ground_truth",
    ): "released; no new database runs it, and those before are of one server",
    (
        "mutation",
        "migrations/039_labels_are_ids",
    ): "runs once over whole tables, and what it writes is decided by the row alone",
    ("waits", "migrations/024_signed_answers_and_old_letters"): "released; the same",
}
WHOLE = {
    "migrations/023_ground_truth": EXCEPTIONS["mutation", "migrations/023_ground_truth"],
    "maintenance/parked_empty": "what waits, bounded by the plan's parked_days",
    "maintenance/parked_settle": "the same",
    "schema/36_questions": "a data set may take any answer that got feedback, as far back as the plan keeps them",
    "cli/reconcile_full": "reads all history on purpose, to check what reads a part of it",
    "schema/35_balance": "the same",
}


def name_of(path: Path) -> str:
    """A file's folder and stem."""
    return f"{path.parent.name}/{path.stem}"


def statements(path: Path) -> Iterator[str]:
    """A file's statements without their comments and the insides of their strings."""
    either = r"--[^\n]*|'(?:[^'\\]|\\.|'')*'"
    text = re.sub(either, lambda found: "" if found[0].startswith("--") else "''", path.read_text("utf-8"))
    yield from (statement.strip() for statement in text.split(";\n") if statement.strip())


def is_mutation(statement: str) -> bool:
    return bool(re.match(r"DELETE\s+FROM|UPDATE\s", statement)) or bool(
        re.match(r"ALTER\s+TABLE", statement)
        and re.search(r"^(?:ALTER\s+TABLE\s+\S+)?\s*(DELETE|UPDATE)\b", statement, re.M)
    )


def broken(path: Path) -> set[str]:
    """The rules that a file does not keep."""
    found: set[str] = set()
    for statement in statements(path):
        if is_mutation(statement):
            rest = statement.split(None, 1)[1]
            if re.search(r"\b(SELECT|JOIN)\b", rest) or UNSTABLE.search(rest) or "IN PARTITION" not in rest:
                found.add("mutation")
            if not re.search(r"(mutations_sync|lightweight_deletes_sync)\s*=\s*1", rest):
                found.add("waits" if "mutation" not in found else "mutation")
        elif re.search(r"mutations_sync\s*=\s*[^1\s]", statement):
            found.add("waits")
        if statement.startswith("CREATE TABLE") and not ENGINE.search(f"{statement} "):
            found.add("engine")
        if OUTSIDE.search(statement):
            found.add("outside")
        if SERVER.match(statement):
            found.add("server")
        if any(unbounded(select) for select in sets(statement)):
            found.add("set")
    return found


def sets(statement: str) -> Iterator[str]:
    """The SELECTs inside IN ( … ), those of a UNION one by one."""
    for start in re.finditer(r"\bIN\s*\(\s*(?=SELECT\b)", statement):
        inside = balanced(statement[start.end() :])
        depth, last = 0, 0
        for token in re.finditer(r"[()]|\bUNION\s+(?:ALL|DISTINCT)\b", inside):
            depth += {"(": 1, ")": -1}.get(token[0], 0)
            if depth == 0 and token[0].startswith("UNION"):
                yield inside[last : token.start()]
                last = token.end()
        yield inside[last:]


def balanced(text: str) -> str:
    """Up to the bracket that closes one which was opened before."""
    depth = 0
    for token in re.finditer(r"[()]", text):
        depth += 1 if token[0] == "(" else -1
        if depth < 0:
            return text[: token.start()]
    return text


def unbounded(select: str) -> bool:
    """Whether a SELECT reads all of a table that grows with the events."""
    flat, depth = [], 0
    for token in re.split(r"([()])", select):
        depth += {"(": 1, ")": -1}.get(token, 0)
        flat.append(token if depth == 0 else " ")
    text = "".join(flat)
    named = re.search(r"\bFROM\s+(\w+)", text)
    return bool(named and named[1] in EVENTS and not re.search(r"\bWHERE\b", text))


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_sql_runs_on_every_replica_alike(path: Path) -> None:
    """A file breaks no rule, but those that an exception with a reason names."""
    allowed = {rule for rule, name in EXCEPTIONS if name == name_of(path)} | (
        {"set"} if name_of(path) in WHOLE else set()
    )
    assert broken(path) - allowed == set()


def test_every_exception_is_needed() -> None:
    """An exception that nothing needs any more goes."""
    found = {name_of(path): broken(path) for path in FILES}
    assert [key for key in EXCEPTIONS if key[0] not in found[key[1]]] == []
    assert [name for name in WHOLE if "set" not in found[name]] == []


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("DELETE FROM feedback WHERE feedback_id IN (SELECT feedback_id FROM expired)", "mutation"),
        ("DELETE FROM feedback IN PARTITION ID '' WHERE at < now() SETTINGS lightweight_deletes_sync = 1", "mutation"),
        ("ALTER TABLE feedback DELETE WHERE revision = 1 SETTINGS mutations_sync = 1", "mutation"),
        ("ALTER TABLE feedback\n    UPDATE label = 'a' IN PARTITION ID '1' WHERE revision = 1", "waits"),
        ("CREATE TABLE t (a UInt8) ENGINE = Distributed(c, d, t)", "engine"),
        ("SELECT * FROM url('http://a')", "outside"),
        ("OPTIMIZE TABLE feedback FINAL", "server"),
        ("SELECT 1 FROM feedback WHERE (tenant, inference_id) IN (SELECT tenant, inference_id FROM inferences)", "set"),
    ],
)
def test_the_rules_find_what_breaks_them(sql: str, rule: str, tmp_path: Path) -> None:
    """Each rule is broken by an example."""
    (tmp_path / "one.sql").write_text(f"-- one\n{sql}\n")
    assert rule in broken(tmp_path / "one.sql")
