"""`python -m trainer job.json` as its parent sees it: exit codes, progress, files, rows, and what a kill leaves."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from trainer_history import START, TASK, History, job_file, plan
from trainer_process import Trainer

from headrace.contract.control import Served
from headrace.models import bundle
from headrace.models.families import load
from headrace.models.family import PARITY_TOLERANCE, parity
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.process import crash

LORA = {"method": "lora", "epochs": 2, "rank": 8}
CANDIDATES = {"untuned": {"method": "untuned"}, "probe": {"method": "probe"}, "lora": LORA}


@pytest.fixture(scope="module")
def won(world: dict[str, Any], settings: Settings) -> dict[str, Any]:
    """The job run to its end without interruption: exit code, lines and result."""
    task = plan(
        world["labels"],
        candidates=CANDIDATES,
        curation={"min_test_rows": 200, "min_train_rows": 50},
        gate={"max_ece": 0.5, "per_label_drop": 0.5, "max_cost_ratio": 1000},  # a busy machine times a model badly
    )
    job = job_file(settings, settings.home / "won", task, START, world["now"], job_id=world["job_id"])
    trainer = Trainer(job)
    code, lines, stderr = trainer.finish()
    assert code == 0, stderr
    result = trainer.result()
    candidate = bundle.verify(Path(result["served"]["artifact"])).candidate
    said = json.dumps(lines) + stderr
    return {"lines": lines, "said": said, "result": result, "candidate": candidate, "plan": task, "work": job.parent}


def test_a_winner_is_published(won: dict[str, Any], world: dict[str, Any]) -> None:
    """The whole run ends with an artifact that verifies, scores as it did at evaluation, and says what to promote."""
    result = won["result"]
    assert result["outcome"] == "won" and "better than the live version" in result["reason"]
    served = Served.model_validate(result["served"])
    manifest = bundle.verify(Path(served.artifact), served.digest)
    assert (manifest.version, manifest.labels) == ("router@1", world["labels"])
    assert manifest.candidate in ("probe", "lora")
    # The promotion says what the bundle is; an adapter is called by its version, which never names another.
    told = (served.base, served.base_digest, served.family, served.method, served.label_set)
    assert told == (manifest.base, manifest.base_digest, "encoder", manifest.method, manifest.label_set)
    assert served.adapter == ("router@1" if manifest.method == "lora" else "")
    assert served.usd_per_1k == manifest.metrics["cost_per_1k"] > 0 and served.template == ""
    assert {"report.html", "report.md", "README.md"} <= set(manifest.files)
    assert result["report"] == f"{served.artifact}/report.html"
    assert manifest.dataset == result["dataset"] and manifest.metrics["n"] == served.labelled
    scorer = load(served.artifact, served.digest)
    assert parity(scorer) < PARITY_TOLERANCE["float32"]
    scores = scorer.score(["how much money is in my account", "will it rain", "book a flight to rome"])
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-4)
    assert scores.shape == (3, len(world["labels"]))
    # The test labels that promotion will compare with were counted on rows that no training row repeats.
    assert served.errors / served.labelled < 0.25


def test_no_question_leaves_the_data_set(won: dict[str, Any]) -> None:
    """Neither what is published nor what the trainer says holds a question, and only its owner may read them."""
    rows, asked = (won["work"] / "dataset" / name for name in ("rows.jsonl", "texts.jsonl"))
    texts = {json.loads(line)["text"] for line in asked.read_text("utf-8").splitlines()}
    told = [(won["work"] / "result.json").read_bytes(), won["said"].encode(), rows.read_bytes()]
    published = [file.read_bytes() for file in Path(won["result"]["served"]["artifact"]).iterdir()]
    assert len(texts) > 100 and len(published) > 2
    assert [text for text in texts if len(text) > 15 and any(text.encode() in one for one in told + published)] == []
    kept = [rows, asked, *(won["work"] / "checkpoints").iterdir()]
    assert len(kept) == 4 and all(file.stat().st_mode & 0o777 == 0o600 for file in kept)


def test_a_crash_quotes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A traceback says where and what, and not the message of an error that repeats what it was given."""
    for raises, says in ((lambda: int("Why was my salary cut?"), "ValueError"), (lambda: 1 / 0, "division by zero")):
        try:
            raises()
        except Exception as error:
            crash.hook(type(error), error, error.__traceback__)
        found = capsys.readouterr().err
        assert says in found and "in test_a_crash_quotes_nothing" in found and "salary" not in found


def test_progress_is_json_lines_that_give_an_estimate(won: dict[str, Any]) -> None:
    """Every line of standard output is one JSON object; a stage's last step is done = total."""
    stages = [line["stage"] for line in won["lines"]]
    assert [name for number, name in enumerate(stages) if name not in stages[:number]] == [
        "curate", "untuned", "tfidf", "probe", "embed", "lora", "evaluate", "gate", "report", "publish",
    ]  # fmt: skip
    steps = [line for line in won["lines"] if line["stage"] == "lora" and line["total"] > 1]
    assert len(steps) > 3 and steps[-1]["done"] == steps[-1]["total"]
    assert all(set(line) == {"stage", "done", "total", "message", "metrics"} for line in won["lines"])


