"""Events on local disk: nothing that was appended is lost, nothing is shipped by two."""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from collections import Counter
from itertools import accumulate
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.errors import SettingsError
from headrace.spool import Frame, Journal, Spool, SpoolFull, segments
from headrace.spool.frame import decode, encode
from headrace.spool.journal import folders

FRAMES = st.lists(
    st.builds(
        Frame,
        kind=st.integers(0, 1),
        bucket=st.integers(0, 63),
        events=st.integers(1, 200),
        counted=st.integers(0, 200),
        body=st.binary(max_size=300),
    ),
    max_size=8,
)


def one(text: str, counted: int = 1) -> Frame:
    return Frame(0, 3, 1, counted, text.encode())


def sound(data: bytes) -> list[Frame]:
    return [frame for frame, whole in decode(data) if whole]


def texts(journal: Journal) -> list[str]:
    """Everything that is left, in order."""
    found = []
    while taken := journal.take():
        found += [frame.body.decode() for frame in taken]
        journal.settle(Counter())
    return found


@given(FRAMES, st.data())
def test_what_a_crash_cut_off_is_never_mistaken_for_an_event(frames: list[Frame], data: st.DataObject) -> None:
    """Cut anywhere, or with any byte changed, all frames before the fault come back, and after it nothing but frames;
    where the byte is in no frame's length, all but the one that it is in."""
    whole = encode(frames)
    ends = list(accumulate(frame.size for frame in frames))
    assert sound(whole) == frames and len(whole) == sum(frame.size for frame in frames)
    cut = data.draw(st.integers(0, len(whole)))
    survivors = sum(end <= cut for end in ends)
    assert sound(whole[:cut]) == frames[:survivors]
    # A power cut leaves zeros, which may be just what the frame's last bytes were.
    followed = sound(whole[:cut] + bytes(64))
    assert followed == frames[: len(followed)] and len(followed) >= survivors
    if whole:
        place = data.draw(st.integers(0, len(whole) - 1))
        damaged = bytearray(whole)
        damaged[place] ^= data.draw(st.integers(1, 255))
        hit = sum(end <= place for end in ends)
        others = frames[:hit] + frames[hit + 1 :]
        in_length = 4 <= place - (ends[hit] - frames[hit].size) < 8
        if not frames[hit].body or in_length:
            assert sound(bytes(damaged)) in (frames[:hit], others)
        else:
            assert sound(bytes(damaged)) == others


def test_a_damaged_event_takes_no_other_with_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Of events of which some are damaged the others are shipped; the damaged count as emitted and nothing else."""
    journal = Journal.create(tmp_path, "desk.1")
    for text in ("first", "second", "third", "fourth", "fifth"):
        journal.append([one(text)])
    journal.close()
    (file,) = journal.folder.glob("*.segment")
    data = file.read_bytes()
    # The file's own first bytes, too.
    file.write_bytes(
        b"?" + data[1:].replace(b"second", b"sEcond").replace(b"third", b"thIrd").replace(b"fifth", b"fifTh")
    )
    successor = Journal.take_over(journal.folder)
    assert successor is not None and texts(successor) == ["first", "fourth"]
    assert successor.empty and successor.damaged == sum(one(text).size for text in ("second", "third", "fifth"))
    ((_, sums),) = successor.last()[1]
    assert (sums.emitted, sums.acknowledged, sums.dropped) == (5, 2, 0)
    assert f"of {file} are given up" in caplog.text


def test_files_of_others_are_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A copy of a segment in a writer's folder, and whatever else is there, stops nothing, is said once, and stays."""
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])
    journal.close()
    (file,) = journal.folder.glob("*.segment")
    others = [file.with_name(name) for name in ("bad-1.segment", f"copy-{file.name}", "7.segment", "notes")]
    for other in others:
        other.write_bytes(file.read_bytes())
    (journal.folder / "000000000002.segment").mkdir()
    spool = Spool(tmp_path, "desk.2")
    (successor,) = spool.inherited
    assert texts(successor) == ["a"] and successor.empty and successor.damaged == 0
    successor.remove()
    assert all(other.read_bytes() for other in others) and not file.exists()
    assert spool.inherit() == [successor] and folders(tmp_path) == [spool.own.folder if spool.own else None]
    assert [record.args for record in caplog.records].count((others[0],)) == 1 and len(caplog.records) == 4


