"""The supervisor, with small real processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from headrace.embedded import state
from headrace.embedded.part import Part, Step
from headrace.embedded.state import Phase
from headrace.embedded.supervisor import Supervisor
from headrace.errors import StackError

# Says it is ready, notes when it was asked to end, and has a child of its own.
WORKER = """
import signal, subprocess, sys, time
from pathlib import Path
name, home = sys.argv[1], Path(sys.argv[2])
child = subprocess.Popen(["sleep", "600"])
(home / f"{name}.child").write_text(str(child.pid))
def end(*_):
    with (home / "order").open("a") as order:
        order.write(f"-{name}\\n")
    sys.exit(0)
signal.signal(signal.SIGTERM, end)
with (home / "order").open("a") as order:
    order.write(f"+{name}\\n")
(home / f"{name}.ready").touch()
while True:
    time.sleep(0.05)
"""


def worker(home: Path, name: str, needs: tuple[str, ...] = (), program: str = WORKER, **more: object) -> Part:
    file = home / f"{name}.ready"
    argv = [sys.executable, "-c", program, name, str(home)]
    return Part(name, argv, file.exists, needs=needs, ready_file=file, **more)  # type: ignore[arg-type]


def wait_for(condition: Callable[[], bool], timeout_s: float = 30.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def part(supervisor: Supervisor, name: str) -> state.PartState:
    return next(part for part in supervisor.status().parts if part.name == name)


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def order(home: Path) -> list[str]:
    return (home / "order").read_text().split()


def test_parts_start_in_order_of_readiness_and_stop_in_reverse(tmp_path: Path) -> None:
    """A part starts when what it needs is ready, steps included; at the end nothing needed stops first."""

    def step() -> None:
        with (tmp_path / "order").open("a") as written:
            written.write("step\n")

    parts: list[Part | Step] = [worker(tmp_path, "a"), Step("s", step, needs=("a",)), worker(tmp_path, "b", ("s",))]
    with Supervisor([*parts, worker(tmp_path, "c", ("b",))], tmp_path) as running:
        running.wait_ready(60)
        pids = [kept.pid for kept in running.status().parts]
        children = [int((tmp_path / f"{name}.child").read_text()) for name in "abc"]
        seen = state.read(tmp_path)
        assert seen is not None and seen.phase is Phase.READY and state.is_up(tmp_path)
        assert [part.pid for part in seen.parts] == pids
    assert order(tmp_path) == ["+a", "step", "+b", "+c", "-c", "-b", "-a"]
    assert all(gone(pid) for pid in [*pids, *children] if pid)
    assert not state.is_up(tmp_path)


def test_a_killed_part_is_restarted_and_what_it_left_is_gone(tmp_path: Path) -> None:
    """SIGKILL of a part ends its children, and it comes back with another pid while the others stay."""
    with Supervisor([worker(tmp_path, "a"), worker(tmp_path, "b")], tmp_path) as running:
        running.wait_ready(60)
        other = part(running, "b").pid
        child = int((tmp_path / "a.child").read_text())
        old = running.kill("a")
        wait_for(lambda: part(running, "a").phase is Phase.READY and part(running, "a").pid not in (None, old))
        assert part(running, "a").restarts == 1 and part(running, "a").reason.startswith("a ended with SIGKILL")
        assert part(running, "b").pid == other and part(running, "b").restarts == 0
        wait_for(lambda: gone(child))


def test_a_part_that_hangs_is_ended_and_started_again(tmp_path: Path) -> None:
    """A stopped process (SIGSTOP) shows no life: it is killed, its successor is ready, and the reason is a sentence."""
    beat = "\n    os.utime(home / f'{name}.ready')"
    beating = worker(
        tmp_path, "a", program=WORKER.replace("import signal", "import os, signal") + beat,
        alive=lambda: time.time() - (tmp_path / "a.ready").stat().st_mtime < 0.5, hang_s=0.9,
    )  # fmt: skip
    with Supervisor([beating, worker(tmp_path, "b")], tmp_path) as running:
        running.wait_ready(60)
        old, other = part(running, "a").pid, part(running, "b").pid
        assert old is not None
        os.kill(old, signal.SIGSTOP)
        wait_for(lambda: part(running, "a").phase is Phase.READY and part(running, "a").pid not in (None, old))
        assert re.fullmatch(
            r"a hung: it did not show for 1 s that it is alive; its log is .*/log/a\.log", part(running, "a").reason
        )
        assert gone(old) and part(running, "a").restarts == 1
        assert part(running, "b").pid == other and part(running, "b").restarts == 0


def test_a_probe_that_never_returns_ends_its_part_and_delays_no_other(tmp_path: Path) -> None:
    """A probe waits beside the supervisor: another part's crash is seen meanwhile, and silence counts as hanging."""
    held = threading.Event()
    silent = worker(tmp_path, "a", alive=lambda: not held.wait(60), hang_s=0.6)
    with Supervisor([silent, worker(tmp_path, "b")], tmp_path) as running:
        running.wait_ready(60)
        running.kill("b")
        wait_for(lambda: part(running, "b").restarts == 1 and part(running, "b").phase is Phase.READY, 5)
        wait_for(lambda: part(running, "a").restarts == 1)
        assert part(running, "a").reason.startswith("a hung: ")
        held.set()


