"""Whether one tenant's rows may train what others use is said in the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from curation_rules import LABELS, adds_up
from trainer_history import START, TASK, History, job_file, plan

from headrace.contract import job_file as jobs
from headrace.errors import PlanError
from headrace.plan import Plan
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.curate import sources
from trainer.curate.dataset import DataSet
from trainer.process.rows import answered, curated, rules_of
from trainer.progress import on_stdout


def audited(history: History, count: int, tenant: str) -> None:
    """Questions of a tenant that an expert labelled blind."""
    for number in range(count):
        text, label = f"question {number} of {tenant} {number * 7919}", LABELS[number % 3]
        answer = history.ask(text, label, tenant=tenant, audited=True, audit_probability=0.05)
        history.say(answer, "audit", "label", tenant=tenant, label=label, inclusion_probability=0.05)


def data_set(warehouse: Warehouse, job: jobs.JobFile) -> DataSet:
    """As an attempt at the job curates it."""
    answers = answered(job, warehouse, jobs.settings_of(job), on_stdout())
    return curated(job, answers, warehouse, on_stdout())


@pytest.fixture
def two(empty: Warehouse) -> History:
    """A company of two tenants: 60 audited questions of one, 30 of the other, whose users liked 20 answers."""
    history = History()
    audited(history, 60, "acme")
    audited(history, 30, "other")
    for number in range(20):
        answer = history.ask(f"liked {number} {number * 31}", "it", tenant="other")
        history.say(answer, "user", "thumb", value=1, tenant="other")
    history.store(empty)
    return history


def job(settings: Settings, folder: Path, history: History, version: int = 2, tenant: str = "", **privacy: Any) -> Any:
    """A job of a plan that says this of tenants."""
    whole = plan(LABELS).model_dump(mode="json", exclude_defaults=True) | {"version": version, "privacy": privacy}
    whole["tasks"][TASK] |= {"tenant": tenant} if tenant else {}
    path = job_file(settings, folder, Plan.model_validate_json(json.dumps(whole)), START, history.now)
    return jobs.read(path)


def test_one_tenants_rows_alone_train(
    two: History, empty: Warehouse, database: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    """With pool_tenants = false a data set holds the task's tenant's rows, and says how many answers were left out."""
    apart = job(database, database.home / "apart", two, tenant="acme", pool_tenants=False)
    found = data_set(empty, apart).curated
    assert {row.tenant for row in found.rows} == {"acme"} and len(found.rows) == 60 and adds_up(found)
    assert found.exclusions == {"other_tenant": 50}
    assert (found.funnel["answers"], found.funnel["feedback"]) == (110, 0)
    assert "left out: 50 other_tenant" in capfd.readouterr().out
    (stored,) = empty.rows("SELECT exclusions FROM datasets FINAL")
    assert stored["exclusions"] == {"other_tenant": 50}
    assert sources.labels(empty, TASK, "acme", START) == 60
    pooled = job(database, database.home / "pooled", two, pool_tenants=True)
    earlier = data_set(empty, pooled)
    assert {row.tenant for row in earlier.curated.rows} == {"acme", "other"} and sources.labels(
        empty, TASK, "", START
    ) == 90
    assert not earlier.still_allowed(empty, rules_of(apart)) and earlier.still_allowed(empty, rules_of(pooled))


def test_several_tenants_train_nothing_until_the_plan_says_so(
    two: History, empty: Warehouse, database: Settings
) -> None:
    """A plan that does not say it is refused with the tenants' names; one of version 1 pools, as it always did."""
    unsaid = job(database, database.home / "unsaid", two)
    with pytest.raises(PlanError, match=r"answers of 2 tenants \(acme, other\); say in the plan"):
        data_set(empty, unsaid)
    old = job(database, database.home / "old", two, version=1)
    assert {row.tenant for row in data_set(empty, old).curated.rows} == {"acme", "other"}


def test_a_company_of_one_tenant_need_not_say_it(empty: Warehouse, database: Settings) -> None:
    """Whatever its name is, where it is the only one its rows train."""
    history = History()
    audited(history, 60, "acme")
    history.store(empty)
    assert len(data_set(empty, job(database, database.home / "one", history)).curated.rows) == 60
