"""The commands put together, and the one place where an error becomes a sentence and an exit code."""

from __future__ import annotations

import logging
import sys
from typing import Any

import typer

from headrace.cli import (
    acls,
    ask,
    backup,
    contract,
    control,
    dataset,
    doctor,
    importing,
    keys,
    letters,
    lineage,
    log,
    loop,
    report,
    rollout,
    savings,
    stack,
    train,
)
from headrace.errors import Fenced, HeadraceError

HELP = """A data flywheel that turns by itself: feedback in, better and smaller models out.

Start everything on this machine, record an answer, and look at it:

\b
    headrace up --detach
    headrace emit inference task=router version=router@0 input="My VPN is down" label=it
    headrace sql "SELECT occurred_at, version, label, input FROM inferences_current"

Settings are HEADRACE_* variables; the plan is flywheel.toml (HEADRACE_PLAN). Exit codes: 0 done, 1 the answer is no
(headrace is not up, events are missing), 2 something you can mend, told in one sentence.
"""


class App(typer.Typer):
    """Typer, with headrace's errors told in one sentence."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        # Without a handler the libraries' own warnings would print beside the one sentence that is meant for a person.
        for library in ("aiokafka", "clickhouse_connect"):
            logging.getLogger(library).addHandler(logging.NullHandler())
        try:
            return super().__call__(*args, **kwargs)
        except Fenced:
            raise
        except HeadraceError as error:
            # Not only a UserError: for a person at a terminal a server that is away is something to mend, too.
            print(f"headrace: {error}", file=sys.stderr)
            sys.exit(2)


app = App(
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
for part in (
    stack, doctor, contract, importing, ask, letters, loop, rollout, lineage, report, savings, dataset, train, backup,
    acls, keys, control, log,
):  # fmt: skip
    part.register(app)


@app.command()
def version() -> None:
    """Print the versions of headrace, of its events' schema and of its plan."""
    from importlib.metadata import version as installed

    from headrace.contract.events import SCHEMA_VERSION
    from headrace.plan import PLAN_VERSION

    typer.echo(f"headrace {installed('headrace')} (events {SCHEMA_VERSION}, plan {PLAN_VERSION})")
