"""dataset: what trained and tested a model, row for row: listed, shown, compared, built and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from headrace.cli import output
from headrace.cli.ask import Json
from headrace.cli.caller import permitted
from headrace.cli.clickhouse import connect
from headrace.errors import PlanError, SettingsError

if TYPE_CHECKING:
    from headrace.settings import Settings
    from headrace.warehouse import Warehouse

SPLITS = ("train", "validation", "test", "forget")
SHOWN = 12
# Of a statement on a data set of a million rows, on a busy machine.
PATIENCE_S = 600
# What a hole means, in words.
HOLES = {
    "erased": "erased",
    "absent": "answer not kept any more",
    "no_consent": "no consent",
    "too_old": "older than the plan keeps",
    "other_tenant": "another tenant's",
    "changed": "text revised since",
}

Named = Annotated[
    str, typer.Argument(metavar="DATASET", help="A digest (six digits or more), a version, a task, or latest.")
]
dataset_app = typer.Typer(
    help="""See what trained and tested a model, row for row.

A data set is named by the SHA-256 of its rows and never changes. It holds references to answers and their labels;
the texts stay with the answers, so that one which was erased, or whose consent was taken back, is gone here too.

\b
    headrace dataset list
    headrace dataset show router@3            # what trained that version
    headrace dataset diff router@2 router@3   # what changed from one to the next, and why
    headrace dataset build router --dry-run   # what a job would get now
    headrace dataset export latest --split train -o train.jsonl
""",
    no_args_is_help=True,
)


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dataset_app, name="dataset")


@dataset_app.command("list")
def dataset_list(
    task: Annotated[str, typer.Argument(help="Only of this task.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="How many, newest first.")] = 20,
    as_json: Json = False,
) -> None:
    """The data sets, newest first: rows by split, the jobs that they were made for, the versions that came of them."""
    settings, _ = permitted("dataset list", "read")
    found = connect(settings).query("datasets/list", task=task, rows=limit)
    if not as_json:
        found = [row | {"dataset": row["dataset"][:SHOWN]} for row in found]
    nothing = f"no data set of {task} yet" if task else "no data sets yet"
    output.rows(found, as_json, empty=f"{nothing}: a job makes one, or `headrace dataset build`")


@dataset_app.command("show")
def dataset_show(named: Named, as_json: Json = False) -> None:
    """One data set: rows by label and split, what was left out and why, who trained on it, which texts are gone.

    Its digest is computed again from its rows. Exits 1 where that gives another one.

    \b
        headrace dataset show latest
        headrace dataset show 3f2a9c --json
    """
    from headrace.warehouse.datasets import named as digest_of

    settings, _ = permitted("dataset show", "read")
    warehouse = connect(settings, PATIENCE_S)
    story = shown(settings, warehouse, digest_of(warehouse, named))
    if as_json:
        typer.echo(json.dumps(story, default=str, ensure_ascii=False, indent=1))
    else:
        tell(story)
    raise typer.Exit(int(story["digest"] == "broken"))


@dataset_app.command("diff")
def dataset_diff(
    before: Annotated[str, typer.Argument(metavar="A", help="As for show: the earlier one.")],
    after: Annotated[str, typer.Argument(metavar="B", help="The later one.")],
    as_json: Json = False,
) -> None:
    """What changed from data set A to B: rows that went out, came in or changed their label, by reason, with examples.

    \b
        out    erased, absent (not kept any more), no_consent, too_old, revised, same_text (another answer to the same
               question took its place), left_out (curation chose otherwise: see the counts below)
        in     new_answer, new_label (since A was made), same_text, chosen
        label  from which to which; the reason is whose word it was and is

    \b
        headrace dataset diff router@2 latest
        headrace doctor 01961d5e-9c00-7000-8000-000000000001     # an example, followed
    """
    from headrace.warehouse.datasets import named as digest_of

    settings, _ = permitted("dataset diff", "read")
    warehouse = connect(settings, PATIENCE_S)
    a, b = digest_of(warehouse, before), digest_of(warehouse, after)
    heads = [_head(warehouse, digest) for digest in (a, b)]
    bounds = privacy(settings, heads[1]["task"])
    changes = warehouse.query(
        "datasets/diff", a=a, b=b, require_consent=bounds["require_consent"], oldest=bounds["oldest"]
    )
    left_out = [
        {"left out": reason, "a": counts[0], "b": counts[1]}
        for reason in sorted({*heads[0]["exclusions"], *heads[1]["exclusions"]})
        if (counts := [int(head["exclusions"].get(reason, 0)) for head in heads])[0] != counts[1]
    ]
    if as_json:
        told = {"a": heads[0], "b": heads[1], "changes": changes, "left_out": left_out}
        typer.echo(json.dumps(told, default=str, ensure_ascii=False, indent=1))
        return
    for letter, head in zip("AB", heads, strict=True):
        typer.echo(f"{letter}  {_title(head)}")
    typer.echo()
    output.rows(changes, as_json=False, empty="they have the same rows")
    if left_out:
        typer.echo()
        output.rows(left_out, as_json=False)


@dataset_app.command("build")
def dataset_build(
    task: Annotated[str, typer.Argument(help="A task of the plan, as router.")],
    test_from: Annotated[
        str,
        typer.Option(
            "--test-from", help="Test rows are of answers from this time on; default: since the live version serves."
        ),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only tell what it would hold; nothing is stored.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Curate a task's data set now, by the plan's rules, without training; it is stored, and shown as by `show`.

    A job would get the same rows. Needs the trainer (pip install 'headrace[training]').

    \b
        headrace dataset build router --dry-run
    """
    from headrace.cli.dataset_build import build

    settings, _ = permitted("dataset build", "operate")
    story = build(settings, task, test_from, store=not dry_run)
    if not dry_run:
        story = shown(settings, connect(settings, PATIENCE_S), story["dataset"]) | {"missing": story["missing"]}
    if as_json:
        typer.echo(json.dumps(story, default=str, ensure_ascii=False, indent=1))
    else:
        tell(story)
        said = (
            "not stored"
            if dry_run
            else f"`headrace dataset export {story['dataset'][:SHOWN]} -o FILE` writes its texts"
        )
        typer.echo(said, err=True)


