"""`headrace import` on the command line, as far as it takes no servers."""

from __future__ import annotations

import io
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from headrace.cli import app

FORM = ("--as", "feedback", "--source", "user", "--signal", "thumb", "--map", "at=occurred_at", "--set", "value=1")


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "var"))
    return tmp_path / "var"


def imported(*arguments: str | Path) -> int:
    """The exit code of an import."""
    with pytest.raises(SystemExit) as caught:
        app(["import", *map(str, arguments)])
    code = caught.value.code
    assert isinstance(code, int)
    return code


def test_a_dry_run_shows_what_was_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Encoding, delimiter, header, decimal mark and order of day and month, on standard error."""
    (tmp_path / "a.csv").write_bytes("Bericht\nat;session_id;value\n13/2/2026 10:00;gespräch;4,5\n".encode("utf-16"))
    form = ("--as", "feedback", "--source", "user", "--signal", "rating", "--map", "at=occurred_at", "--zone", "UTC")
    assert imported(tmp_path / "a.csv", *form, "--dry-run") == 0
    told = capsys.readouterr()
    (event,) = [json.loads(line) for line in told.out.splitlines() if line.startswith("{")]
    assert (event["value"], event["occurred_at"]) == (4.5, "2026-02-13T10:00:00Z")
    assert told.err == (
        "read as: encoding UTF-16-LE, by its byte order mark; delimiter semicolon; header in line 2; times with the day"
        " first, as '13/2/2026 10:00' in row 1 shows; decimal comma\n"
    )


def test_standard_input(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """`-` is read to its end, whatever kind of file it is."""
    for content in (b"at,session_id\n1772452800,a\n", b'{"at": 1772452800, "session_id": "a"}\n'):
        monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(content)))
        assert imported("-", *FORM, "--dry-run") == 0
        assert '"session_id":"a"' in capsys.readouterr().out


def test_a_key_of_another_machine(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With --url it is the gateway's to know; without it the sentence says so."""
    (tmp_path / "a.csv").write_text("at,session_id\n1772452800,a\n")
    monkeypatch.setenv("HEADRACE_KEY", "hr_0123_secret")
    assert imported(tmp_path / "a.csv", *FORM, "--dry-run") == 2
    told = capsys.readouterr().err
    assert "HEADRACE_KEY is no key of this machine" in told and "--url http://127.0.0.1:8080" in told
    assert "secret" not in told
    url = ("--url", "http://127.0.0.1:1")
    assert imported(tmp_path / "a.csv", *FORM, *url, "--dry-run") == 0
    home.mkdir()
    (home / "keys.json").write_text("damaged")
    assert imported(tmp_path / "a.csv", *FORM, *url, "--dry-run") == 0


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--decimal", ";"), "--decimal ;: it is a point or a comma"),
        (("--encoding", "klingon"), "--encoding klingon: there is no such encoding"),
        (("--source", "boss"), "--set source=boss: Input should be 'user', 'implicit'"),
        (("--word", "value:yes=perhaps"), "--word value:yes=perhaps: Input should be a valid number"),
        (("--set", "extra={"), "extra={ is not JSON"),
        (("--map", "at=label"), "--map at=label: at is occurred_at already"),
        (("--map", "session_id=occurred_at"), "--map session_id=occurred_at: occurred_at comes from at already"),
        (("--set", "occurred_at=yesterday"), "'yesterday' is not a time"),
        (("--map", "sesion_id=session_id"), "has no column 'sesion_id'; it has at, session_id; is it 'session_id'?"),
    ],
)
def test_a_mistake_is_told_before_a_row_is_sent(
    tmp_path: Path, home: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], says: str
) -> None:
    """In one sentence that names the option, with exit code 2; nothing is written."""
    (tmp_path / "a.csv").write_text("at,session_id\n1772452800,a\n")
    assert imported(tmp_path / "a.csv", *FORM, *options) == 2
    told = capsys.readouterr().err
    assert says in told and told.count("\n") == 1 and not home.exists()
