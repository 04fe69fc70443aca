"""The rules that the code keeps, whoever writes it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
MAX_LINES = 350
# In pieces, so that this file keeps its own rule.
REGISTRIES = tuple(
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("repo1", "maven", "org"),
        ("repo", "maven", "apache", "org"),
        ("registry", "npmjs", "org"),
        ("download", "pytorch", "org"),
        ("ghcr", "io"),
        ("docker", "io"),
    )
)
MACHINE_PATH = re.compile(r"""(?:^|[\s"'`=(:,\[])/(?:work|root|tmp|home/[a-z]+)(?:/|\b)""", re.MULTILINE)
IGNORED = {".venv", "var", "build", "__pycache__", ".git"}


def repository_files() -> list[Path]:
    """What is or will be committed: all that git does not ignore, or else everything that is not built."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        check=False,
    )
    if listed.returncode == 0:
        names = [name for name in listed.stdout.decode().split("\0") if name]
        return [REPOSITORY / name for name in names if (REPOSITORY / name).is_file()]
    return [
        path
        for path in REPOSITORY.rglob("*")
        if path.is_file() and not IGNORED.intersection(path.relative_to(REPOSITORY).parts)
    ]


def texts() -> dict[str, str]:
    """The text files by their path in the repository."""
    found = {}
    for path in repository_files():
        try:
            found[str(path.relative_to(REPOSITORY))] = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
    return found


def passes(*argv: str) -> None:
    done = subprocess.run([sys.executable, "-m", *argv], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(argv)}\n{done.stdout}{done.stderr}"


def test_ruff_finds_nothing() -> None:
    """The linter's chosen rules hold everywhere."""
    passes("ruff", "check", ".")


def test_ruff_would_change_nothing() -> None:
    """Every file is formatted."""
    passes("ruff", "format", "--check", ".")


def test_types_hold() -> None:
    """mypy passes as configured: strict where the loop's guarantees live."""
    passes("mypy")


def test_parts_stay_apart() -> None:
    """headrace imports no part, and no part imports another."""
    linter = shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    assert linter, "lint-imports is not installed; run make install"
    done = subprocess.run([linter, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_files_are_read_in_one_sitting() -> None:
    """No Python file grows past what a reader takes in at once."""
    long = {name: text.count("\n") for name, text in texts().items() if name.endswith(".py")}
    assert {name: lines for name, lines in long.items() if lines > MAX_LINES} == {}


def test_repository_names_no_registry_and_no_machine() -> None:
    """The code builds behind any mirror and on any machine: no registry's host, no path of the machine it came from."""
    named = {name: host for name, text in texts().items() for host in REGISTRIES if host in text}
    assert named == {}
    paths = {name: found[0].strip() for name, text in texts().items() if (found := MACHINE_PATH.search(text))}
    assert paths == {}


def test_python_lock_pins_by_hash() -> None:
    """Every package of the lock has one version and its hashes, and no address says where it came from."""
    lock = (REPOSITORY / "locks" / "python.lock").read_text()
    assert "://" not in lock
    packages = re.split(r"\n(?=\S)", lock.strip())
    assert len(packages) > 100
    for package in packages:
        assert re.match(r"[a-zA-Z0-9._-]+(\[[a-z0-9,_-]+\])?==\S+", package), package.splitlines()[0]
        assert "--hash=sha256:" in package, package.splitlines()[0]


def test_broker_lock_pins_by_hash() -> None:
    """Every jar of the broker has its SHA-256."""
    lines = (REPOSITORY / "locks" / "broker.lock").read_text().splitlines()
    jars = [line for line in lines if line and not line.startswith("#")]
    assert len(jars) > 20
    assert [line for line in jars if not re.fullmatch(r"[0-9a-f]{64} \S+\.jar", line)] == []
    assert not any("://" in line for line in lines)


def test_no_cancellation_is_swallowed() -> None:
    """Before Python 3.12 asyncio.wait_for may lose the cancellation of its caller; asyncio.timeout does not."""
    call = re.compile(r"asyncio\.wait_for\(")
    ours = {name: text for name, text in texts().items() if name.endswith(".py") and not name.startswith("tests/")}
    assert [name for name, text in ours.items() if call.search(text)] == []


QUERIES = sorted((REPOSITORY / "headrace" / "warehouse" / "queries").rglob("*.sql"))


def test_each_file_of_tests_has_a_name_of_its_own() -> None:
    """pytest imports them by their names: of two alike one is not collected."""
    files = list((REPOSITORY / "tests").rglob("test_*.py"))
    assert len(files) > 200
    assert [name for name, count in Counter(file.name for file in files).items() if count > 1] == []


def test_each_query_stands_in_its_askers_folder() -> None:
    """`queries/` holds folders, and a folder holds queries: a name is `asker/query`."""
    assert len(QUERIES) > 100
    assert {query.parent.parent.name for query in QUERIES} == {"queries"}


@pytest.mark.parametrize("query", QUERIES, ids=lambda path: path.stem)
def test_query_says_what_a_row_means(query: Path) -> None:
    """Each query file opens with a comment for the person who runs it by hand."""
    first = query.read_text("utf-8").splitlines()[0]
    assert first.startswith("-- "), f"{query.name} does not begin with a comment"
    assert len(first) > 20
