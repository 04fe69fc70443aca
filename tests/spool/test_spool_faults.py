"""Errors while a spool is read: nothing is settled that may be whole."""

from __future__ import annotations

import errno
import os
from collections import Counter
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest

from headrace.spool import Frame, Journal, segments


def one(text: str) -> Frame:
    return Frame(0, 3, 1, 1, text.encode())


def texts(journal: Journal) -> list[str]:
    """Everything that is left, in order."""
    found = []
    while taken := journal.take():
        found += [frame.body.decode() for frame in taken]
        journal.settle(Counter())
    return found


def test_what_cannot_be_read_now_is_read_later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without a free file loses neither events nor counts of what it inherits: it takes them afterwards."""
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])
    journal.count("inferences", emitted=5)
    journal.close()

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    with monkeypatch.context() as none_free:
        none_free.setattr(Path, "read_bytes", refused)
        assert Journal.take_over(journal.folder) is None
    successor = Journal.take_over(journal.folder)
    assert successor is not None and successor.emitter == "desk.1"
    with monkeypatch.context() as none_free:
        none_free.setattr(Path, "open", refused)
        assert successor.take() == [] and not successor.empty
    assert texts(successor) == ["a"]
    assert successor.empty and successor.damaged == 0
    assert successor.last()[1][0][1].emitted == 6


class Faulty:
    """Fails the n-th of all calls that read: listing a folder, opening a file, each read of it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, number: int, at: int) -> None:
        self.left, self.fired = at, False
        self._error = OSError(number, os.strerror(number))
        opened = Path.open
        monkeypatch.setattr(Path, "open", lambda path, *given, **named: self.watched(opened(path, *given, **named)))
        for owner, name in ((Path, "iterdir"), (Path, "stat")):
            monkeypatch.setattr(owner, name, self.failing(getattr(owner, name)))

    def failing(self, call: Any) -> Any:
        def may_fail(*given: Any, **named: Any) -> Any:
            self.left -= 1
            if self.left == 0:
                self.fired = True
                raise self._error
            return call(*given, **named)

        return may_fail

    def watched(self, file: Any) -> Any:
        watched = MagicMock(wraps=file)
        watched.__enter__.return_value = watched
        watched.__exit__.side_effect = lambda *_: file.close()
        watched.read = self.failing(file.read)
        self.failing(lambda: None)()
        return watched


@pytest.mark.parametrize("number", [errno.EMFILE, errno.EIO, errno.EINTR, errno.EACCES])
def test_an_error_of_any_read_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    """Whichever read fails for a while, the log says so, and every event comes once, in order, and is counted."""
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)
    fired = at = 0
    while fired == at:
        at += 1
        journal = Journal.create(tmp_path, "desk.1")
        for text in "abc":
            journal.append([one(text)])
        journal.close()
        caplog.clear()
        with monkeypatch.context() as failing:
            fault = Faulty(failing, number, at)
            successor = Journal.take_over(journal.folder)
            found = texts(successor) if successor else []
        fired += fault.fired
        successor = successor or Journal.take_over(journal.folder)
        assert successor is not None and successor.empty == (not fault.fired)
        assert (os.strerror(number) in caplog.text) == fault.fired
        assert found + texts(successor) == ["a", "b", "c"]
        assert successor.empty and successor.damaged == 0 and list(journal.folder.glob("*.segment")) == []
        ((_, sums),) = successor.last()[1]
        assert (successor.emitter, sums.emitted, sums.acknowledged) == ("desk.1", 3, 3)
        successor.close()
    assert fired >= 10


def test_a_file_that_cannot_be_deleted_is_counted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is acknowledged is dealt with, whether its file goes or not; the next one to open the folder deletes it."""
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])

    def refused(*_: object, **__: object) -> None:
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    with monkeypatch.context() as kept:
        kept.setattr(Path, "unlink", refused)
        assert texts(journal) == ["a"]
        assert journal.empty and journal.last()[1][0][1].emitted == 1
    journal.close()
    successor = Journal.take_over(journal.folder)
    assert successor is not None and successor.take() == [] and successor.last()[1][0][1].emitted == 1
    assert list(journal.folder.glob("*.segment")) == []


def test_a_file_that_is_gone_is_given_up(tmp_path: Path) -> None:
    """Moving an unreadable segment away lets those after it go on; what it held is counted as damaged."""
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])
    journal.close()
    (journal.folder / "000000000002.segment").write_bytes((journal.folder / "000000000001.segment").read_bytes())
    successor = Journal.take_over(journal.folder)
    (journal.folder / "000000000001.segment").unlink()
    assert successor is not None and texts(successor) == ["a"]
    assert successor.empty and successor.damaged > 0
