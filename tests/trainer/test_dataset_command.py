"""`headrace dataset`: a data set is listed, shown, compared, built and exported beside a real ClickHouse."""

from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pyarrow.parquet
import pytest
from curation_rules import LABELS, rules
from trainer_history import TASK, History

from headrace.cli import app
from headrace.contract.ids import uuid7
from headrace.contract.job_file import Attempt
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from headrace.warehouse.datasets import erase
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.curate.selection import curate

PLAN = f"""
version = 2

[tasks.{TASK}]
labels = ["hr", "it", "finance"]
incumbent = {{ url = "http://127.0.0.1:9/v1", model = "big", version = "router@0" }}
candidates = {{ probe = {{ method = "probe" }} }}

[tasks.other]
kind = "generate"
incumbent = {{ url = "http://127.0.0.1:9/v1", model = "big", version = "other@0" }}
"""


@dataclass
class Story:
    """Two data sets: of router@1, and of what was known a day later.

    answers: by number; 0 to 29 are in the first, 30 to 40 came later. Of 3 the label changed, 4 was asked again,
        of 5 the consent was taken back, 6 was erased
    """

    first: DataSet
    second: DataSet
    answers: list[UUID]


@dataclass
class Said:
    code: int
    out: str
    err: str


@pytest.fixture(scope="module")
def story(warehouse: Warehouse) -> Story:
    history = History()
    answers = [ask(history, number) for number in range(30)]
    first = keep(history, warehouse, 1)
    candidate(warehouse, first, "router@1")
    history.pass_time(days=1)
    answers += [ask(history, number) for number in range(30, 40)]
    history.say(answers[3], "reviewer", "verdict", label="finance", blame="routing", rater="expert-2")
    # The same question again, newer: it takes the place of the earlier answer.
    answers.append(ask(history, 4))
    history.store(warehouse)
    warehouse.command(
        "ALTER TABLE inferences UPDATE consent = false WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 1",
        id=answers[5],
    )
    warehouse.command(
        "ALTER TABLE inferences DELETE WHERE inference_id = {id:UUID} SETTINGS mutations_sync = 1", id=answers[6]
    )
    erase(warehouse, [(first.curated.rows[6].tenant, answers[6])], "erasure 7")
    return Story(first, keep(history, warehouse, 2), answers)


def ask(history: History, number: int) -> UUID:
    """A question that an expert reviewed."""
    label = LABELS[number % 3]
    answer = history.ask(f'number {number} of {label} is about {number * 7919}, "it\'s" said\nin two lines', "hr")
    history.say(answer, "reviewer", "verdict", label=label, blame="routing")
    return answer


def keep(history: History, warehouse: Warehouse, number: int) -> DataSet:
    """What a job gets now, stored as made when the history has got so far."""
    history.store(warehouse)
    dataset = DataSet.of(curate(sources.answers(warehouse, TASK), rules(now=datetime.now(UTC))))
    dataset.store(warehouse, Attempt(TASK, uuid7(history.now), 1, f"router@{number}", "router@0"))
    update = f"ALTER TABLE datasets UPDATE at = '{history.now:%Y-%m-%d %H:%M:%S}' WHERE dataset = '{dataset.digest}'"
    warehouse.command(f"{update} SETTINGS mutations_sync = 1")
    return dataset


def candidate(warehouse: Warehouse, dataset: DataSet, version: str) -> None:
    (made,) = warehouse.rows("SELECT job_id FROM datasets WHERE dataset = {d:String}", d=dataset.digest)
    at = "2026-03-02 00:00:00"
    row = {
        "job_id": str(made["job_id"]),
        "attempt": 1,
        "task": TASK,
        "at": at,
        "split": "test",
        "dataset": dataset.digest,
    }
    warehouse.insert("candidates", [json.dumps(row | {"name": "probe", "gate": "passed", "version": version}).encode()])
    job = {
        "job_id": str(made["job_id"]),
        "task": TASK,
        "number": 1,
        "attempt": 1,
        "state": "won",
        "at": at,
        "heartbeat_at": at,
    }
    warehouse.insert("jobs", [json.dumps(job).encode()])