def test_the_warehouse_knows_how_it_came_about(won: dict[str, Any], warehouse: Warehouse) -> None:
    """Every candidate has a validation row; the chosen one and the live version alone have test rows."""
    rows = warehouse.rows("SELECT * FROM candidates FINAL ORDER BY split, name")
    found = {(row["name"], row["split"]): row for row in rows}
    assert set(found) == {
        ("untuned", "validation"), ("tfidf-baseline", "validation"), ("probe", "validation"), ("lora", "validation"),
        (won["candidate"], "test"), ("router@0", "test"),
    }  # fmt: skip
    assert found[won["candidate"], "test"]["gate"] == "passed" and found["router@0", "test"]["gate"] == "reference"
    assert found["untuned", "validation"]["accuracy"] < found["probe", "validation"]["accuracy"]
    live = found["router@0", "test"]
    assert 0.5 < live["accuracy"] < 0.75 and live["cost_per_1k"] == pytest.approx(2.0) and live["p95_ms"] == 900
    chosen = found[won["candidate"], "test"]
    assert chosen["low"] < chosen["accuracy"] < chosen["high"] and 0 < chosen["p50_ms"] <= chosen["p95_ms"]
    # A machine of five cents an hour that is always on, at the requests that the task has a day.
    daily = json.loads(str(live["detail"]))["requests_per_day"]
    assert chosen["cost_per_1k"] == pytest.approx(0.05 * 24 / daily * 1000)
    assert chosen["parameters"] > 22_000_000 > 1_000_000 > chosen["trained_parameters"] > 0
    lineage = warehouse.rows(
        "SELECT split, count() AS n, uniqExact(feedback_id) AS said FROM dataset_rows FINAL "
        "WHERE dataset = {dataset:String} GROUP BY split",
        dataset=won["result"]["dataset"],
    )
    funnel = won["result"]["funnel"]
    assert {row["split"]: row["n"] for row in lineage} == {
        name: funnel[name] for name in ("train", "validation", "test", "forget") if funnel[name]
    }
    assert all(row["said"] == row["n"] for row in lineage)
    (dataset,) = warehouse.rows("SELECT * FROM datasets FINAL")
    excluded = sum(dataset["exclusions"].values())
    assert dataset["funnel"]["answers"] == excluded + dataset["funnel"]["ground_truth"]


def test_a_killed_trainer_is_resumed_to_the_same_model(
    won: dict[str, Any], world: dict[str, Any], settings: Settings, start: Callable[[Path], Trainer]
) -> None:
    """SIGKILL in the middle of LoRA, then a next attempt: it goes on from the checkpoint to the same weights."""
    folder = settings.home / "killed"
    arguments = (won["plan"], START, world["now"])
    first = start(job_file(settings, folder / "1", *arguments, number=2, version="router@2"))
    checkpoint = folder / "1" / "checkpoints" / "lora.safetensors"
    first.lines_until(lambda line: checkpoint.exists() and line["stage"] == "lora")
    first.process.send_signal(signal.SIGKILL)
    assert first.finish()[0] == -signal.SIGKILL
    before = checkpoint.read_bytes()
    job_id = json.loads(first.job.read_text("utf-8"))["job_id"]
    second = start(
        job_file(
            settings,
            folder / "2",
            *arguments,
            number=2,
            version="router@2",
            job_id=job_id,
            attempt=2,
            resume_from=str(folder / "1"),
        )
    )
    code, lines, stderr = second.finish()
    assert code == 0, stderr
    assert any("goes on from the checkpoint" in line["message"] for line in lines)
    shown = [line["metrics"] for line in lines if line["stage"] == "lora" and "loss" in line["metrics"]]
    # The first step of a run has no pace yet.
    paced = {"rows_per_s", "eta_s"}
    assert shown and all(set(one) - paced == {"loss", "learning_rate"} for one in shown)
    assert any(paced <= set(one) for one in shown) and all(paced & set(one) in (set(), paced) for one in shown)
    assert any("takes over data set" in line["message"] for line in lines)
    assert checkpoint.read_bytes() == before, "the earlier attempt's checkpoint is copied, never shared"
    assert second.result()["dataset"] == won["result"]["dataset"]
    straight, resumed = (
        bundle.verify(Path(result["served"]["artifact"])) for result in (won["result"], second.result())
    )
    assert resumed.attempt == 2 and Path(second.result()["served"]["artifact"]).name == "2-a2"
    # The report and the card say when it was and how long it took.
    told = {bundle.REPORT, bundle.REPORT_TEXT, bundle.CARD}
    assert told < resumed.files.keys() == straight.files.keys()
    assert {name: resumed.files[name] for name in resumed.files.keys() - told} == {
        name: straight.files[name] for name in straight.files.keys() - told
    }
    tuned = [
        {
            file.name: file.read_bytes()
            for file in (work / "candidates" / "lora").iterdir()
            if file.name != "parity.json"
        }
        for work in (won["work"], folder / "2")
    ]
    assert tuned[0] == tuned[1] and "adapter_model.safetensors" in tuned[0]


