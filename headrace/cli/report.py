"""report: where the report of a training run is, and how candidates did on a suite over time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

import typer

from headrace.cli import output
from headrace.cli.ask import Json
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import SettingsError

if TYPE_CHECKING:
    from headrace.settings import Settings

_FOLDER = re.compile(r"([0-9]+)-a([0-9]+)")
_NAMED = re.compile(r"([a-z][a-z0-9_.-]{0,99})(?:@([0-9]+))?")

suites_app = typer.Typer(
    help="""Suites: questions of your own that every candidate is asked.

A suite is a folder of JSON lines, `{"input": "Where is my payslip?", "label": "hr"}`, with a manifest, suite.json:
name, version, kind ("classify"), licence, digest. The plan names it, with a minimum where it is a veto:

\b
    [tasks.router.suites.compliance]
    folder = "suites/compliance"
    minimum = 0.9

\b
    headrace suites check suites/compliance
    headrace suites history router
""",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(report)
    app.add_typer(suites_app, name="suites")


def report(
    what: Annotated[
        str, typer.Argument(metavar="VERSION|TASK|JOB|FOLDER", help="router@12; router, its newest run; a job's id.")
    ],
    browser: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
    text: Annotated[bool, typer.Option("--text", help="Print it as Markdown.")] = False,
) -> None:
    """Where the report of a training run is: every candidate, why the winner won, what was not run and why.

    \b
        headrace report router@12 --open
        headrace report router --text | less
    """
    from headrace.models.bundle import CARD, REPORT, REPORT_TEXT

    settings, _ = permitted("report", "read")
    folder = _of(settings, what)
    if text:
        typer.echo((folder / REPORT_TEXT).read_text("utf-8"))
        return
    for name in (REPORT, REPORT_TEXT, CARD):
        if (folder / name).exists():
            typer.echo(folder / name)
    if browser:
        import webbrowser

        webbrowser.open((folder / REPORT).resolve().as_uri())


@suites_app.command("check")
def suites_check(folder: Annotated[Path, typer.Argument(help="The suite's folder.")]) -> None:
    """Read a suite as the trainer would: how many questions, which lines cannot be used, and its digest.

    Exits 1 where a line cannot be used.
    """
    from headrace.contract import suite

    if not (folder / suite.MANIFEST).exists() and folder.is_dir():
        typer.echo(f"digest of its cases: {suite.digest_of(folder)}", err=True)
    found = suite.read(folder)
    said = found.manifest
    typer.echo(f"{said.name} {said.version} ({said.licence}): {len(found.cases)} questions, digest {said.digest}")
    for line in found.bad:
        typer.echo(line, err=True)
    raise typer.Exit(int(bool(found.bad)))


@suites_app.command("history")
def suites_history(
    task: Annotated[str, typer.Argument(help="A task of the plan.")],
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 50,
    as_json: Json = False,
) -> None:
    """How candidates and live versions did on the task's suites, newest first."""
    settings, _ = permitted("suites history", "read")
    found = connect(settings).query("cli/suite_history", task=task, rows=limit)
    output.rows(found, as_json, empty=f"no candidate of {task} was asked a suite yet")


def _of(settings: Settings, what: str) -> Path:
    """The folder with the report. Raises SettingsError."""
    from headrace.models.bundle import REPORT

    if (Path(what) / REPORT).is_file():
        return Path(what)
    task, number = _named(settings, what)
    found = max(_reports(settings, task, number), default=None)
    if found is None:
        raise SettingsError(
            f"there is no report of {what} below {settings.artifacts} or {settings.home / 'jobs'}; a run writes one"
            " when it ends, on the machine that trained"
        )
    return found[-1]


def _named(settings: Settings, what: str) -> tuple[str, int | None]:
    """The task, and the number of the job; None for its newest."""
    try:
        job = UUID(what)
    except ValueError:
        match = _NAMED.fullmatch(what)
        if match is None:
            raise SettingsError(
                f"{what!r} is no version, task, job or folder; a version looks like router@12"
            ) from None
        return match[1], int(match[2]) if match[2] else None
    rows = connect(settings).query("cli/report_job", job=str(job))
    if not rows:
        raise SettingsError(f"there is no job {job}; `headrace jobs` lists them")
    return rows[0]["task"], int(rows[0]["number"])


def _reports(settings: Settings, task: str, number: int | None) -> Iterator[tuple[int, int, bool, Path]]:
    """Folders with a report: job, attempt, whether it is a published version, folder."""
    from headrace.models.bundle import REPORT

    for root, published in ((settings.artifacts, True), (settings.home / "jobs", False)):
        for file in (root / task).glob(f"*/{REPORT}"):
            match = _FOLDER.fullmatch(file.parent.name)
            if match and number in (None, int(match[1])):
                yield int(match[1]), int(match[2]), published, file.parent