@pytest.fixture
def dataset(
    story: Story, database: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Any:
    """`headrace dataset …` with a plan of its own."""
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN, "utf-8")
    for name, value in (database.replaced(plan=plan).environ() | {"HEADRACE_HOME": str(tmp_path / "home")}).items():
        monkeypatch.setenv(name, value)

    def run(*command: str) -> Said:
        code: Any = 0
        try:
            code = app(["dataset", *command], standalone_mode=False)
        except SystemExit as ended:
            code = ended.code
        said = capfd.readouterr()
        return Said(int(code or 0), said.out, said.err)

    return run


def test_list_shows_what_became_of_each(dataset: Any, story: Story) -> None:
    """The newest first, by its first digits, with its job and the version that was trained on it."""
    lines = dataset("list", TASK).out.splitlines()
    assert [line.split()[0] for line in lines[2:4]] == [story.second.digest[:12], story.first.digest[:12]]
    assert "job 1" in lines[3] and "router@1" in lines[3] and "router@1" not in lines[2]
    assert [row["train"] for row in json.loads(dataset("list", "--json").out)][1] == len(story.first.split("train"))
    assert "no data set of nothing yet" in dataset("list", "nothing").err


@pytest.mark.parametrize("name", ["router@1", "first", "FIRST12"])
def test_show_finds_a_data_set_by_its_names(dataset: Any, story: Story, name: str) -> None:
    """By version and by digest, whole or not: labels by split, the job, and that the digest is that of the rows."""
    called = {"first": story.first.digest, "FIRST12": story.first.digest[:12].upper()}.get(name, name)
    said = dataset("show", called)
    assert said.code == 0 and story.first.digest in said.out
    assert (
        "its digest is that of its rows" in said.out
        and "job 1, attempt 1: won, tried probe, became router@1" in said.out
    )
    assert "without text: 1, no consent" in said.out and "without text: 1, erased (erasure 7)" in said.out
    told = json.loads(dataset("show", called, "--json").out)
    assert sum(row["rows"] for row in told["counts"]) == 29 and told["digest"] == "verified"
    assert told["funnel"]["ground_truth"] == 30


def test_show_says_that_rows_were_changed(dataset: Any, story: Story, warehouse: Warehouse) -> None:
    """A row that was changed breaks the digest, and the exit code says so; an older format is not checked."""
    copy = "INSERT INTO {} SELECT * REPLACE ({} AS dataset{}) FROM (SELECT * FROM {} WHERE dataset = {{of:String}})"
    for digest, change, row_format in (("ee" * 32, " , 'x' AS label", 2), ("dd" * 32, ", '' AS row_digest", 1)):
        warehouse.command(copy.format("dataset_rows", f"'{digest}'", change, "dataset_rows"), of=story.first.digest)
        warehouse.command(
            copy.format("datasets", f"'{digest}'", f", {row_format} AS format", "datasets"), of=story.first.digest
        )
    broken = dataset("show", "eeeeee")
    assert broken.code == 1 and "ROWS ARE NOT WHAT ITS DIGEST SAYS" in broken.out
    older = dataset("show", "dddddd")
    assert older.code == 0 and "made by an older version" in older.out
    for digest in ("ee" * 32, "dd" * 32):
        for table in ("datasets", "dataset_rows"):
            warehouse.command(f"ALTER TABLE {table} DELETE WHERE dataset = '{digest}' SETTINGS mutations_sync = 1")


def test_diff_gives_rows_by_reason_with_examples(dataset: Any, story: Story) -> None:
    """What went out, came in and got another label, and why, each with ids that can be followed."""
    told = json.loads(dataset("diff", "router@1", TASK, "--json").out)
    found = {(row["change"], row["what"], row["reason"]): (row["rows"], row["examples"]) for row in told["changes"]}
    by_change: dict[str, int] = {}
    for (change, _, _), (rows, _) in found.items():
        by_change[change] = by_change.get(change, 0) + rows
    second, first = ({row.inference_id for row in one.curated.rows} for one in (story.second, story.first))
    assert (by_change["in"], by_change["out"]) == (len(second - first), len(first - second)) == (11, 3)
    reasons = {reason: examples for (change, _, reason), (_, examples) in found.items() if change == "out"}
    out = {"same_text": story.answers[4], "no_consent": story.answers[5], "erased": story.answers[6]}
    assert reasons == {reason: [str(answer)] for reason, answer in out.items()}
    assert {reason for change, _, reason in found if change == "in"} == {"new_answer"}
    assert found["label", "hr -> finance", "reviewer"] == (1, [str(story.answers[3])])
    assert {"left out": "no_consent", "a": 0, "b": 1} in told["left_out"]
    said = dataset("diff", "router@1", TASK)
    assert "hr -> finance" in said.out and str(story.answers[3]) in said.out
    assert "they have the same rows" in dataset("diff", "router@1", "router@1").err