def test_what_was_taken_and_put_back_is_taken_again(tmp_path: Path) -> None:
    """Frames whose shipping failed are the next ones to ship, and are settled when they are shipped, not before."""
    journal = Journal.create(tmp_path, "desk.1")
    assert journal.append([one("a"), one("b")]) == 2
    assert len(journal.take()) == 2
    journal.put_back()
    journal.append([one("c")])
    assert [frame.body for frame in journal.take()] == [b"a", b"b", b"c"] and journal.settled == 0
    journal.settle(Counter())
    assert journal.settled == 3 and journal.empty and journal.last()[1][0][1].acknowledged == 3


def test_appends_come_back_in_order_over_many_segments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the size of a segment, frames are taken in order, once, and the files of what is settled are gone."""
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 200)
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    journal = Journal.create(tmp_path, "desk.1")
    wanted = [f"event {number}" for number in range(100)]
    for text in wanted:
        journal.append([one(text)])
    assert len(list(journal.folder.glob("*.segment"))) > 10
    assert texts(journal) == wanted
    assert journal.empty and journal.size == 0
    assert list(journal.folder.glob("*.segment")) == []
    journal.append([one("later")])
    assert texts(journal) == ["later"]


def test_a_dead_writers_events_pass_to_its_heir(tmp_path: Path) -> None:
    """What a closed or killed writer left is taken over once; a living writer's is left alone."""
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a"), one("b", counted=0)])
    journal.count("inferences", emitted=5, acknowledged=3, dropped=2)
    journal.number(7)
    assert Journal.take_over(journal.folder) is None
    journal.close()
    successor = Journal.take_over(journal.folder)
    assert successor is not None and successor.emitter == "desk.1"
    assert Journal.take_over(journal.folder) is None
    assert texts(successor) == ["a", "b"]
    sequence, ((kind, sums),) = successor.last()
    assert (sequence, kind, sums.emitted, sums.acknowledged, sums.dropped) == (8, "inferences", 6, 4, 2)
    successor.remove()
    assert folders(tmp_path) == []


def test_an_heir_that_dies_half_way_leaves_true_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments that a successor shipped and deleted are counted once, however many successors it takes."""
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    monkeypatch.setattr(segments, "SEGMENT_BYTES", 1)
    journal = Journal.create(tmp_path, "desk.1")
    for text in "abcd":
        journal.append([one(text)])
    journal.close()
    shipped = []
    for _ in range(4):
        successor = Journal.take_over(journal.folder)
        assert successor is not None
        shipped += [frame.body.decode() for frame in successor.take()]
        successor.settle(Counter({0: 1}) if len(shipped) == 1 else Counter())
        # It takes one more, and dies before that is acknowledged.
        successor.take()
        successor.close()
    assert shipped == list("abcd")
    last = Journal.take_over(journal.folder)
    assert last is not None and last.empty
    ((_, sums),) = last.last()[1]
    assert (sums.emitted, sums.acknowledged, sums.dropped) == (4, 3, 1)


def test_a_segment_that_was_counted_is_not_shipped_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed between counting a segment and deleting its file, its successor deletes it and does not count it again."""
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    monkeypatch.setattr(segments.Segments, "delete", lambda *_: None)
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])
    journal.take()
    journal.settle(Counter())
    monkeypatch.undo()
    journal.close()
    successor = Journal.take_over(journal.folder)
    assert successor is not None and successor.empty and successor.take() == []
    assert successor.last()[1][0][1].emitted == 1


def test_a_torn_tail_is_skipped_and_counted(tmp_path: Path) -> None:
    """Bytes that a crash cut off, and a segment of zeros, are counted; the events before and after them are shipped."""
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])
    journal.close()
    (first,) = journal.folder.glob("*.segment")
    with first.open("ab") as file:
        file.write(encode([one("torn")])[:-1])
    (journal.folder / "000000000002.segment").write_bytes(bytes(500))
    (journal.folder / "000000000003.segment").write_bytes(first.read_bytes()[:16] + encode([one("z")]))
    successor = Journal.take_over(journal.folder)
    assert successor is not None
    assert texts(successor) == ["a", "z"]
    assert successor.empty and successor.damaged == len(encode([one("torn")])) - 1 + 500 - 16