@dataset_app.command("export")
def dataset_export(
    named: Named,
    to: Annotated[
        Path, typer.Option("--output", "-o", help="The file to write, mode 0600: it holds people's questions.")
    ],
    split: Annotated[str, typer.Option(help=f"Only this one of {', '.join(SPLITS)}.")] = "",
    format: Annotated[str, typer.Option(help="jsonl, csv or parquet; default: as the file's name says.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Replace a file that is there.")] = False,
    as_json: Json = False,
) -> None:
    """Write a data set with its texts, as far as they may be used today, to a file for other tools.

    A row whose text is gone (erased, consent taken back, too old …) stays in the file with an empty text, its column
    `hole` says why, and the holes are counted here. --json prints the counts as JSON.

    \b
        headrace dataset export router@3 -o router.parquet
        headrace dataset export latest --split test -o test.csv --force
    """
    from headrace.cli.dataset_export import export
    from headrace.warehouse.datasets import named as digest_of

    settings, _ = permitted("dataset export", "read")
    if split and split not in SPLITS:
        raise SettingsError(f"there is no split {split!r}; there are {', '.join(SPLITS)}")
    warehouse = connect(settings, PATIENCE_S)
    digest = digest_of(warehouse, named)
    bounds = privacy(settings, _head(warehouse, digest)["task"])
    counts = export(settings, warehouse, digest, to, split=split, format=format, force=force, bounds=bounds)
    if as_json:
        typer.echo(json.dumps({"dataset": digest, "file": str(to), "rows": counts}, indent=1))
        return
    gone = {hole: rows for hole, rows in counts.items() if hole}
    said = f"; {sum(gone.values())} of them without text: {_holes(gone)}" if gone else ""
    typer.echo(f"{sum(counts.values())} rows of {digest[:SHOWN]} in {to}{said}")


def privacy(settings: Settings, task: str) -> dict[str, Any]:
    """What the plan says today of the texts of a task: parameters of the view dataset_texts."""
    from datetime import UTC, datetime, timedelta

    from headrace import plan
    from headrace.warehouse import clickhouse_time

    found = plan.load(settings.plan)
    try:
        tenant = found.task(task).tenant
    except PlanError:
        # A task that is no more has its data sets still.
        tenant = ""
    oldest = clickhouse_time(datetime.now(UTC) - timedelta(days=found.privacy.retention_days))
    return {"require_consent": found.privacy.require_consent, "oldest": oldest, "tenant": tenant}