def test_too_few_labels_is_an_answer(
    world: dict[str, Any], settings: Settings, start: Callable[[Path], Trainer]
) -> None:
    """Exit code 11 within seconds, with the number of labels that are missing."""
    task = plan(world["labels"], curation={"min_test_rows": 10_000})
    trainer = start(job_file(settings, settings.home / "few", task, START, world["now"]))
    code, lines, _ = trainer.finish()
    result = trainer.result()
    assert (code, result["outcome"], result["served"]) == (11, "not_enough_labels", None)
    assert result["needs"] == -(-(10_000 - result["funnel"]["test"]) // 0.75)
    assert {line["stage"] for line in lines} == {"curate", "report"}


def test_waiting_for_labels_ends_when_they_come(
    world: dict[str, Any], settings: Settings, warehouse: Warehouse, start: Callable[[Path], Trainer]
) -> None:
    """The next attempt counts the labels that came since; it does not take over the data set that was too small."""
    task = plan(world["labels"], curation={"min_test_rows": 10_000})
    first = start(job_file(settings, settings.home / "wait-1", task, START, world["now"]))
    assert first.finish()[0] == 11
    job_id = json.loads(first.job.read_text("utf-8"))["job_id"]
    later = History()
    later.pass_time(days=1)
    for number in range(40):
        later.audited(f"A question nobody had asked before, number {number}", world["labels"][0], world["labels"][0])
    later.store(warehouse)
    again = {"job_id": job_id, "attempt": 2, "resume_from": str(settings.home / "wait-1")}
    second = start(job_file(settings, settings.home / "wait-2", task, START, later.now, **again))
    assert second.finish()[0] == 11
    before, after = first.result(), second.result()
    assert after["funnel"]["test"] > before["funnel"]["test"]
    assert after["needs"] < before["needs"]


def test_no_winner_is_an_answer(
    world: dict[str, Any], settings: Settings, warehouse: Warehouse, start: Callable[[Path], Trainer]
) -> None:
    """A candidate that is worse than the live version ends with exit code 10, its reason, and nothing published."""
    task = plan(
        world["labels"], candidates={"untuned": {"method": "untuned"}}, curation={"min_test_rows": 200}
    )  # fmt: skip
    path = job_file(settings, settings.home / "none", task, START, world["now"], number=5, version="router@5")
    trainer = start(path)
    assert trainer.finish()[0] == 10
    result = trainer.result()
    assert result["outcome"] == "no_winner" and "not proven better" in result["reason"]
    verdict = result["verdict"]
    assert verdict["gate"] == "failed" and verdict["difference"] < 0 and verdict["candidates"][0]["method"] == "untuned"
    # No number of rows proves a worse one; a candidate that learns from twice the labels may be better.
    assert verdict["needs_labels"] == 2 * verdict["labels"] > 2 * verdict["rows"] >= 400
    assert not list((settings.artifacts / TASK).glob("5-*"))
    gates = warehouse.rows("SELECT DISTINCT gate FROM candidates FINAL WHERE name = 'untuned' AND split = 'test'")
    assert [row["gate"] for row in gates] == ["failed"]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"attempt": "two"}, "job.attempt"),
        ({"colour": 1}, "job.colour: there is no such field"),
        ({"version": "router@3"}, "job 1 makes router@1"),
        ({"task": "expert"}, "the plan has no task 'expert'"),
        ({"settings": {"HEADRACE_KAFKA": "nowhere"}}, "is not an address"),
        ({"live": {"version": "router@0", "artifact": "/nowhere/router/1-a1"}}, "there is no artifact at"),
    ],
)
def test_a_malformed_job_is_one_sentence(
    world: dict[str, Any], settings: Settings, start: Callable[[Path], Trainer], change: dict[str, Any], says: str
) -> None:
    """A job that cannot be done exits with 12 and says in one sentence what is wrong, so nobody tries again."""
    task = plan(world["labels"], curation={"min_test_rows": 200})
    path = job_file(settings, settings.home / f"bad-{uuid4().hex[:8]}", task, START, world["now"])
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    code, _, stderr = start(path).finish()
    assert code == 12, stderr
    (sentence,) = [line for line in stderr.splitlines() if line and "Warning" not in line]
    assert says in sentence


def test_a_missing_job_file_is_one_sentence(tmp_path: Path, start: Callable[[Path], Trainer]) -> None:
    """A path that leads nowhere exits with 12 too."""
    code, _, stderr = start(tmp_path / "job.json").finish()
    assert code == 12 and "there is no job file at" in stderr


def test_a_warehouse_that_is_down_is_a_crash(
    world: dict[str, Any], settings: Settings, start: Callable[[Path], Trainer]
) -> None:
    """Nobody's mistake and worth another attempt: none of the contract's exit codes, and no result."""
    down = settings.replaced(clickhouse="http://127.0.0.1:9")
    trainer = start(job_file(down, settings.home / "down", plan(world["labels"]), START, world["now"]))
    assert trainer.finish()[0] not in (0, 10, 11, 12)
    assert not (trainer.job.parent / "result.json").exists()
