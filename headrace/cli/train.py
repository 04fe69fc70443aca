"""train: models of a file of rows, tuned, compared and evaluated by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer

from headrace.cli import output
from headrace.errors import SettingsError

TRAINER = (sys.executable, "-m", "trainer.process.by_hand")


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(train)


def train(
    data: Annotated[Path, typer.Option("--data", "-d", help="Rows: .jsonl, .csv or .parquet.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for the model, figures.json and the report.")],
    test: Annotated[Path | None, typer.Option(help="Test rows; default: those of split test, or a fifth.")] = None,
    plan: Annotated[Path | None, typer.Option(help="A flywheel.toml: labels, candidates, bases, budget.")] = None,
    task: Annotated[str, typer.Option(help="A task of the plan; without a plan, what the model is called.")] = "",
    text: Annotated[str, typer.Option(help="The column with the question; default: text, question, input …")] = "",
    label: Annotated[str, typer.Option(help="The column with the label or answer; default: label, answer …")] = "",
    split: Annotated[str, typer.Option(help="The column with train, validation or test; default: split.")] = "",
    seed: Annotated[int, typer.Option(min=0, help="Decides what is random: the same seed, the same model.")] = 0,
    minutes: Annotated[float, typer.Option(min=0, help="Time for all of it; default: the plan's budget, or 60.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print figures.json.")] = False,
) -> None:
    """Tune models on a file of questions and labels, choose one, and say how good it is. No Kafka, no ClickHouse.

    \b
    Each row has a question and its label:
        {"text": "Where is my payslip?", "label": "hr"}
    Of a task of kind generate, which needs a plan, the right answer is a text:
        {"text": "Where is my payslip?", "answer": "In the portal, under Pay."}
    What `headrace dataset export` writes is taken as it is, with its splits. Rows without a split are drawn: a fifth
    tests, a fifth of the rest compares candidates, and a text is never on two sides.

    \b
        headrace train --data rows.jsonl --out models
        headrace train --data train.csv --test test.csv --label intent --out models --minutes 10
        headrace train --data export.jsonl --plan flywheel.toml --task router --out models

    Every candidate of the plan is tuned, cheapest first, beside baselines (TF-IDF, a linear head on the frozen base).
    The validation rows choose one, and it alone meets the test rows. It is published below --out as a bundle that a
    gateway loads. After Ctrl-C the same command goes on where it stopped. Needs pip install 'headrace[training]'.
    """
    from headrace import plan as plans
    from headrace.cli.trainer import run
    from headrace.contract.job_file import FIGURES, JOB, REPORT, ByHand

    found = plans.load(plan) if plan is not None else None
    if found is not None:
        if not task and len(found.tasks) > 1:
            raise SettingsError(f"the plan has several tasks, {', '.join(sorted(found.tasks))}; name one with --task")
        task = task or next(iter(found.tasks))
        found.task(task)
    asked = ByHand(
        data=data.resolve(),
        test=test and test.resolve(),
        text=text,
        label=label,
        split=split,
        plan=found,
        task=task or "task",
        out=out.resolve(),
        seed=seed,
        minutes=minutes,
    )
    with TemporaryDirectory(prefix="headrace-train-") as folder:
        job = Path(folder) / JOB
        job.write_text(asked.model_dump_json(), "utf-8")
        run([*TRAINER, str(job)])
    figures: dict[str, Any] = json.loads((out / FIGURES).read_text("utf-8"))
    if as_json:
        typer.echo(json.dumps(figures, ensure_ascii=False, indent=1))
        return
    output.table(*_table(figures))
    typer.echo(f"{figures['reason']}\n{figures['artifact']}\n{out / REPORT}", err=True)


def _table(figures: dict[str, Any]) -> tuple[list[str], list[list[Any]]]:
    """A line for each candidate: validation, test, speed, or why it was not finished."""
    lines: list[list[Any]] = []
    for one in figures["candidates"]:
        shown = [_shown(one.get(rows)) for rows in ("validation", "test")]
        name = f"{one['name']} *" if one["name"] == figures["chosen"] else one["name"]
        lines.append([name, one["method"], one["base"], *shown, one.get("p50_ms"), one["seconds"], one["failure"]])
    return ["candidate", "method", "base", "validation", "test", "p50 ms", "seconds", ""], lines


def _shown(found: dict[str, Any] | None) -> str:
    """An accuracy with its interval; of a model that writes the perplexity of the right answers."""
    if not found:
        return ""
    if "perplexity" in found:
        return f"perplexity {found['perplexity']:.2f}"
    return f"{found['accuracy']:.3f} ({found['low']:.3f} to {found['high']:.3f})"
