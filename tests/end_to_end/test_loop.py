"""The whole loop on real parts, reduced, with its workers killed on the way."""

from __future__ import annotations

import json
from pathlib import Path
from uuid import UUID

import pytest
from loop_faults import Faults
from reduced_plan import reduced_plan
from rich.console import Console

from headrace.embedded.clickhouse import ClickHouseServer
from headrace.models.families import load
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from simulation.demo.acts import Pace
from simulation.demo.run import Options, run

pytestmark = [pytest.mark.end_to_end, pytest.mark.timeout(2400)]


@pytest.fixture(scope="module")
def turned(tmp_path_factory):
    """A run of both acts with a streams worker, the retrain consumer and a trainer killed in the first."""
    home = tmp_path_factory.mktemp("loop") / "demo"
    faults = Faults(home)
    # Nine in ten answers are audited: at the usual pace thousands of rows would wait for the first trainer. Beside a
    # trainer each question costs an insert or two, and the act does not wait for them.
    pace = Pace(incumbent=80, busy=30, training=3, fresh_questions=300, patience_s=900)
    options = Options(seed=11, home=home, plan=reduced_plan(), pace=pace, started=faults.begin)
    report = run(options, Console())
    faults.end()
    return report, faults, home


@pytest.fixture(scope="module")
def rows(turned):
    """Queries on what the run left in the warehouse."""
    _, _, home = turned
    with ClickHouseServer(home) as server:
        yield Warehouse.connect(Settings(home=home, clickhouse=server.url)).rows


def test_the_wheel_turns_twice_by_itself(turned, rows):
    """A cheaper model takes over, the world changes, the hard trigger fires, and a newer model takes over."""
    report, _, _ = turned
    assert report["conditions"]["ended"] == "both acts were played"
    first, second = report["acts"]
    assert (first["trigger"]["kind"], second["trigger"]["kind"]) == ("cheaper", "drift")
    assert first["winner"] and second["winner"]
    # The first one: where its job finds no winner yet, a later one that does has more labels.
    fired = rows("SELECT labels_since_change AS n FROM triggers FINAL WHERE kind = 'drift' ORDER BY decided_at LIMIT 1")
    assert 0 < fired[0]["n"] < 400
    # The machine is always on: it pays at ten million requests a day, and not at a thousand.
    cost = report["cost"]
    assert cost["saved"]["10000000"] > 0.95 and cost["saved"]["1000"] < 0
    assert 1_000 < cost["break_even_per_day"] < 100_000


def test_accuracy_falls_and_recovers(turned):
    """Against the simulation's truth on fresh questions: a fall of ten points or more, then most of it back."""
    accuracy = turned[0]["accuracy"]
    assert accuracy["trough"]["value"] < accuracy["after_act_one"]["value"] - 0.10
    assert accuracy["recovered"]["value"] > accuracy["trough"]["value"] + 0.05


def test_nothing_is_lost_and_no_request_fails(turned):
    """Through three kills and two promotions: 0 failed, 0 missing, 0 duplicated."""
    report, _, _ = turned
    assert report["requests"]["total"] > 3000
    assert report["requests"]["failed"] == 0
    events = report["events"]
    assert events["missing"] == events["duplicated"] == 0
    assert events["emitted"] == sum(events[name] for name in ("stored", "parked", "dead_lettered", "expired", "erased"))


def test_two_trainers_never_run_at_once(turned, rows):
    """The killed consumer's trainer dies with it, each attempt is another process, and never are there two."""
    report, faults, _ = turned
    assert faults.killed == ["streams", "retrain", "trainer"]
    assert faults.most_trainers == 1
    assert faults.orphan_s < 2
    # The first job's, which may find no winner yet.
    (job,) = rows(f"SELECT max(attempt) AS attempts FROM jobs WHERE job_id = '{report['acts'][0]['turns'][0]['job']}'")
    assert job["attempts"] >= 3


def test_the_evaluation_is_of_the_artifact_that_serves(turned, rows):
    """Scoring the published artifact on the data set's test rows again gives the accuracy that the gate saw."""
    report, _, _ = turned
    for act in report["acts"]:
        winner = next(c for c in act["candidates"] if c["name"] == act["winner"])
        test = rows(
            "SELECT i.input AS input, d.label AS label FROM dataset_rows AS d FINAL "
            "INNER JOIN inferences AS i FINAL ON i.inference_id = d.inference_id AND i.tenant = d.tenant "
            "WHERE d.dataset = {dataset:String} AND d.split = 'test'",
            dataset=act["dataset"],
        )
        assert len(test) == winner["n"] >= 240
        scorer = load(_served(rows, act["generation"])["artifact"])
        answers = scorer.score([row["input"] for row in test]).argmax(axis=1)
        right = sum(scorer.labels[answer] == row["label"] for answer, row in zip(answers, test, strict=True))
        assert abs(right / len(test) - winner["accuracy"]) < 0.005


def test_answers_come_from_the_promoted_artifact(turned, rows):
    """What the gateway answered under a version's name is what that version's artifact answers."""
    report, _, _ = turned
    for act in report["acts"]:
        served = _served(rows, act["generation"])
        answered = rows(
            "SELECT input, label FROM inferences FINAL WHERE version = {version:String} AND arm = 'live' LIMIT 200",
            version=served["version"],
        )
        assert len(answered) == 200
        scorer = load(Path(served["artifact"]), served["digest"])
        labels = [scorer.labels[best] for best in scorer.score([row["input"] for row in answered]).argmax(axis=1)]
        assert sum(label == row["label"] for label, row in zip(labels, answered, strict=True)) >= 198


def test_a_promotion_can_be_traced_to_the_feedback_behind_it(turned, rows):
    """Feedback, data set, job, trigger, candidate and promotion hang together in one query."""
    report, _, _ = turned
    for act in report["acts"]:
        traced = rows(
            "SELECT count() AS n, uniqExact(f.source) AS sources FROM promotions AS p FINAL "
            "INNER JOIN jobs AS j FINAL ON toString(j.job_id) = JSONExtractString(p.live, 'job_id') "
            "INNER JOIN datasets AS s FINAL ON s.job_id = j.job_id AND s.attempt = j.attempt "
            "INNER JOIN dataset_rows AS d FINAL ON d.dataset = s.dataset "
            "INNER JOIN feedback AS f FINAL ON f.feedback_id = d.feedback_id "
            "WHERE p.generation = {generation:UInt64} AND j.state = 'won' AND j.trigger_id = {trigger:UUID}",
            generation=act["generation"],
            trigger=UUID(act["trigger"]["id"]),
        )[0]
        assert traced["n"] == act["funnel"]["train"] + act["funnel"]["validation"] + act["funnel"]["test"] + act[
            "funnel"
        ].get("forget", 0)
        assert traced["sources"] >= 2


def test_the_report_quotes_its_sql(turned, rows):
    """Running a quoted query again gives the reported figures."""
    report, _, _ = turned
    quoted = report["sql"]["requests"]["sql"]
    assert rows(quoted)[0] == report["requests"]
    assert json.loads((turned[2] / "report.json").read_text())["requests"] == report["requests"]
    assert (turned[2] / "timeline.png").stat().st_size > 10_000


def _served(rows, generation: int) -> dict:
    found = rows("SELECT live FROM promotions FINAL WHERE generation = {generation:UInt64}", generation=generation)
    return json.loads(found[0]["live"])
