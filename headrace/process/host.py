"""This machine's name, for names of processes that no other machine may have, too."""

from __future__ import annotations

import re
import socket

LONGEST = 32


def host_name() -> str:
    """The host's first label: 1 to 32 letters, digits, `-` and `_`, as Kafka and file names take them."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", socket.gethostname().split(".")[0])[:LONGEST] or "host"