def test_a_short_write_is_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that fills up in the middle of an append keeps nothing of it; when there is room again appends go on."""
    journal = Journal.create(tmp_path, "desk.1")
    journal.append([one("a")])
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, data: write(file, data[: len(data) // 2]))
    with pytest.raises(OSError, match="No space left"):
        journal.append([one("lost")])
    monkeypatch.undo()
    journal.append([one("b")])
    assert texts(journal) == ["a", "b"]
    assert journal.damaged == 0


LIMITED = """
import resource, signal, sys
from pathlib import Path
from headrace.spool import Frame, Spool, SpoolFull
spool = Spool(Path(sys.argv[1]), "desk.1")
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
kept = refused = 0
for number in range(100):
    try:
        spool.append([Frame(0, 0, 1, 1, b"x" * 100)])
        kept += 1
    except SpoolFull as error:
        assert "cannot be written" in str(error)
        refused += 1
print(kept, refused, spool.state.refused)
"""


def test_a_disk_that_takes_no_more_is_said_and_loses_nothing(tmp_path: Path) -> None:
    """A file size limit of the kernel, reached for real: what was taken is there, the rest was refused."""
    out = subprocess.run(
        [sys.executable, "-c", LIMITED, str(tmp_path)], capture_output=True, text=True, check=True, timeout=60
    ).stdout.split()
    kept, refused, said = map(int, out)
    assert kept + refused == 100 and refused == said > 0
    spool = Spool(tmp_path, "desk.2")
    (successor,) = spool.inherited
    assert len(texts(successor)) == kept
    assert successor.damaged == 0


def test_the_bound_counts_what_dead_writers_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that dies again and again cannot fill the disk: its successors' bound includes what it left."""
    first = Spool(tmp_path, "desk.1", max_bytes=1000)
    with pytest.raises(SpoolFull, match="holds its 1000 bytes"):
        for _ in range(100):
            first.append([one("x" * 100)])
    held = first.state.size
    first.close(finished=False)
    monkeypatch.setattr(segments, "KEEP_S", 0.0)
    second = Spool(tmp_path, "desk.2", max_bytes=1000)
    (successor,) = second.inherited
    assert successor.emitter == "desk.1"
    with pytest.raises(SpoolFull):
        second.append([one("x" * (1001 - held))])
    texts(successor)
    second.report(successor)
    second.tidy()
    second.append([one("x" * (1001 - held))])
    assert second.state.inherited == 1 and second.state.refused == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_an_unwritable_folder_is_one_sentence(tmp_path: Path) -> None:
    """A spool that this process may not write is the caller's mistake, told when it is made."""
    tmp_path.chmod(0o500)
    with pytest.raises(SettingsError, match="cannot be written"):
        Spool(tmp_path / "spool", "desk.1")


def test_a_file_in_the_way_is_one_sentence(tmp_path: Path) -> None:
    """A spool that is a file is told so."""
    (tmp_path / "spool").write_text("")
    with pytest.raises(SettingsError, match=r"the spool .* cannot be written"):
        Spool(tmp_path / "spool", "desk.1")


def test_a_full_disk_at_the_start_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process starts on a full disk, is told so at each append, and uses the spool once there is room."""
    soft = resource.getrlimit(resource.RLIMIT_FSIZE)
    # pytest's own files are open and larger; only new writes are refused.
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, soft[1]))
    try:
        spool = Spool(tmp_path, "desk.1")
        assert spool.own is None
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, soft)
    monkeypatch.setattr("headrace.spool.spool.RETRY_S", 0.0)
    spool.append([one("a")])
    assert spool.own is not None and texts(spool.own) == ["a"]


def test_a_forked_child_holds_no_lock(tmp_path: Path) -> None:
    """A child that outlives its parent does not keep the parent's events from a successor."""
    (read, write), (told, tell) = os.pipe(), os.pipe()
    parent = os.fork()
    if parent == 0:
        journal = Journal.create(tmp_path, "desk.1")
        journal.append([one("a")])
        if os.fork() == 0:
            os.close(write)
            os.write(tell, b"1")
            # The grandchild lives until the test closes its end.
            os.read(read, 1)
        os._exit(0)
    os.close(read)
    os.waitpid(parent, 0)
    os.read(told, 1)
    (folder,) = folders(tmp_path)
    successor = Journal.take_over(folder)
    os.close(write)
    assert successor is not None and texts(successor) == ["a"]
