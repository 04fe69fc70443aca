"""What a crash says on standard error: it ends in logs and in the job's reason, where no question belongs."""

from __future__ import annotations

import sys
import traceback
from types import TracebackType

QUOTING = (ValueError, LookupError)
"""What conversions, decoders and validators raise; their messages repeat what they were given."""


def hook(kind: type[BaseException], error: BaseException, frames: TracebackType | None) -> None:
    """sys.excepthook: the traceback without source lines, and the message unless it may quote a row."""
    print("Traceback (most recent call last):", file=sys.stderr)
    for frame, line in traceback.walk_tb(frames):
        code = frame.f_code
        print(f'  File "{code.co_filename}", line {line}, in {code.co_qualname}', file=sys.stderr)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    print(name if isinstance(error, QUOTING) else f"{name}: {error}", file=sys.stderr)
