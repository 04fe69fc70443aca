"""Spellings that hypothesis finds: whatever reaches a file on an engine without locks is refused by the check."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.stack

Ask = Callable[[str], tuple[bool, bool]]
CANARY = "CANARY-77ab"

SPACE = " |\n|\t|\f|\r\n|\u00a0|\u3000|\ufeff|\u2003|/**/|/* ' */|/*\"*/|-- '\n|--`\n|# `\n|#!'\n"
GAPS = st.lists(st.sampled_from(SPACE.split("|")), max_size=3).map("".join)
# A literal, an alias or a comment before the call, to lead a reader astray.
ASTRAY = r"""'file(' '''' '\'' ‘'’ “'” $$'$$ $a$'$a$ 1|AS|"'" 1|AS|`'` '/*' '--' 1/*'*/ x'27' b'1' 'a''' 'a\\'
    1|AS|"a""b" 1|AS|file"""
DECOYS = st.sampled_from(["", *(f"{decoy}, ".replace("|", " ") for decoy in ASTRAY.split())])


@st.composite
def names(draw: st.DrawFn, name: str) -> str:
    """A name in any case, bare or quoted, with letters escaped in the quotes."""
    letters = [draw(st.sampled_from([letter, letter, letter, letter.upper()])) for letter in name]
    quote = draw(st.sampled_from(["", "", "`", '"', "'"]))
    if quote:
        ways = ["{0}", "{0}", "\\x{1:02x}", "\\{0}"]
        letters = [draw(st.sampled_from(ways)).format(letter, ord(letter)) for letter in letters]
    return quote + "".join(letters) + quote


@st.composite
def statements(draw: st.DrawFn) -> str:
    gap = [draw(GAPS) for _ in range(6)]
    path = draw(st.sampled_from(["'{d}/canary'", "concat('{d}', '/canary')", "$${d}/canary$$", "‘{d}/canary’"]))
    scalar = f"{draw(names('file'))}{gap[0]}({gap[1]}{path}{gap[2]})"
    table = f"{draw(names('file'))}{gap[0]}({gap[1]}'{{d}}/canary',{gap[2]}'LineAsString')"
    written = f"{draw(names('file'))}{gap[0]}('{{d}}/written',{gap[2]}'CSV', 'a Int8')"
    decoy = draw(DECOYS)
    return draw(
        st.sampled_from([
            f"SELECT {decoy}{scalar}",
            f"{gap[3]}SELECT{gap[4]} {decoy}({scalar}){gap[5]}",
            f"SELECT {decoy}(SELECT {scalar})",
            f"WITH {scalar} AS y SELECT {decoy}y",
            f"SELECT {decoy}arrayMap(y -> {scalar}, [1])",
            f"SELECT {decoy}2 FROM (SELECT 1) WHERE throwIf(1, {scalar})",
            f"SELECT {decoy}* FROM{gap[3]} {table}",
            f"SELECT {decoy}* FROM view(SELECT * FROM{gap[3]} {table})",
            f"SELECT {decoy}1 IN (SELECT * FROM {table})",
            f"DESCRIBE{gap[3]} TABLE (SELECT {decoy}{scalar})",
            f"INSERT{gap[3]} INTO FUNCTION {written} SELECT 1",
            f"{gap[3]}INSERT INTO TABLE FUNCTION {written} VALUES (1)",
            f"SELECT {decoy}1{gap[3]} INTO{gap[4]} {draw(names('outfile'))} '{{d}}/written'",
            f"EXPLAIN SELECT {decoy}1 INTO {draw(names('outfile'))} {gap[3]}'{{d}}/written' FORMAT CSV",
            f"SHOW TABLES{gap[3]} {draw(names('into'))} OUTFILE '{{d}}/written'",
        ])
    )  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("unguarded")
    (made / "canary").write_text(f"{CANARY}\n")
    return made


@pytest.fixture(scope="module")
def ask(folder: Path) -> Iterator[Ask]:
    """Whether an engine without locks reaches the file by a statement, and whether the check refuses it."""
    program = [sys.executable, str(Path(__file__).with_name("unguarded.py")), str(folder)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder) as running:
        assert running.stdin is not None and running.stdout is not None

        def asked(statement: str) -> tuple[bool, bool]:
            assert running.stdin is not None and running.stdout is not None
            running.stdin.write(json.dumps(statement.replace("{d}", str(folder))) + "\n")
            running.stdin.flush()
            reached, refused = json.loads(running.stdout.readline())
            return reached, refused

        yield asked
        running.stdin.close()


def test_the_engine_without_locks_does_reach_files(ask: Ask) -> None:
    """What the next test compares with is real: the canary is read, and files are written."""
    for statement in (
        "SELECT file('{d}/canary')",
        "SELECT 1 INTO OUTFILE '{d}/written'",
        "SELECT `fil\\x65`('{d}/canary')",
    ):
        assert ask(statement) == (True, True)
    assert ask("SELECT 'file(', 1 AS file") == (False, False)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(statement=statements())
def test_no_spelling_passes_that_the_engine_would_run(ask: Ask, statement: str) -> None:
    """In any case, quoting, escape, place and company, a statement that reaches a file is refused."""
    reached, refused = ask(statement)
    assert refused or not reached
