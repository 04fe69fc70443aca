"""The console as its own process; run as a program, with the keys of the file that is the first argument."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from keys_file import KeysFile

from headrace.embedded.server import free_port
from headrace.settings import Settings

REPOSITORY = Path(__file__).parents[2]
WAIT_S = 90


@contextmanager
def running_console(settings: Settings, keys: Path | None = None) -> Iterator[str]:
    """Yields its address, and checks that it ends cleanly on SIGTERM."""
    settings = settings.replaced(console=f"http://127.0.0.1:{free_port()}", plan=REPOSITORY / "flywheel.toml")
    environ = {name: value for name, value in os.environ.items() if not name.startswith("HEADRACE_")}
    argv = ["-m", "console"] if keys is None else [__file__, str(keys)]
    process = subprocess.Popen(
        [sys.executable, *argv],
        env=environ | settings.environ() | {"PYTHONPATH": str(REPOSITORY)},
        cwd=REPOSITORY,
        stderr=subprocess.PIPE,
    )
    try:
        wait_until(lambda: answers(f"{settings.console}/healthz"), "the console answers")
        yield settings.console
    finally:
        process.terminate()
        _, errors = process.communicate(timeout=WAIT_S)
    # uvicorn raises the signal again once it has closed everything.
    assert process.returncode == -signal.SIGTERM, errors.decode()
    assert b"Traceback" not in errors, errors.decode()


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def wait_until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + WAIT_S
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.1)


if __name__ == "__main__":
    from console.__main__ import serve

    serve(Settings.from_environ(), KeysFile(Path(sys.argv[1])))
