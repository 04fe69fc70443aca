"""`python -m trainer.process.by_hand job.json`: models of a file of rows, without Kafka and ClickHouse.

job.json is a headrace.contract.job_file.ByHand, as `headrace train` writes it. Standard output and input as of
`python -m trainer`. In `out`: the chosen model's bundle below the task's name, FIGURES, and REPORT for people. What is
under way is in `out`/.work-…, so that the same command goes on where it was stopped; that folder is removed at the end.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import ValidationError

from headrace.contract import job_file as jobs
from headrace.contract.events import sentence
from headrace.errors import HeadraceError
from headrace.models.encoder_base import sleep_while_waiting
from headrace.plan import Plan, Task
from trainer.curate import given
from trainer.curate.likeness import read_by
from trainer.curate.rows import Row
from trainer.process import by_hand_figures, by_hand_texts, crash, lifecycle
from trainer.progress import Progress, on_stdout
from trainer.report import html, markdown
from trainer.report.by_hand import blocks_of, blocks_of_texts

USUAL = {"probe": {"method": "probe"}, "lora": {"method": "lora"}, "full": {"method": "full"}}
"""Candidates where no plan names any; the base is the plan's default."""


def main(arguments: list[str]) -> int:
    """Returns the exit code: 0, or BAD_JOB with one sentence on standard error."""
    lifecycle.die_with_parent()
    sys.excepthook = crash.hook
    lifecycle.stay_offline()
    sleep_while_waiting()  # before the stages import torch
    progress = on_stdout()
    try:
        asked = jobs.ByHand.model_validate_json(Path(arguments[0]).read_bytes())
        train(asked, progress)
    except HeadraceError as error:
        print(error, file=sys.stderr)
        return jobs.Exit.BAD_JOB
    except ModuleNotFoundError as error:
        print(f"the trainer needs {error.name}; pip install 'headrace[training]'", file=sys.stderr)
        return jobs.Exit.BAD_JOB
    return 0


def train(asked: jobs.ByHand, progress: Progress) -> None:
    """Tune, choose, evaluate and publish. Raises HeadraceError in one sentence."""
    from trainer.curate.dataset import DataSet

    started = time.monotonic()
    writes = asked.plan is not None and asked.plan.task(asked.task).kind == "generate"
    columns = asked.text, asked.label, asked.split, given.ANSWER if writes else given.LABEL
    data = given.read(asked.data, *columns)
    test = given.read(asked.test, *columns) if asked.test is not None else None
    plan = _plan(asked, data)
    task = plan.task(asked.task)
    if not task.candidates:
        raise jobs.JobError(f"the plan has no candidates for {asked.task}; add some that write text")
    lifecycle.be_bounded(plan.budget.memory_gib)
    characters = read_by(plan.base(spec.base).max_length for spec in task.candidates.values())
    label_of = str if writes else task.id_of
    dataset = DataSet.of(given.data_set_rows(data, test, label_of, task.labels, asked.seed, characters))
    funnel, out = dataset.curated.funnel, dataset.curated.exclusions
    said = [f"{funnel[name]} {name}" for name in ("train", "validation", "test")]
    said += [f"{count} left out [{reason}]" for reason, count in out.items()]
    if funnel["conflicting_texts"]:
        said.append(f"{funnel['conflicting_texts']} texts have several {'answers' if writes else 'labels'}")
    progress.say("curate", f"rows: {', '.join(said)}", 1, 1)
    work = _folder(asked.out, f".work-{dataset.digest[:16]}-{asked.seed}")
    trained, told = (by_hand_texts.trained, blocks_of_texts) if writes else (_trained, blocks_of)
    with _alone_in(asked.out):
        version = f"{asked.task}@{_number(asked.out / asked.task)}"
        attempt = jobs.Attempt(asked.task, UUID(int=0), 0, version, "")
        figures = trained(asked, plan, task, dataset, work, attempt, started, progress)
    jobs.write_json(asked.out / jobs.FIGURES, figures)
    blocks = told(figures)
    (asked.out / jobs.REPORT).write_text(markdown.text_of(blocks), "utf-8")
    (asked.out / jobs.PAGE).write_text(html.page(figures["version"], blocks), "utf-8")
    shutil.rmtree(work, ignore_errors=True)


