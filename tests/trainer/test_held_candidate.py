"""A candidate that the test rows do not decide about waits, and the next attempt shows the same one more of them."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from trainer_history import START, TASK, History, job_file, plan, questions
from trainer_process import Trainer

from headrace.contract.ids import uuid7
from headrace.contract.job_file import CANDIDATES, DATASET, HELD, JobFile, read
from headrace.models import bundle
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate.dataset import DataSet
from trainer.curate.likeness import CHARACTERS
from trainer.curate.text import digest, normal
from trainer.process.held import Held, held, learned, worth_its_share

TEST_FROM = START + timedelta(days=1)
GATE = {"max_ece": 0.9, "per_label_drop": 0.9, "approved_labels": ["out_of_scope"]}
CURATION = {"min_test_rows": 30, "min_train_rows": 50, "min_new_rows": 0}


@pytest.fixture(scope="module")
def labels(warehouse: Warehouse) -> tuple[str, ...]:
    """250 corrections and 50 audited answers before the change, 50 after it; the incumbent is right in two of five."""
    rows = questions(350)
    found = tuple(sorted({label for _, label in rows}))
    history, chance = History(), random.Random(5)
    for number, (text, label) in enumerate(rows):
        if number == 300:
            history.pass_time(days=1)
        if number < 250:
            history.say(history.ask(text, chance.choice(found)), "user", "correction", label=label)
        else:
            audit(history, chance, text, label, found)
    history.store(warehouse)
    return found


def audit(
    history: History, chance: random.Random, text: str, label: str, labels: tuple[str, ...], known: float = 0.25
) -> None:
    history.audited(text, label if chance.random() < known else chance.choice(labels), label)


@pytest.fixture(scope="module")
def undecided(labels: tuple[str, ...], settings: Settings) -> dict[str, Any]:
    """The first attempt: its result and its folder."""
    task = plan(labels, curation=CURATION, gate=GATE)
    now = START + timedelta(days=2)
    job = job_file(settings, settings.home / "first", task, TEST_FROM, now, job_id=uuid7(START))
    trainer = Trainer(job)
    code, _, stderr = trainer.finish()
    assert code == 13, stderr
    return {"result": trainer.result(), "folder": job.parent, "plan": task, "now": now, "job": read(job)}


def next_job(settings: Settings, undecided: dict[str, Any], name: str, **fields: Any) -> Path:
    """The next attempt of the same job."""
    job_id = str(undecided["job"].job_id)
    given = {"job_id": job_id, "attempt": 2, "resume_from": str(undecided["folder"]), **fields}
    task = given.pop("plan", undecided["plan"])
    return job_file(settings, settings.home / name, task, TEST_FROM, undecided["now"], **given)


def test_an_undecided_candidate_waits(undecided: dict[str, Any], warehouse: Warehouse) -> None:
    """The attempt asks for labels, in days, and leaves the candidate and what it learned from; nothing is published."""
    result, folder = undecided["result"], undecided["folder"]
    assert result["outcome"] == "undecided" and result["needs"] >= 1
    assert result["reason"].startswith("not enough labels: ") and "at today's rate of" in result["reason"]
    verdict = result["verdict"]
    assert verdict["gate"] == "undecided" and verdict["needs_labels"] >= verdict["labels"] + result["needs"]
    said = json.loads((folder / HELD).read_text("utf-8"))
    assert (said["name"], said["tuned_on"]) == ("probe", result["dataset"])
    assert (folder / CANDIDATES / "probe" / "head.safetensors").exists() and (folder / DATASET).is_dir()
    (row,) = warehouse.rows("SELECT gate, version FROM candidates FINAL WHERE split = 'test' AND name = 'probe'")
    assert row["gate"] == "undecided"


def test_the_next_attempt_decides_about_the_same_candidate(
    undecided: dict[str, Any], labels: tuple[str, ...], settings: Settings, warehouse: Warehouse,
    start: Callable[[Path], Trainer],
) -> None:  # fmt: skip
    """With more test rows the same weights win: nothing is tuned, and it is still the first candidate."""
    weights = (undecided["folder"] / CANDIDATES / "probe" / "head.safetensors").read_bytes()
    later, chance = History(), random.Random(6)
    later.pass_time(days=1, hours=12)
    for text, label in questions(470)[350:]:
        audit(later, chance, text, label, labels, known=0.0)
    later.store(warehouse)
    trainer = start(next_job(settings, undecided, "second"))
    code, lines, stderr = trainer.finish()
    result = trainer.result()
    assert code == 0, (stderr, result)
    said = [line["message"] for line in lines if line["message"]]
    assert "probe of an earlier attempt meets the test rows of now" in said, said
    assert not [line for line in lines if line["stage"] in ("probe", "embed")], said
    published = Path(result["served"]["artifact"])
    assert (published / "head.safetensors").read_bytes() == weights
    manifest = bundle.verify(published)
    assert manifest.dataset == undecided["result"]["dataset"] != result["dataset"] and manifest.attempt == 2
    rows = warehouse.rows("SELECT attempt, n, detail FROM candidates FINAL WHERE split = 'test' AND name = 'probe'")
    seen = {row["attempt"]: (row["n"], json.loads(str(row["detail"]))) for row in rows}
    assert seen[2][0] > seen[1][0] + 50
    assert {(detail["number"], detail["tuned_on"]) for _, detail in seen.values()} == {(1, manifest.dataset)}
    counts = result["funnel"]
    (stored,) = warehouse.rows(
        "SELECT train, validation, exclusions, funnel FROM datasets FINAL WHERE dataset = {d:String}",
        d=result["dataset"],
    )
    assert stored["train"] == undecided["result"]["funnel"]["train"] and counts["excluded_after_candidate"] > 0
    assert stored["funnel"]["answers"] == sum(stored["exclusions"].values()) + stored["funnel"]["ground_truth"]


def copied(undecided: dict[str, Any], folder: Path) -> JobFile:
    """The next attempt's job, with a copy of the waiting candidate to go on from."""
    shutil.copytree(undecided["folder"], folder / "before")
    work = folder / "work"
    work.mkdir()
    return undecided["job"].model_copy(update={"attempt": 2, "work": work, "resume_from": folder / "before"})