def test_restarts_back_off(tmp_path: Path) -> None:
    """Each failure doubles the delay before the next start."""
    program = WORKER + "\n    if (home / 'fall').exists(): sys.exit(1)"
    with Supervisor([worker(tmp_path, "a", program=program)], tmp_path) as running:
        running.wait_ready(60)
        (tmp_path / "fall").touch()
        wait_for(lambda: part(running, "a").restarts >= 3)
        (tmp_path / "fall").unlink()
        wait_for(lambda: part(running, "a").phase is Phase.READY)
    starts = [line for line in order(tmp_path) if line == "+a"]
    assert len(starts) <= 6


def test_a_sentence_at_the_start_ends_it(tmp_path: Path) -> None:
    """Exit code 2 before everything was ready: the part's last line is the error, and the others are stopped."""
    program = "import sys; print('Port 1 is taken; set HEADRACE_X', file=sys.stderr); sys.exit(2)"
    running = Supervisor([worker(tmp_path, "a"), worker(tmp_path, "b", ("a",), program)], tmp_path).start()
    with pytest.raises(StackError, match=r"^Port 1 is taken; set HEADRACE_X$"):
        running.wait_ready(60)
    running.stop()
    assert order(tmp_path) == ["+a", "-a"]
    seen = state.read(tmp_path)
    assert seen is not None and (seen.phase, seen.reason) == (Phase.FAILED, "Port 1 is taken; set HEADRACE_X")


def test_a_part_that_keeps_ending_at_the_start_names_its_log(tmp_path: Path) -> None:
    """A crash is tried again, then given up with the place to look."""
    running = Supervisor([worker(tmp_path, "a", program="1/0")], tmp_path).start()
    with pytest.raises(StackError, match=r"a ended with exit code 1; its log is .*/log/a\.log"):
        running.wait_ready(60)
    running.stop()
    assert (tmp_path / "log" / "a.log").read_text().count("ZeroDivisionError") == 3


def test_a_step_that_fails_ends_the_start_with_its_own_error(tmp_path: Path) -> None:
    """What the step raised is what wait_ready raises."""

    def fail() -> None:
        raise StackError("the schema does not fit")

    running = Supervisor([worker(tmp_path, "a"), Step("prepare", fail, needs=("a",))], tmp_path).start()
    with pytest.raises(StackError, match="the schema does not fit"):
        running.wait_ready(60)
    running.stop()
    assert order(tmp_path) == ["+a", "-a"]


def test_a_deaf_part_is_killed_after_its_grace(tmp_path: Path) -> None:
    """SIGTERM ignored: SIGKILL after grace_s."""
    program = WORKER.replace("signal.signal(signal.SIGTERM, end)", "signal.signal(signal.SIGTERM, signal.SIG_IGN)")
    with Supervisor([worker(tmp_path, "a", program=program, grace_s=0.3)], tmp_path) as running:
        running.wait_ready(60)
        pid = part(running, "a").pid
    assert pid is not None and gone(pid)


def test_one_supervisor_to_a_home(tmp_path: Path) -> None:
    """A second one is refused in one sentence and disturbs nothing."""
    with Supervisor([worker(tmp_path, "a")], tmp_path) as running:
        running.wait_ready(60)
        with pytest.raises(StackError, match=r"headrace is already up in .* as process [0-9]+; run `headrace down`"):
            Supervisor([worker(tmp_path, "a")], tmp_path).start()
        assert part(running, "a").restarts == 0


def test_a_log_stays_below_its_limit(tmp_path: Path) -> None:
    """A part that prints without end keeps one old log and one new one."""
    from headrace.process.child import Child

    log = tmp_path / "log"
    child = Child("a", [sys.executable, "-uc", "while True: print('x' * 1000)"], log)
    child.start()
    try:
        for _ in range(3):
            wait_for(lambda: log.stat().st_size > 200_000)
            child.trim(100_000)
        assert log.with_name("log.1").stat().st_size >= 200_000
        assert child.alive
    finally:
        child.kill()
    assert log.stat().st_size + log.with_name("log.1").stat().st_size < 2_000_000_000


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nothing_is_left_when_the_supervisor_ends(tmp_path: Path, number: signal.Signals) -> None:
    """However the supervisor ends, SIGKILL included, its parts and their own children end too."""
    program = textwrap.dedent(f"""
        import sys
        from pathlib import Path
        from headrace.embedded.part import Part
        from headrace.embedded.supervisor import Supervisor
        home = Path({str(tmp_path)!r})
        parts = [
            Part(name, [sys.executable, "-c", {WORKER!r}, name, str(home)], (home / f"{{name}}.ready").exists)
            for name in "ab"
        ]
        Supervisor(parts, home).run()
        """)
    process = subprocess.Popen([sys.executable, "-c", program])
    try:

        def up() -> bool:
            seen = state.read(tmp_path)
            return seen is not None and seen.phase is Phase.READY

        wait_for(up, 60)
        seen = state.read(tmp_path)
        assert seen is not None and seen.pid == process.pid
        children = [int((tmp_path / f"{name}.child").read_text()) for name in "ab"]
        pids = [*(part.pid or 0 for part in seen.parts), *children]
        assert all(psutil.pid_exists(pid) for pid in pids)
        os.kill(process.pid, number)
        code = process.wait(30)
        assert code == (-signal.SIGKILL if number is signal.SIGKILL else 0)
        wait_for(lambda: all(gone(pid) for pid in pids))
        assert not state.is_up(tmp_path)
    finally:
        if process.poll() is None:
            process.kill()
