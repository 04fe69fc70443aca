"""The plan's budget: what is finished when it is spent is judged, and what is not says why."""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from test_tuning import LABELS, TEXTS, TRUTH
from trainer_history import START, job_file, plan
from trainer_process import Trainer

from headrace.models.bases import base_of
from headrace.models.family import LabelSet
from headrace.models.neighbours import NEIGHBOURS
from headrace.plan import CandidateSpec
from headrace.process.memory import GIB
from headrace.settings import Settings
from headrace.warehouse import Warehouse
from trainer.progress import Progress
from trainer.tune.budget import FIXED_S, Judging, Spending, Trial, out_of_memory
from trainer.tune.candidates import Tuned, Tuner
from trainer.tune.halving import Rung, better_half, rungs
from trainer.tune.kept import Kept
from trainer.tune.method import Batch
from trainer.tune.notes import Notes, Pace
from trainer.tune.race import Race, with_baselines

BASES = {name: base_of(name) for name in ("minilm-l6", "smollm2-135m-q4", "words")}
JUDGING = Judging(validation=100, test=300)


class Heard:
    """A stream of progress."""

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []

    def write(self, text: str) -> int:
        """One JSON object, or the end of its line."""
        if text.strip():
            self.lines.append(json.loads(text))
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""


def test_time_to_judge_is_kept_back() -> None:
    """The more rows, candidates and models beside them, and the slower they are, the earlier tuning ends."""
    slow, fast = Trial(0.9, 1.0, 0.1), Trial(0.9, 0.1, 0.001)
    assert JUDGING.seconds([]) == FIXED_S
    assert JUDGING.seconds([fast]) < JUDGING.seconds([fast, fast]) < JUDGING.seconds([slow])
    assert Judging(100, 300, others=1).seconds([slow]) > JUDGING.seconds([slow]) + 300 * slow.row_s
    spending = Spending(1000.0, "10 minutes", JUDGING, 8.0)
    before = spending.tune_until(22_000_000)
    assert Trial.guessed(8_000_000_000, gpu=True).row_s < Trial.guessed(8_000_000_000).row_s
    assert spending.tune_until(135_000_000) < before < 1000
    spending.tried("probe", slow, 22_000_000)
    after = spending.tune_until(135_000_000)
    assert after < before
    spending.tried("lora", fast, 135_000_000)
    # What a base of this size takes is known now, and not guessed.
    assert after < spending.tune_until(135_000_000) < 1000


def test_a_failed_allocation_is_known_wherever_it_fails() -> None:
    """torch says it in a RuntimeError, of both kinds of memory; another RuntimeError is none."""
    assert out_of_memory(MemoryError())
    assert out_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    assert out_of_memory(RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"))
    assert not out_of_memory(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))


def test_each_rung_halves_and_one_reaches_the_end() -> None:
    """For any number of candidates, the last rung leaves one; of equal ones the earlier goes on."""
    assert rungs(1) == []
    assert rungs(2) == [Rung(0.5, 1)]
    assert rungs(3) == [Rung(0.25, 2), Rung(0.5, 1)]
    assert [rungs(n)[-1].keep for n in range(2, 40)] == [1] * 38
    assert better_half({"a": 0.8, "b": 0.9, "c": 0.9, "d": 0.95}, 2) == ["b", "d"]


def test_baselines_run_without_being_planned() -> None:
    """A probe stands beside each base that takes a head, once, under a name that the plan has not taken."""
    lora = CandidateSpec.model_validate({"method": "lora", "usd_per_hour": 2.0})
    causal = CandidateSpec.model_validate({"method": "lora", "base": "smollm2-135m-q4"})
    found, names = with_baselines({"a": lora, "probe-baseline": lora, "c": causal}, BASES)
    probes = [name for name in names if found[name].method == "probe"]
    assert probes == ["probe-baseline-"] and found[probes[0]].usd_per_hour == 2.0
    assert [(name, found[name].base) for name in names if name not in probes] == [("tfidf-baseline", "words")]
    assert list(found)[-3:] == ["a", "probe-baseline", "c"]
    planned = CandidateSpec.model_validate({"method": "probe"})
    assert not [name for name in with_baselines({"p": planned}, BASES)[1] if "probe" in name]


