"""The key file and the ring of keys that is read from it."""

from __future__ import annotations

import errno
import json
import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from headrace.access.key_ring import KeyRing, command_line
from headrace.access.keys import make, read, revoke, rotate
from headrace.access.roles import Rate, Role
from headrace.errors import SettingsError, UserError
from headrace.settings import Settings

INGEST = frozenset({Role.INGEST})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "keys.json"


def added(file: Path, name: str = "helpdesk", roles: frozenset[Role] = INGEST, **rights: object) -> str:
    """A new key's text."""
    return make(file, name, "acme", roles, "test", **rights)[1].get_secret_value()  # type: ignore[arg-type]


def test_a_key_is_known_by_its_digest_alone(file: Path) -> None:
    """Its holder has its rights; the file has mode 0600 and neither the key nor its secret."""
    text = added(file, rate="10/50")
    found = KeyRing(file).find(text)
    assert found is not None and text.startswith(f"hr_{found.key_id}_")
    assert (found.tenant, found.name, found.roles, found.rate) == ("acme", "helpdesk", INGEST, Rate(10, 50))
    secret = text.rsplit("_", 1)[1]
    assert len(secret) * 4 >= 128 and secret not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


def test_unknown_revoked_and_expired_keys_look_alike(file: Path) -> None:
    """None of them has a holder, nor has a key with another secret, another form or no text at all."""
    ring = KeyRing(file, look_s=0)
    known, ended, short = added(file), added(file, "ended"), added(file, "short", lifetime=timedelta(seconds=-1))
    revoke(file, "ended", "test")
    assert ring.find(known) is not None
    forms = (known[:-1], known + "0", known.replace("hr_", "xx_"), known.split("_")[1], "hr_", "", "\udcff", "hr_x_y")
    assert [ring.find(text) for text in (ended, short, *forms)] == [None] * (2 + len(forms))
    states = {key.name: key.revoked_by for key in read(file)}
    assert states == {"helpdesk": "", "ended": "test", "short": ""}


def test_a_ring_follows_its_file(file: Path) -> None:
    """Keys that are added, rotated and revoked count from the next question on."""
    ring = KeyRing(file, look_s=0)
    assert ring.empty
    old = added(file, lifetime=timedelta(days=1))
    assert ring.find(old) is not None and not ring.empty
    ending, made, text = rotate(file, "helpdesk", timedelta(hours=1), "test")
    new = text.get_secret_value()
    found = ring.find(new), ring.find(old)
    assert found[0] is not None and found[1] is not None
    assert (found[0].roles, found[0].tenant, found[0].key_id) == (found[1].roles, found[1].tenant, made.id)
    assert made.expires_at is not None and made.expires_at - made.created_at == timedelta(days=1)
    assert ending.expires_at is not None and ending.expires_at - made.created_at == timedelta(hours=1)
    assert {key.id for key in revoke(file, "helpdesk", "test")} == {ending.id, made.id}
    assert ring.find(new) is None and ring.find(old) is None and not ring.empty