def take_over(job: JobFile) -> Held | None:
    return held(job, dict.fromkeys(job.of_task.candidates, 0.0))


def test_a_candidate_of_another_plan_does_not_wait(undecided: dict[str, Any], tmp_path: Path) -> None:
    """Other keys or labels, or files that are not whole: a new candidate is tuned."""
    job = copied(undecided, tmp_path)
    found = take_over(job)
    assert found is not None and found.tuned_on == undecided["result"]["dataset"]
    assert {row.split for row in found.dataset.curated.rows} == {"train", "validation"}
    task = job.of_task
    for change in ({"texts": (*task.texts, "legal")}, {"candidates": {"other": task.candidates["probe"]}}):
        other = job.plan.model_copy(update={"tasks": {TASK: task.model_copy(update=change)}})
        assert take_over(job.model_copy(update={"plan": other})) is None
    assert job.resume_from is not None
    (job.resume_from / HELD).write_text("{", "utf-8")
    assert take_over(job) is None
    assert take_over(job.model_copy(update={"resume_from": None})) is None


@pytest.mark.parametrize("alike", ["text", "near duplicate", "session"])
def test_a_candidate_meets_nothing_that_trained_it(alike: str, undecided: dict[str, Any], tmp_path: Path) -> None:
    """A test row that came since, of what the candidate learned, is left out and counted."""
    found = take_over(copied(undecided, tmp_path))
    whole = DataSet.read(undecided["folder"] / DATASET)
    assert found is not None and whole is not None
    seen, test = found.dataset.curated.rows[0], whole.split("test")[0]
    text = {"text": seen.text, "near duplicate": f"{seen.text}, thanks", "session": "my parking card is lost"}[alike]
    row: dict[str, Any] = {"split": "test", "text": text, "text_digest": digest(normal(text)), "inference_id": uuid7()}
    row["cluster"] = seen.cluster if alike == "session" else "default another"
    repeated = type(test)(**{name: row.get(name, getattr(test, name)) for name in test.__dataclass_fields__})
    fresh = DataSet.of(type(whole.curated)((*whole.curated.rows, repeated), {}, whole.curated.funnel))
    again = found.with_test_of(fresh, CHARACTERS)
    assert len(again.split("test")) == len(whole.split("test"))
    assert again.curated.exclusions["leakage"] == 1


def test_a_new_candidate_is_worth_its_share_when_its_rows_have_doubled(undecided: dict[str, Any]) -> None:
    """Twice the training rows of the time since the change are a reason to tune again; a few rows more are none."""
    whole = DataSet.read(undecided["folder"] / DATASET)
    assert whole is not None
    now, ever = learned(whole, TEST_FROM), learned(whole, START)
    assert 0 < now < ever
    tuned: Any = None
    assert Held(tuned, whole, "", ever // 2).grown(whole, START)
    assert not Held(tuned, whole, "", ever // 2 + 1).grown(whole, START)
    assert worth_its_share(30, 10) and not worth_its_share(29, 10) and not worth_its_share(199, 100)