def race(folder: Path, heard: Heard, ends_in_s: float = 600.0, store: Path | None = None, **candidates: Any) -> Race:
    """A race of candidates on three labels. Its trials see .9 of `good` and .8 of all others, and take no time."""
    specs = {name: CandidateSpec.model_validate(fields) for name, fields in candidates.items()}
    progress = Progress(heard)  # type: ignore[arg-type]
    found, baselines = with_baselines(specs, BASES)
    tuner = Tuner(
        labels=LabelSet(LABELS, {label: label for label in LABELS}, {}),
        texts=TEXTS,
        truth=TRUTH,
        weights=[1.0] * len(TRUTH),
        dataset="d",
        bases=BASES,
        prices=dict.fromkeys(found, 0.05),
        kept=Kept(folder, [store] if store else [], store, progress),
        seed=3,
        threads=2,
        spending=Spending(time.monotonic() + ends_in_s, "10 minutes", JUDGING, 100.0),
        progress=progress,
    )
    return Race(tuner, found, baselines, lambda tuned: Trial(0.9 if tuned.name == "good" else 0.8, 0.0, 0.0), True)


def test_the_worse_half_goes_and_a_resumed_race_repeats_nothing(tmp_path: Path) -> None:
    """Two of one base train half of their epochs; the better one goes on, to the bytes of one that never stopped."""
    one, other = {"method": "lora", "epochs": 4, "batch": 8, "rank": 4}, {"method": "full", "epochs": 4, "batch": 8}
    heard, store = Heard(), tmp_path / "store"
    tuned = {one.name: one for one in race(tmp_path / "1", heard, store=store, good=one, bad=other).run()}
    assert tuned["bad"].folder is None
    assert tuned["bad"].failure == "given up after 50% of its epochs: 0.800 on the validation rows, good had 0.900"
    assert sorted(tuned["bad"].curve) == [1, 2] and sorted(tuned["good"].curve) == [1, 2, 3, 4]
    assert tuned["good"].folder is not None and tuned["probe-baseline"].baseline and not tuned["good"].baseline
    alone = {one.name: one for one in race(tmp_path / "alone", Heard(), good=one).run()}["good"]
    assert _files(tuned["good"]) == _files(alone)
    # Another machine: an empty folder, and what is in the store. Neither the rung nor an epoch is done again.
    again = Heard()
    resumed = {one.name: one for one in race(tmp_path / "2", again, store=store, good=one, bad=other).run()}
    assert _files(resumed["good"]) == _files(alone) and resumed["bad"].failure == tuned["bad"].failure
    assert resumed["good"].curve == tuned["good"].curve
    assert not [line for line in again.lines if "loss" in line["metrics"]]