def test_export_joins_the_texts_that_may_be_used(dataset: Any, story: Story, tmp_path: Path) -> None:
    """A file has every row with its text, and a hole where consent was taken back; only its owner may read it."""
    lines, table, parquet = (tmp_path / name for name in ("rows.jsonl", "rows.csv", "rows.parquet"))
    said = dataset("export", "router@1", "-o", str(lines))
    assert f"30 rows of {story.first.digest[:12]} in {lines}; 2 of them without text: " in said.out
    assert "1 erased" in said.out and "1 no consent" in said.out
    assert lines.stat().st_mode & 0o777 == 0o600
    rows = [json.loads(line) for line in lines.read_text("utf-8").splitlines()]
    holes = {story.answers[5]: "no_consent", story.answers[6]: "erased"}
    texts = {row.inference_id: row.text for row in story.first.curated.rows} | dict.fromkeys(holes, "")
    assert {UUID(row["inference_id"]): row["text"] for row in rows} == texts
    assert {UUID(row["inference_id"]): row["hole"] for row in rows if row["hole"]} == holes
    assert [row["label"] for row in rows if row["hole"] == "erased"] == [""]
    assert dataset("export", "router@1", "-o", str(table), "--split", "train").code == 0
    with table.open(newline="") as file:
        assert {row["split"] for row in csv.DictReader(file)} == {"train"}
    counts = json.loads(dataset("export", "latest", "-o", str(parquet), "--json").out)
    assert pyarrow.parquet.read_table(parquet).num_rows == counts["rows"][""] == len(story.second.curated.rows)
    refused = dataset("export", "latest", "-o", str(lines))
    assert refused.code == 2 and f"{lines} is there already" in refused.err and refused.err.count("\n") == 1
    assert dataset("export", "latest", "-o", str(lines), "--force").code == 0
    assert sorted(path.name for path in tmp_path.glob("rows*")) == ["rows.csv", "rows.jsonl", "rows.parquet"]


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (("show", "nothing"), "there is no data set 'nothing': write a digest"),
        (("show", "abc"), "there is no data set 'abc'"),
        (("diff", "latest", "router@9"), "there is no data set 'router@9'"),
        (
            ("export", "latest", "-o", "x.xlsx"),
            "x.xlsx does not say what it shall hold: name it .jsonl, .csv, .parquet",
        ),
        (("export", "latest", "-o", "x", "--format", "xml"), "there is no format 'xml'; there are jsonl, csv, parquet"),
        (("export", "latest", "-o", "x.csv", "--split", "dev"), "there is no split 'dev'; there are train, validation"),
        (("export", "latest", "-o", "nowhere/x.csv"), "nowhere/x.csv cannot be written: No such file"),
        (("build", "rooter"), "the plan has no task 'rooter'"),
        (("build", "other"), 'other is of kind = "generate", which no job trains'),
        (("build", TASK, "--test-from", "monday"), "'monday' is not a time"),
    ],
)
def test_a_mistake_is_one_sentence(dataset: Any, command: tuple[str, ...], sentence: str) -> None:
    """It exits 2, and says what and where."""
    said = dataset(*command)
    assert (said.code, said.out) == (2, "")
    assert sentence in said.err and said.err.count("\n") == 1, said.err


def test_build_curates_as_a_job_would(dataset: Any, story: Story, warehouse: Warehouse) -> None:
    """With --dry-run it tells the counts and stores nothing; without, the data set can be shown, and no job made it."""
    told = json.loads(dataset("build", TASK, "--dry-run", "--json").out)
    assert told["funnel"]["answers"] == 40 and told["missing"]
    assert sum(row["rows"] for row in told["counts"]) == told["funnel"]["ground_truth"]
    stored = "SELECT count() AS n FROM datasets WHERE job_id = toUUID('00000000-0000-0000-0000-000000000000')"
    assert warehouse.rows(stored)[0]["n"] == 0
    said = dataset("build", TASK)
    assert said.code == 0 and "built by hand at" in said.out and "its digest is that of its rows" in said.out
    assert told["dataset"] in said.out and warehouse.rows(stored)[0]["n"] == 1
    assert "build" in next(line for line in dataset("list").out.splitlines() if line.startswith(told["dataset"][:12]))
