"""`python -m simulation.demo`: the whole loop on real parts, with a simulated company."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from headrace.errors import UserError
from simulation.demo.run import Options, run

WIDTH = 140


def main() -> int:
    """Exit status 0 when both acts ended with a promotion and every event is accounted for, 1 otherwise."""
    parser = argparse.ArgumentParser(
        prog="make demo",
        description="Act one: a small model replaces a simulated 70B one. Act two: the world changes and is learnt.",
    )
    parser.add_argument("--seed", type=int, default=1, help="which company; same seed, same questions (default 1)")
    parser.add_argument("--keep", action="store_true", help="leave everything up at the end and print the addresses")
    given = parser.parse_args()
    try:
        # Into a file or a pipe there is no width to keep to, and the closing tables are wide.
        console = Console(width=None if sys.stdout.isatty() else WIDTH)
        report = run(Options(seed=given.seed, keep=given.keep), console)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    promoted = [act for act in report["acts"] if act["winner"]]
    whole = report["requests"]["failed"] == report["events"]["missing"] == report["events"]["duplicated"] == 0
    return 0 if len(promoted) == 2 and whole else 1


if __name__ == "__main__":
    sys.exit(main())