def test_a_race_that_the_budget_ends_is_judged_as_it_was_at_the_rung(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The better half is a whole model at its rung, whatever happens on the way to the end."""
    tune = Tuner.tune

    def ends(self: Tuner, name: str, spec: CandidateSpec, share: float = 1.0, always: bool = False) -> Tuned:
        """The time is up when a candidate is to be trained to the end."""
        if share == 1.0 and not always:
            self.spending.ends_at = 0.0
        return tune(self, name, spec, share, always)

    monkeypatch.setattr(Tuner, "tune", ends)
    one, other = {"method": "lora", "epochs": 2, "batch": 8, "rank": 4}, {"method": "full", "epochs": 2, "batch": 8}
    tuned = {one.name: one for one in race(tmp_path, Heard(), good=one, bad=other).run()}
    assert tuned["good"].folder is not None and sorted(tuned["good"].curve) == [1] and not tuned["good"].failure
    assert tuned["bad"].folder is None


def test_a_race_that_the_budget_ends_at_a_later_rung_is_judged_as_it_was_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of three candidates the better two reach the second rung, where the time is up: both are whole models."""
    tune = Tuner.tune

    def ends(self: Tuner, name: str, spec: CandidateSpec, share: float = 1.0, always: bool = False) -> Tuned:
        """The time is up at the second rung."""
        if share == 0.5:
            self.spending.ends_at = 0.0
        return tune(self, name, spec, share, always)

    monkeypatch.setattr(Tuner, "tune", ends)
    keys = {"method": "lora", "epochs": 4, "batch": 24}
    specs = {name: keys | {"rank": rank} for rank, name in enumerate(("good", "fair", "bad"), 1)}
    tuned = {one.name: one for one in race(tmp_path, Heard(), **specs).run()}
    assert [tuned[name].folder is not None for name in specs] == [True, True, False]
    assert sorted(tuned["good"].curve) == [1] and not tuned["good"].failure
    assert tuned["bad"].failure.startswith("given up after 25% of its epochs")


def test_a_candidate_that_diverges_costs_no_other(tmp_path: Path) -> None:
    """It is reported with the reason, and what is sound is tuned."""
    wild = {"method": "lora", "epochs": 2, "batch": 24, "rank": 1, "learning_rate": 1e30}
    sound = wild | {"learning_rate": 1e-3}
    tuned = {one.name: one for one in race(tmp_path, Heard(), wild=wild, good=sound).run()}
    assert tuned["wild"].folder is None and tuned["wild"].failure.startswith("diverged in epoch 1 of 2")
    assert tuned["probe-baseline"].folder is not None and tuned["good"].folder is not None


def test_nothing_of_another_candidate_of_the_same_name_is_left(tmp_path: Path) -> None:
    """By hand a folder is worked in again: weights and neighbours that a changed plan's candidate has not got go."""
    full = {"method": "full", "epochs": 1, "batch": 24}
    race(tmp_path, Heard(), main=full).run()
    probe = {"method": "probe", "neighbours": 0}
    (found,) = (one for one in race(tmp_path, Heard(), main=probe).run() if one.name == "main")
    assert not {"encoder.safetensors", NEIGHBOURS} & set(_files(found))


def test_what_came_before_the_first_batch_is_no_part_of_the_pace(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The base is loaded and thousands of rows embedded first: the time left is that of the batches alone."""
    clock = itertools.count(1000.0, 2.0)
    pace = Pace(Notes(tmp_path / "notes.json", "key"))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    batch = Batch(0, 16, 0.5, 1e-3)
    pace.heard(41, batch)
    assert set(pace.metrics(41, 100, batch)) == {"loss", "learning_rate"}
    pace.heard(42, batch)
    found = pace.metrics(42, 100, batch)
    assert (found["rows_per_s"], found["eta_s"]) == (8.0, 116.0)


def _files(tuned: Tuned) -> dict[str, bytes]:
    assert tuned.folder is not None
    return {file.name: file.read_bytes() for file in tuned.folder.iterdir()}


def test_a_candidate_that_would_pass_the_memory_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and the next one is tuned."""
    found = race(tmp_path, Heard(), fat={"method": "lora", "epochs": 1}, thin={"method": "untuned"})
    spending = found.tuner.spending
    spending.memory_gib = 1.0
    monkeypatch.setattr(Spending.check_memory, "__defaults__", (lambda group: 3 * GIB,))
    tuned = {one.name: one for one in found.run()}
    assert tuned["fat"].failure == "would hold more memory than the plan's 1 GiB (3.0 GiB)"
    assert tuned["thin"].folder is not None


def test_without_time_only_the_baselines_run(tmp_path: Path) -> None:
    """The rest is not begun, and is reported as not run."""
    tuned = {one.name: one for one in race(tmp_path, Heard(), 1.0, late={"method": "lora", "epochs": 1}).run()}
    assert tuned["late"].failure == "not run: the plan's 10 minutes left no time to judge it"
    assert tuned["probe-baseline"].folder is not None


def test_what_is_finished_when_the_budget_is_spent_is_judged(
    world: dict[str, Any], settings: Settings, warehouse: Warehouse, start: Callable[[Path], Trainer]
) -> None:
    """A job whose LoRA would take an hour ends within its minute with a verdict on the probe."""
    endless = {"method": "lora", "epochs": 100, "batch": 1}
    task = plan(
        world["labels"],
        candidates={"probe": {"method": "probe"}, "endless": endless},
        curation={"min_test_rows": 200, "min_train_rows": 50},
    )
    task = task.model_copy(update={"budget": task.budget.model_copy(update={"minutes": 0.5})})
    trainer = start(
        job_file(settings, settings.home / "spent", task, START, world["now"], number=9, version="router@9")
    )
    code, _, stderr = trainer.finish()
    assert code in (0, 10, 13), stderr
    assert trainer.result()["verdict"] is not None or trainer.result()["served"] is not None
    rows = warehouse.rows("SELECT name, split, reason FROM candidates FINAL WHERE dataset = {d:String}",
                          d=trainer.result()["dataset"])  # fmt: skip
    found = {(row["name"], row["split"]): row["reason"] for row in rows}
    assert "0.5 minutes" in found["endless", "validation"]
    assert ("probe", "test") in found and ("endless", "test") not in found