def shown(settings: Settings, warehouse: Warehouse, digest: str) -> dict[str, Any]:
    """All that `show` tells, as JSON has it."""
    head = _head(warehouse, digest)
    (check,) = warehouse.query("datasets/check", dataset=digest)
    holes = warehouse.query("datasets/holes", dataset=digest, **privacy(settings, head["task"]))
    same = bool(check["same"]) and not check["wrong"]
    return {
        "dataset": digest,
        "task": head["task"],
        "at": head["at"],
        # Of format 1 nothing is left to compute it from.
        "digest": "not checked" if head["format"] < 2 else "verified" if same else "broken",
        "counts": warehouse.query("datasets/counts", dataset=digest),
        "exclusions": head["exclusions"],
        "funnel": head["funnel"],
        "uses": warehouse.query("datasets/uses", dataset=digest),
        "holes": [row for row in holes if row["hole"]],
    }


def tell(story: dict[str, Any]) -> None:
    """Print what `shown` found for a person."""
    typer.echo(_title(story))
    if "digest" in story:
        typer.echo(
            {
                "verified": "its digest is that of its rows",
                "broken": "ITS ROWS ARE NOT WHAT ITS DIGEST SAYS: they were changed, or some are missing",
                "not checked": "made by an older version, whose digests covered the texts themselves: not checked",
            }[story["digest"]]
        )
    for use in story.get("uses", ()):
        typer.echo(_use(use))
    for row in story.get("holes", ()):
        typer.echo(f"without text: {row['rows']}, {HOLES[row['hole']]}{_receipts(row['erasures'])}")
    if story.get("missing"):
        typer.echo(f"too little to train on: {story['missing']}")
    typer.echo()
    output.table(*_by_label(story["counts"]))
    for name, counts in (("from feedback to rows", story["funnel"]), ("left out", story["exclusions"])):
        if counts:
            typer.echo()
            output.table([name, "answers"], [[reason, int(rows)] for reason, rows in counts.items()])


def _by_label(counts: list[dict[str, Any]]) -> tuple[list[str], list[list[Any]]]:
    """Rows of a table: a label, its rows in each split, and from whom these labels are."""
    lines: dict[str, dict[str, int]] = {}
    sources: dict[str, dict[str, int]] = {}
    for row in counts:
        for label in (row["label"], "(all)"):
            of_split = lines.setdefault(label, dict.fromkeys(SPLITS, 0))
            of_split[row["split"]] = of_split.get(row["split"], 0) + int(row["rows"])
            said = sources.setdefault(label, {})
            said[row["source"]] = said.get(row["source"], 0) + int(row["rows"])
    ordered = sorted(lines, key=lambda label: (label == "(all)", label))
    return ["label", *SPLITS, "labels from"], [
        [
            label,
            *(lines[label][split] for split in SPLITS),
            ", ".join(f"{source} {rows}" for source, rows in sorted(sources[label].items())),
        ]
        for label in ordered
    ]


def _head(warehouse: Warehouse, digest: str) -> dict[str, Any]:
    found: dict[str, Any] = warehouse.query("datasets/head", dataset=digest)[0]
    return found


def _title(head: dict[str, Any]) -> str:
    made = f", made {output.cell(head['at'])} UTC" if head.get("at") else ""
    return f"data set {head['dataset']} of {head['task']}{made}"


def _use(use: dict[str, Any]) -> str:
    if not use["number"] and not use["job_id"].int:
        return f"built by hand at {output.cell(use['at'])} UTC"
    candidates = f", tried {', '.join(use['candidates'])}" if use["candidates"] else ""
    won = f", became {use['version']}" if use["version"] else ""
    state = use["state"].replace("_", " ") or "not known"
    return f"job {use['number'] or use['job_id']}, attempt {use['attempt']}: {state}{candidates}{won}"


def _receipts(erasures: list[str]) -> str:
    return f" ({', '.join(erasures[:3])}{', …' if len(erasures) > 3 else ''})" if erasures else ""


def _holes(gone: dict[str, int]) -> str:
    return ", ".join(f"{rows} {HOLES[hole]}" for hole, rows in gone.items())
