"""The options of a benchmark that measures cases."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path


def options(name: str, text: str | None, cases: Iterable[str], counted: str, home: Path) -> argparse.ArgumentParser:
    """The parser of `make bench-NAME`: --case, --scale and --home.

    text: what it measures; counted: what a case has so many of
    """
    parser = argparse.ArgumentParser(
        prog=f"make bench-{name}", description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--case", action="append", choices=cases, help="this case; may be repeated (default: all)")
    parser.add_argument(
        "--scale", type=float, default=1.0, help=f"share of each case's {counted} (default %(default)s)"
    )
    parser.add_argument("--home", type=Path, default=home, help="where servers and logs go (default %(default)s)")
    return parser
