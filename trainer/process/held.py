"""A tuned candidate that waits for more test rows, and its next look: the same weights, only the test rows are new.

An attempt whose candidate is undecided leaves in its folder the candidate, the rows that it learned from and HELD,
which says what it is. The next attempt of the job takes them over, so that nothing is trained again and no alpha is
spent (trainer.gate: the same candidate may be looked at as often as labels come).

A new candidate is tuned where this one does not pass, and the rows that would train now number at least RETUNE_AT times
those that trained it, of the time since the trigger's change: then it has learned enough more to be worth its own share
of alpha, and a wait spends a number of shares that grows with the logarithm of its labels. Where the plan's candidate,
its labels or the rows are not those of the held one any more (an erasure, a consent that was taken back), a new one
replaces it without a look.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from headrace.contract.job_file import CANDIDATES, DATASET, HELD, JobFile, write_json
from headrace.models.bases import Base, digest_of, resolve
from headrace.plan import CandidateSpec
from headrace.warehouse import Warehouse
from trainer.curate import near
from trainer.curate.dataset import DataSet
from trainer.curate.likeness import Likeness
from trainer.curate.rows import SPLITS, Curated, Rules
from trainer.curate.teacher import TEACHER
from trainer.tune.candidates import Tuned
from trainer.tune.method import PART

LEARNED = ("train", "validation")
RETUNE_AT = 2
RETUNE_ROWS = 20
"""Growth by fewer training rows than this is no reason to tune again."""


@dataclass(frozen=True, slots=True)
class Held:
    """The candidate, and the rows that it learned from.

    dataset: rows of LEARNED alone; tuned_on: the digest of the data set that they were part of
    learned: training rows of the time since the trigger's change, then
    """

    tuned: Tuned
    dataset: DataSet
    tuned_on: str
    learned: int

    def still_allowed(self, warehouse: Warehouse, rules: Rules) -> bool:
        """Whether each of its rows may still be used; a candidate that learned from others never serves."""
        return self.dataset.still_allowed(warehouse, rules)

    def grown(self, fresh: DataSet, since: datetime) -> bool:
        """Whether a new candidate would learn from enough more rows to be worth its own share of alpha."""
        return worth_its_share(learned(fresh, since), self.learned)

    def with_test_of(self, fresh: DataSet, characters: int) -> DataSet:
        """Its own training and validation rows, and the test and older rows of now, but for what it has seen: texts,
        near duplicates of them, and sessions.

        characters: how much of a text the task's models read (Rules)
        Of labels that came since, those that would train are counted as [after_candidate].
        """
        own = self.dataset.curated.rows
        held_out = [row for row in fresh.curated.rows if row.split in ("test", "forget")]
        seen, sessions = {row.text_digest for row in own}, {row.cluster for row in own}
        likeness = Likeness.of_texts([row.text for row in (*own, *held_out)], characters)
        places = [likeness.places([row.text_digest for row in rows]) for rows in (held_out, own)]
        alike = near.leaked(likeness.sketches, places[0], places[1])
        kept = [
            row
            for row, nearly in zip(held_out, alike.tolist(), strict=True)
            if not nearly and row.text_digest not in seen and row.cluster not in sessions
        ]
        rows = sorted([*own, *kept], key=lambda row: (row.inference_id.int, row.tenant))
        funnel = fresh.curated.funnel | {name: sum(row.split == name for row in rows) for name in SPLITS}
        funnel["ground_truth"] = len(rows)
        out = dict(fresh.curated.exclusions)
        out["leakage"] = out.get("leakage", 0) + len(held_out) - len(kept)
        out["after_candidate"] = max(0, funnel["answers"] - len(rows) - sum(out.values()))
        counted = {reason: count for reason, count in sorted(out.items()) if count}
        return DataSet.of(Curated(tuple(rows), counted, funnel))


def worth_its_share(rows: int, learned: int) -> bool:
    """Whether a candidate that learns from so many rows is worth its own share of alpha after one that `learned`."""
    return rows >= RETUNE_AT * learned and rows - learned >= RETUNE_ROWS


def learned(dataset: DataSet, since: datetime) -> int:
    """Training rows of answers since then, the incumbent's own labels left out."""
    return sum(row.occurred_at >= since and row.source != TEACHER for row in dataset.split("train"))


def hold(job: JobFile, tuned: Tuned, tuned_on: str, rows: int) -> None:
    """Leave the candidate for the next attempt, and none beside it. The attempt's data set is written already."""
    assert tuned.folder is not None, "a candidate that met test rows was tuned"
    for folder in (job.work / CANDIDATES).iterdir():
        if folder != tuned.folder and not folder.name.startswith(tuned.name + PART):
            shutil.rmtree(folder)
    base = job.plan.base(tuned.spec.base)
    said = {
        "name": tuned.name,
        "kind": tuned.kind,
        "parameters": tuned.parameters,
        "trained": tuned.trained,
        "seconds": tuned.seconds,
        "tuned_on": tuned_on,
        "learned": rows,
        **_made_for(job, tuned.spec, base),
    }
    write_json(job.work / HELD, said)


def held(job: JobFile, usd_per_hour: dict[str, float]) -> Held | None:
    """The candidate that waits for this attempt, copied into its folder; None where there is none to go on with."""
    if job.resume_from is None:
        return None
    try:
        said: dict[str, Any] = json.loads((job.resume_from / HELD).read_text("utf-8"))
        name = said["name"]
        spec = job.of_task.candidates.get(name)
        dataset = DataSet.read(job.resume_from / DATASET)
        if spec is None or dataset is None:
            return None
        dataset = DataSet.of(Curated(tuple(row for row in dataset.curated.rows if row.split in LEARNED), {}, {}))
        now = _made_for(job, spec, job.plan.base(spec.base))
        if any(said[key] != value for key, value in json.loads(json.dumps(now)).items()):
            return None
        folder = job.work / CANDIDATES / name
        left = job.resume_from / CANDIDATES
        for source in (left / name, *left.glob(f"{name}{PART}*")):
            shutil.copytree(source, folder.with_name(source.name), dirs_exist_ok=True)
        found = Tuned(
            name, spec, usd_per_hour[name], folder, said["kind"], said["parameters"], said["trained"], said["seconds"]
        )
        # Written before the look, so that an attempt that crashes in it hides nothing.
        dataset.write(job.work / DATASET)
        write_json(job.work / HELD, said)
        return Held(found, dataset, said["tuned_on"], said["learned"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _made_for(job: JobFile, spec: CandidateSpec, base: Base) -> dict[str, Any]:
    """What must still be the same for a candidate to be the same."""
    task = job.of_task
    return {
        "spec": _said(spec),
        "tiers": [_said(task.candidates[name]) for name in spec.options.get("tiers", ()) if name in task.candidates],
        "base": digest_of(resolve(base)),
        "labels": list(task.labels),
        "described": dict(task.describe),
        "seed": job.seed,
    }


def _said(spec: CandidateSpec) -> dict[str, Any]:
    return spec.model_dump(mode="json", exclude=set(spec.options)) | {"keys": spec.options}