def test_a_ring_whose_file_cannot_be_read_keeps_what_it_knew(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Garbage, a file that others may read and none at all change no right and are each told once."""
    text = added(file)
    ring, good = KeyRing(file, look_s=0), file.read_bytes()
    for spoil, says in (
        (lambda: file.write_bytes(b"{"), "is damaged"),
        (lambda: (file.write_bytes(good), file.chmod(0o644)), "run chmod 600"),
        (file.unlink, "is gone"),
    ):
        caplog.clear()
        spoil()
        with caplog.at_level(logging.ERROR):
            assert all(ring.find(text) is not None for _ in range(3)) and not ring.empty
        assert [says in record.getMessage() for record in caplog.records] == [True]
    file.write_bytes(good.replace(b'"acme"', b'"globex"'))
    file.chmod(0o600)
    found = ring.find(text)
    assert found is not None and found.tenant == "globex"


def test_a_file_that_vanishes_while_it_is_read_opens_nothing(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It was there when its change was noticed and is gone when it is opened: the keys known before still hold."""
    text = added(file)
    ring, opened = KeyRing(file, look_s=0), Path.open
    added(file, "crm")

    def gone(path: Path, *how: Any, **more: Any) -> Any:
        path.unlink(missing_ok=True)
        return opened(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", gone)
        assert ring.find(text) is not None
    assert not ring.empty and ring.find(text) is not None


def test_a_key_holds_as_soon_as_it_is_made(file: Path) -> None:
    """However long ago the file was looked at: whoever got a key may use it in the same instant."""
    added(file)
    ring = KeyRing(file, look_s=3600)
    assert ring.find("hr_none_none") is None
    assert ring.find(added(file, "crm")) is not None


def test_what_is_no_key_costs_no_look_at_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients send other products' keys to a gateway that has none yet, with thousands of questions a second."""
    added(file)
    ring = KeyRing(file, look_s=3600)
    monkeypatch.setattr("headrace.access.key_ring._stamp", None)
    assert ring.find("sk-none") is None and ring.find("") is None


def test_a_passing_error_is_forgotten(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that could not be opened once, as when a process has too many open, is read at the next question."""
    added(file)
    ring, other = KeyRing(file, look_s=0), added(file, "crm")

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refused)
        assert ring.find(other) is None
    assert ring.find(other) is not None


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is damaged"),
        (b"[]", "is damaged"),
        (b'{"schema_version": 1, "keys": [{"id": "x"}]}', "is damaged (keys.0.id"),
        (b'{"schema_version": 2, "keys": []}', "was written by a later headrace"),
    ],
)
def test_a_file_that_is_not_understood_is_never_overwritten(file: Path, content: bytes, says: str) -> None:
    """To read it, add to it, or revoke one of its keys is an error of one sentence, and it stays as it is."""
    file.parent.mkdir()
    file.write_bytes(content)
    file.chmod(0o600)
    for act in (lambda: read(file), lambda: added(file), lambda: revoke(file, "x", "y"), lambda: KeyRing(file)):
        with pytest.raises(SettingsError, match="the key file") as caught:
            act()
        assert says in str(caught.value) and "\n" not in str(caught.value)
    assert file.read_bytes() == content
    assert {path.name for path in file.parent.iterdir()} == {"keys.json", "keys.json.lock"}


def test_what_a_later_headrace_said_within_this_version_stays(file: Path) -> None:
    """Unknown fields of the file and of its keys are written on."""
    added(file)
    content = json.loads(file.read_text())
    content["note"], content["keys"][0]["colour"] = "kept", "blue"
    file.write_text(json.dumps(content))
    added(file, "second")
    after = json.loads(file.read_text())
    assert (after["note"], after["keys"][0]["colour"], len(after["keys"])) == ("kept", "blue", 2)


def test_writers_at_the_same_time_lose_nothing(file: Path) -> None:
    """Each key that was given out is in the file."""
    with ThreadPoolExecutor(8) as pool:
        texts = list(pool.map(lambda number: added(file, f"key-{number}"), range(24)))
    ring = KeyRing(file, look_s=0)
    assert all(ring.find(text) is not None for text in texts) and len(read(file)) == 24


@pytest.mark.parametrize(
    ("roles", "rights", "says"),
    [
        (frozenset(), {}, "a key has a role"),
        (frozenset({Role.PUBLISH}), {}, "takes the origins of its web pages"),
        (INGEST, {"origins": ["https://a.example"]}, "no other role does"),
        (frozenset({Role.PUBLISH, Role.READ}), {"origins": ["https://a.example"]}, "give it no other role"),
        (frozenset({Role.PUBLISH}), {"origins": ["http://a.example"]}, "is served by https"),
        (frozenset({Role.PUBLISH}), {"origins": ["*"]}, "is not the origin of a web page"),
        (frozenset({Role.PUBLISH}), {"origins": ["https://a.example/page"]}, "is not the origin of a web page"),
        (INGEST, {"rate": "fast"}, "is not a rate"),
        (INGEST, {"name": "desk\nkey x (y): made"}, "printable text on one line"),
    ],
)
def test_rights_that_do_not_go_together_are_refused(
    file: Path, roles: frozenset[Role], rights: dict[str, object], says: str
) -> None:
    """In one sentence, and no file is made of it."""
    with pytest.raises(UserError, match=says):
        added(file, roles=roles, **rights)
    assert not file.exists()


def test_a_name_has_one_active_key(file: Path) -> None:
    """A second one is refused until the first is revoked, and revoking what is not there says so."""
    added(file)
    with pytest.raises(UserError, match="there is an active key 'helpdesk' already"):
        added(file)
    revoke(file, "helpdesk", "test")
    added(file)
    with pytest.raises(UserError, match="has no active key 'nobody'"):
        revoke(file, "nobody", "test")


def test_the_command_line_is_its_keys_holder_or_the_homes_owner(file: Path) -> None:
    """HEADRACE_KEY decides; one that is not in the file is an error that does not show it."""
    settings = Settings(home=file.parent)
    assert command_line(settings).roles == frozenset(Role) and command_line(settings).any_tenant
    text = added(file)
    held = command_line(settings.replaced(key=text))
    assert (held.name, held.roles, held.any_tenant) == ("helpdesk", INGEST, False)
    with pytest.raises(SettingsError, match="HEADRACE_KEY is no active key") as caught:
        command_line(settings.replaced(key=text + "0"))
    assert text.rsplit("_", 1)[1] not in str(caught.value)


def test_an_unreadable_file_is_one_sentence(file: Path) -> None:
    """Where the file cannot even be opened, the error names it."""
    file.parent.mkdir()
    file.mkdir()
    with pytest.raises(SettingsError, match=r"keys\.json cannot be read"):
        read(file)


def test_a_file_whose_mode_was_mended_is_read_again(file: Path) -> None:
    """chmod, which the error asks for, changes neither the content nor its time; a key revoked there ends with it."""
    text = added(file)
    ring = KeyRing(file, look_s=0)
    revoke(file, "helpdesk", "test")
    file.chmod(0o644)
    assert ring.find(text) is not None
    file.chmod(0o600)
    assert ring.find(text) is None
