"""Python processes that start without their imports: each is forked from a process that has them behind it.

To the program it is a process of its own, with its own arguments, environment, folder, streams, signals and exit code.
A test of what a start costs or imports uses `subprocess`.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

# Of each program: modules that import what its runs import, in their functions too.
IMPORTED = {
    "headrace": [
        "headrace.cli",
        "headrace.access.actions",
        "headrace.bus.kafka",
        "headrace.client",
        "headrace.embedded.part",
        "headrace.plan",
        "headrace.warehouse",
        "httpx",
        "rich.table",
    ],
    "streams": ["streams.__main__"],
    "consumers": ["consumers.process", "headrace.bus.kafka", "headrace.plan", "headrace.warehouse"],
    "serving": ["serving.__main__", "serving.engines.kinds.in_process", "torch", "transformers"],
    "trainer": ["trainer.__main__", "trainer.process.run", "torch", "transformers", "sklearn.linear_model", "peft"],
}
HEADRACE = ["-c", "from headrace.cli import app; app()"]
REQUEST_BYTES = 1 << 17
PR_SET_PDEATHSIG = 1


class Popen(subprocess.Popen):
    """As subprocess.Popen of `python ARGV`.

    program: a key of IMPORTED
    argv: Python's own arguments: `-m module …`, `-c code …` or a file, and what follows
    """

    def __init__(self, program: str, argv: Sequence[str], **how: Any) -> None:
        self._origin = _origin(program)
        super().__init__([*argv], **how)

    def _execute_child(self, args, executable, preexec_fn, close_fds, pass_fds, cwd, env, startupinfo, creationflags,
                       shell, p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite, *_):  # fmt: skip
        given = [number if end == -1 else end for number, end in enumerate((p2cread, c2pwrite, errwrite))]
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        asked = {"argv": args, "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd())}
        with theirs:
            socket.send_fds(self._origin, [json.dumps(asked).encode()], [theirs.fileno(), *given])
        self._close_pipe_fds(p2cread, p2cwrite, c2pread, c2pwrite, errread, errwrite)
        self.pid = int(self._channel.recv(64))
        self._child_created = True

    def _internal_poll(self, _deadstate=None):
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)
            finally:
                self._waitpid_lock.release()
        return self.returncode

    def _try_wait(self, wait_flags):
        if wait_flags & os.WNOHANG and not select.select([self._channel], [], [], 0)[0]:
            return 0, 0
        with self._channel:
            return self.pid, int(self._channel.recv(64))


def run(
    program: str, argv: Sequence[str], given: bytes = b"", timeout: float = 120, **how: Any
) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a run to its end."""
    pipe = subprocess.PIPE
    with Popen(program, argv, stdin=pipe, stdout=pipe, stderr=pipe, **how) as process:
        try:
            out, err = process.communicate(given, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
    return process.returncode, out.decode(), err.decode()


@cache
def _origin(program: str) -> socket.socket:
    """The connection to the process that a program's processes are forked from; it ends with this one."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [sys.executable, __file__, str(theirs.fileno()), *IMPORTED[program]]
        subprocess.Popen(argv, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL)
    return ours


def _serve(requests: socket.socket) -> None:
    """Fork a process for each request, and tell its channel its pid and, when it has ended, its status."""
    channels: dict[int, socket.socket] = {}
    woken, wakes = os.pipe()
    for end in (woken, wakes):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready = select.select([requests, woken], [], [])[0]
        if woken in ready:
            os.read(woken, 4096)
            while channels and (ended := os.waitpid(-1, os.WNOHANG))[0]:
                with channels.pop(ended[0]) as channel:
                    channel.send(b"%d" % ended[1])
        if requests in ready:
            message, fds, _, _ = socket.recv_fds(requests, REQUEST_BYTES, 4)
            if not message:
                return
            channel = socket.socket(fileno=fds[0])
            if not (pid := os.fork()):
                _become(json.loads(message), fds[1:])
                return
            channels[pid] = channel
            channel.send(b"%d" % pid)
            for fd in fds[1:]:
                os.close(fd)


def _become(asked: dict[str, Any], streams: Sequence[int]) -> None:
    """Run the program as a new interpreter would."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1 << 10)
    os.environ.clear()
    os.environ.update(asked["env"])
    os.chdir(asked["cwd"])
    how, *arguments = asked["argv"]
    if how == "-m":
        sys.path[0] = asked["cwd"]
        sys.argv = arguments
        sys.modules.pop(f"{arguments[0]}.__main__", None)
        runpy.run_module(arguments[0], run_name="__main__", alter_sys=True)
    elif how == "-c":
        sys.path[0] = ""
        sys.argv = ["-c", *arguments[1:]]
        exec(arguments[0], {"__name__": "__main__"})
    else:
        sys.path[0] = str(Path(how).parent)
        sys.argv = [how, *arguments]
        runpy.run_path(how, run_name="__main__")


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    sys.path[0] = str(Path.cwd())
    for module in sys.argv[2:]:
        importlib.import_module(module)
    gc.freeze()
    _serve(socket.socket(fileno=int(sys.argv[1])))
