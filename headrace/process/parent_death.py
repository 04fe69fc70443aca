"""Run a command that dies with its parent: `python parent_death.py <parent's pid> <command> …` (Linux).

A file run by its path, and not a preexec_fn, because code between fork and exec can deadlock in a threaded parent.
The kernel sends the signal when the thread that forked ends, so the parent forks from a thread that lives as long.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1

if __name__ == "__main__":
    parent, command = int(sys.argv[1]), sys.argv[2:]
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have died before prctl: then nobody is left to send the signal.
    if os.getppid() != parent:
        sys.exit(1)
    os.execvp(command[0], command)