def _trained(
    asked: jobs.ByHand,
    plan: Plan,
    task: Task,
    dataset: Any,
    work: Path,
    attempt: jobs.Attempt,
    started: float,
    progress: Progress,
) -> dict[str, Any]:
    from trainer.evaluate.entries import chosen, enter
    from trainer.evaluate.measure import figures, predict
    from trainer.evaluate.suites import Suites
    from trainer.process.incumbent import incumbent_of
    from trainer.process.run import opened
    from trainer.process.tuning import Places, failures, tune_all
    from trainer.publish.artifact import Origin, publish_winner

    origin = Origin(attempt, task.labels, dataset.digest, asked.seed)
    incumbent = incumbent_of(task, dataset.curated.rows)
    load = partial(opened, plan, origin, incumbent)
    tuned = tune_all(plan, task, dataset, Places(work), asked.seed, started, 0, load, progress, incumbent)
    loaded = {one.name: (one, load(one)) for one in tuned if one.folder is not None}
    if all(one.baseline for one, _ in loaded.values()):
        raise jobs.JobError(f"no candidate was tuned: {failures(tuned)}")
    suites = Suites.of(task)
    entries, _ = enter(loaded, {}, dataset.split("validation"), task, suites, asked.seed, progress)
    entry, choice = chosen([one for one in entries if not one.tuned.baseline])
    rows = dataset.split("test")
    truth = [row.label for row in rows]
    # The chosen one alone is chosen without them; the baselines are what it is compared with.
    tested = {one.tuned.name: predict(one.scorer, rows)[0] for one in entries if one is entry or one.tuned.baseline}
    measured: dict[str, dict[str, Any]] = {one.name: {} for one in tuned}
    for one in entries:
        measured[one.tuned.name] = {
            "validation": asdict(one.validation),
            "p50_ms": round(one.latency.p50_ms, 3),
            "p95_ms": round(one.latency.p95_ms, 3),
        }
    for name, said in tested.items():
        measured[name]["test"] = asdict(figures(truth, said))
    of_test = figures(truth, tested[entry.tuned.name])
    metrics = {"accuracy": of_test.accuracy, "low": of_test.low, "high": of_test.high, "n": float(of_test.n)}
    base = plan.base(entry.tuned.spec.base)
    published = publish_winner(entry.scorer, asked.out, origin.manifest(entry.tuned, base, metrics))
    progress.say("publish", f"published {attempt.version} ({entry.tuned.name}) at {published.path}", 1, 1)
    candidates = [by_hand_figures.candidate(one, measured[one.name]) for one in tuned]
    beside = _beside(rows, task.labels, tested, entry.tuned.name)
    found = by_hand_figures.version(
        attempt.version, published, dataset, asked.seed, entry.tuned.name, choice.reason, candidates, beside, started
    )
    return found | {"labels": _by_label(task.labels, truth, tested[entry.tuned.name])}


def _beside(
    rows: Sequence[Row], labels: Sequence[str], said: Mapping[str, Sequence[str]], chosen: str
) -> list[dict[str, Any]]:
    """The chosen candidate and each other one on the test rows. said: answers by name, in the rows' order"""
    from headrace.statistics.paired import mcnemar
    from trainer.gate.outcomes import outcomes

    right = {
        name: [float(mine == row.label) for mine, row in zip(answers, rows, strict=True)]
        for name, answers in said.items()
    }
    found = []
    for name in (name for name in right if name != chosen):
        # As at the gate: a question that the file repeats is no more evidence than one.
        both = outcomes(rows, labels, right[chosen], right[name]).pairs()
        found.append({"baseline": name, **asdict(both), "p_value": mcnemar(both)})
    return found


def _plan(asked: jobs.ByHand, data: given.File) -> Plan:
    """The plan that was given, or one of the rows' labels and the usual candidates; with the minutes asked for."""
    plan = asked.plan
    if plan is None:
        labels = given.labels_of(data)
        # A plan needs an incumbent, and rows of a file have none: nothing is sent to this address.
        incumbent = {"url": "http://127.0.0.1:9/v1", "model": "none", "version": f"{asked.task}@0"}
        task = {"labels": labels, "incumbent": incumbent, "candidates": USUAL}
        try:
            plan = Plan.model_validate({"version": 2, "tasks": {asked.task: task}})
        except ValidationError as error:
            raise jobs.JobError(f"{asked.data}: {sentence('labels', error)}; give a --plan") from None
    if not asked.minutes:
        return plan
    return plan.model_copy(update={"budget": plan.budget.model_copy(update={"minutes": asked.minutes})})


def _folder(out: Path, name: str) -> Path:
    """The folder of what is under way. It holds what a model learned of people's questions."""
    folder = out / name
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise jobs.JobError(f"{out} cannot be written: {error.strerror}") from None
    return folder


@contextmanager
def _alone_in(out: Path) -> Iterator[None]:
    """Two would name their versions alike. Raises JobError."""
    folder = os.open(out, os.O_RDONLY)
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = f"another training is under way in {out}; wait for it, or name another --out"
            raise jobs.JobError(said) from None
        yield
    finally:
        os.close(folder)


def _number(folder: Path) -> int:
    """Of the next version in the folder of a task."""
    found = [int(number) for path in folder.glob("*-a0") if (number := path.name.removesuffix("-a0")).isdigit()]
    return max(found, default=0) + 1


def _by_label(labels: Sequence[str], truth: Sequence[str], said: Sequence[str]) -> list[dict[str, Any]]:
    rows, answers = Counter(truth), Counter(said)
    right = Counter(label for label, mine in zip(truth, said, strict=True) if label == mine)
    return [
        {"label": label, "rows": rows[label], "right": right[label], "answered": answers[label]} for label in labels
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
