"""Chains in a plan: what is refused, training by hand, and a chain that waits for test rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from test_budget import Heard
from test_chain import ASKED, LABELS

from headrace.contract.job_file import CANDIDATES, DATASET, ByHand, JobFile
from headrace.errors import PlanError
from headrace.models.chain import CHAIN
from headrace.models.families import load
from headrace.plan import parse
from trainer.curate.dataset import DataSet
from trainer.curate.rows import Curated
from trainer.process import by_hand, lifecycle
from trainer.process.held import held, hold
from trainer.progress import Progress
from trainer.tune.candidates import Tuned

PLAN = """
version = 2
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:1/v1"
model = "big"
[tasks.router.candidates.words]
base = "words"
method = "tfidf"
[tasks.router.candidates.full]
method = "full"
[tasks.router.candidates.both]
base = "chain"
method = "chain"
tiers = ["words", "full"]
"""


@pytest.mark.parametrize(
    ("was", "becomes", "says"),
    [
        ('["words", "full"]', '["words", "gone"]', "candidates.both.tiers.*the task has no candidate 'gone'"),
        ('["words", "full"]', '["words", "both"]', "'both' is tuned by 'chain' itself"),
        ('["words", "full"]', '["words"]', "candidates.both.tiers"),
        ('["words", "full"]', '["incumbent", "full"]', "can only be the last one"),
        ('["words", "full"]', '["words", "words"]', "tiers are different candidates"),
        ('base = "chain"', "", "'chain' needs a base that takes a chain, which minilm-l6 does not"),
    ],
)
def test_a_plan_with_tiers_that_cannot_be_is_refused(was: str, becomes: str, says: str) -> None:
    """Before anything is tuned, with the place."""
    parse(PLAN)
    parse(PLAN.replace('["words", "full"]', '["words", "full", "incumbent"]'))
    with pytest.raises(PlanError, match=says):
        parse(PLAN.replace(was, becomes))


def test_a_chain_is_tuned_by_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the stages of the trainer: after its tiers, evaluated as they are, published whole where it is chosen."""
    data = tmp_path / "rows.jsonl"
    data.write_text("\n".join(json.dumps({"text": text, "label": label}) for text, label in ASKED), "utf-8")
    cheap = PLAN.partition("[tasks.router.candidates.full]")[0].replace('["hr", "it"]', json.dumps(LABELS))
    more = """
        [tasks.router.candidates.dear]
        base = "words"
        method = "tfidf"
        inverse_regularisation = 300
        usd_per_hour = 50
        [tasks.router.candidates.both]
        base = "chain"
        method = "chain"
        tiers = ["words", "dear"]
        floor = 0.5
    """
    asked = ByHand(data=data, plan=parse(cheap + more), task="router", out=tmp_path / "out", seed=1)
    monkeypatch.setattr(lifecycle, "be_bounded", lambda gib: None)  # it would bound these tests
    by_hand.train(asked, Progress(Heard()))  # type: ignore[arg-type]
    figures = json.loads((tmp_path / "out" / "figures.json").read_text("utf-8"))
    shown = {one["name"]: one for one in figures["candidates"]}
    assert shown["both"]["failure"] == "" and shown["both"]["validation"]["accuracy"] >= 0.5
    assert shown["both"]["parameters"] > shown["dear"]["parameters"] and list(shown)[-1] == "both"
    load(figures["artifact"], figures["digest"])


def test_a_chain_that_waits_keeps_its_tiers(tmp_path: Path) -> None:
    """Its next look has them too, unless the plan tunes one of them otherwise now."""
    task = parse(PLAN)
    first, second, third = (
        JobFile.model_construct(work=tmp_path / name, plan=task, task="router", seed=1, resume_from=tmp_path / "first")
        for name in ("first", "second", "third")
    )
    for name in ("both", "both+words", "both+full", "words", "full"):
        folder = first.work / CANDIDATES / name
        folder.mkdir(parents=True)
        (folder / CHAIN).write_text("{}")
    DataSet.of(Curated((), {}, {})).write(first.work / DATASET)
    spec = task.task("router").candidates["both"]
    hold(first, Tuned("both", spec, 0.05, first.work / CANDIDATES / "both", kind="chain"), "d", 10)
    assert {path.name for path in (first.work / CANDIDATES).iterdir()} == {"both", "both+words", "both+full"}
    found = held(second, {"both": 0.05})
    assert found is not None and found.tuned.kind == "chain"
    assert {path.name for path in (second.work / CANDIDATES).iterdir()} == {"both", "both+words", "both+full"}
    other = PLAN.replace('method = "full"', 'method = "full"\nbatch = 8')
    assert held(third.model_copy(update={"plan": parse(other)}), {"both": 0.05}) is None
