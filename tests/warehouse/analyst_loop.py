"""What the loop of the analysts' story decided and did: triggers, jobs, candidates, promotions, looks."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from headrace.contract import ids
from headrace.statistics.intervals import wilson

if TYPE_CHECKING:
    from analyst_story import AnalystStory

DAYS, CHANGE, PROMOTION = 60, 35, 40


class Loop:
    """Writes the records of the loop; `story` knows the times, and what was said."""

    def __init__(self, story: AnalystStory) -> None:
        self.story = story

    def tell(self) -> None:
        """Write all of it."""
        self._retraining()
        self._promotions()
        self._looks()

    def _retraining(self) -> None:
        labels = [
            said for said in self.story.feedback if said.source == "audit" and said.occurred_at < self.story.day(38)
        ]
        splits = ("train", "train", "validation", "test", "test")
        for place, said in enumerate(labels):
            self.story.lineage.append(
                {
                    "dataset": self.story.dataset,
                    "split": splits[place % 5],
                    "tenant": said.tenant,
                    "inference_id": str(said.inference_id),
                    "feedback_id": str(said.feedback_id),
                    "source": "audit",
                    "label": said.label,
                    "text_digest": f"{place:064x}",
                    "weight": 1.0,
                }
            )
        counts = {split: sum(row["split"] == split for row in self.story.lineage) for split in {*splits, "forget"}}
        job = {"job_id": str(self.story.job_id), "attempt": 1, "task": "router"}
        self.story.rows("dataset_rows", self.story.lineage)
        self.story.rows(
            "datasets",
            [
                job
                | counts
                | {
                    "dataset": self.story.dataset,
                    "at": self.story.day(38.1).isoformat(),
                    "exclusions": {"no consent": 12, "conflicting labels": 3},
                    "funnel": {"answers": 900} | counts,
                }
            ],
        )
        trigger = {
            "trigger_id": str(self.story.trigger_id),
            "task": "router",
            "kind": "drift",
            "reason": "accuracy fell",
            "decided_at": self.story.day(38).isoformat(),
            "detector": "shiryaev_roberts",
            "statistic": 20411.0,
            "threshold": 10000.0,
            "generation": 1,
            "version": "router@0",
            "labels": 600,
            "labels_since_change": 24,
            "test_from": self.story.day(CHANGE).isoformat(),
            "evidence": "{}",
        }
        nothing = trigger | {
            "trigger_id": str(ids.derived(self.story.day(20), "trigger")),
            "generation": 1,
            "decided_at": self.story.day(20).isoformat(),
            "test_from": self.story.day(17).isoformat(),
        }
        self.story.rows("triggers", [trigger, nothing])
        states = (("claimed", 38, ""), ("running", 38.01, ""), ("won", 38.5, "lora is cheaper and not worse"))
        self.story.rows(
            "jobs",
            [
                job
                | {
                    "trigger_id": str(self.story.trigger_id),
                    "number": 1,
                    "state": state,
                    "reason": why,
                    "at": self.story.day(at).isoformat(),
                    "heartbeat_at": self.story.day(at).isoformat(),
                    "owner": "retrain-0",
                    "version": "router@1",
                    "trigger": json.dumps(trigger),
                    "result": "{}",
                }
                for state, at, why in states
            ],
        )
        lost = job | {
            "job_id": str(ids.derived(self.story.day(20), "job")),
            "trigger_id": nothing["trigger_id"],
            "number": 2,
            "state": "no_winner",
            "at": self.story.day(20.5).isoformat(),
            "heartbeat_at": self.story.day(20.5).isoformat(),
            "owner": "retrain-0",
            "version": "router@2",
            "reason": "no candidate passed the gate",
            "trigger": json.dumps(nothing),
            "result": "{}",
        }
        self.story.rows("jobs", [lost])
        self._candidates(job, lost)

    def _candidates(self, job: dict[str, Any], lost: dict[str, Any]) -> None:
        shown = (
            (job, "router@0", "live", "test", 810, "reference", "the live version on the same rows", 900, 2.0),
            (job, "probe", "probe", "validation", 890, "not_selected", "slower to the same accuracy", 12, 0.01),
            (job, "lora", "lora", "validation", 940, "not_selected", "goes on to the test split", 14, 0.02),
            (job, "lora", "lora", "test", 938, "passed", "better and cheaper", 14, 0.02),
            (lost, "full", "full", "test", 930, "failed", "not proven non-inferior", 14, 0.02),
        )
        self.story.rows(
            "candidates",
            [
                {
                    "job_id": about["job_id"],
                    "attempt": 1,
                    "task": "router",
                    "name": name,
                    "method": method,
                    "split": split,
                    "at": about.get("at", self.story.day(38.4).isoformat()),
                    "base": "minilm-l6",
                    "n": 1000,
                    "correct": correct,
                    "accuracy": correct / 1000,
                    "low": wilson(correct, 1000)[0],
                    "high": wilson(correct, 1000)[1],
                    "gate": gate,
                    "reason": reason,
                    "p50_ms": p95 / 2,
                    "p95_ms": p95,
                    "cost_per_1k": cost,
                    "seconds": 30,
                    "detail": "{}",
                    "version": "router@1" if gate == "passed" else "",
                    "dataset": "c" * 64 if about is lost else self.story.dataset,
                }
                for about, name, method, split, correct, gate, reason, p95, cost in shown
            ],
        )

    def _promotions(self) -> None:
        old, new = (
            json.dumps({"version": "router@0"}),
            json.dumps({"version": "router@1", "job_id": str(self.story.job_id)}),
        )
        steps = (
            (1, "steady", old, "", 0, "", "", 0, 0, "the plan's incumbent"),
            (2, "shadow", old, "", 0, new, "", 0, PROMOTION - 2, "asked by retrain"),
            (3, "canary", old, new, 0.25, "", "", 0, PROMOTION - 1, "200 answers compared in shadow"),
            (4, "steady", new, "", 0, "", old, PROMOTION, PROMOTION, "500 answers of the canary"),
        )
        self.story.rows(
            "promotions",
            [
                {
                    "task": "router",
                    "generation": number,
                    "step": step,
                    "live": live,
                    "canary": canary,
                    "canary_share": share,
                    "shadow": shadow,
                    "previous": previous,
                    "since": self.story.day(since).isoformat(),
                    "at": self.story.day(at).isoformat(),
                    "reason": reason,
                }
                for number, step, live, canary, share, shadow, previous, since, at, reason in steps
            ],
        )
        asked = str(ids.derived(self.story.day(38.5), "r"))
        self.story.rows(
            "rollouts",
            [
                {
                    "request_id": asked,
                    "task": "router",
                    "kind": "promote",
                    "at": self.story.day(38.5).isoformat(),
                    "by": "retrain",
                    "candidate": new,
                    "generation": 1,
                }
            ],
        )
        self.story.rows(
            "actions",
            [
                {
                    "action_id": str(ids.derived(self.story.day(at), "a", number)),
                    "at": self.story.day(at).isoformat(),
                    "by": "rollout",
                    "via": "part",
                    "kind": "promotion",
                    "task": "router",
                    "subject": "router@1",
                    "detail": json.dumps({"generation": number, "reason": reason, "request_id": asked} | moved),
                }
                for number, at, reason, moved in (
                    (3, PROMOTION - 1, "200 answers compared in shadow", {}),
                    (4, PROMOTION, "500 answers of the canary", {"from": "router@0", "to": "router@1"}),
                )
            ],
        )
        self.story.rows(
            "replicas",
            [
                {
                    "replica": "gateway-0",
                    "task": "router",
                    "at": self.story.end.isoformat(),
                    "generation": 4,
                    "live": "router@1",
                    "ready": ["router@1", "router@0"],
                    "requests": 480,
                    "failed": 1,
                }
            ],
        )

    def _looks(self) -> None:
        """What the monitor wrote once a day."""
        evaluations, accuracy = [], []
        for number in range(2, DAYS):
            good = 21 if CHANGE < number < PROMOTION else 23
            low, high = wilson(good, 24)
            accuracy.append(
                {
                    "task": "router",
                    "version": "*",
                    "watermark": self.story.day(number).isoformat(),
                    "n": 24,
                    "window_from": self.story.day(number - 1).isoformat(),
                    "correct": good,
                    "value": good / 24,
                    "low": low,
                    "high": high,
                    "known_at": self.story.day(number).isoformat(),
                }
            )
            for detector, statistic, threshold in (
                ("shiryaev_roberts", 3.0, 1e4),
                ("label_psi", 0.02, 0.2),
                ("policy", 0, 0),
            ):
                fired = number == 38 and detector != "label_psi"
                evaluations.append(
                    {
                        "task": "router",
                        "version": "router@0",
                        "generation": 1 if number < PROMOTION else 4,
                        "detector": detector,
                        "watermark": self.story.day(number).isoformat(),
                        "window_from": self.story.day(number - 1).isoformat(),
                        "window_to": self.story.day(number).isoformat(),
                        "n": 24,
                        "statistic": 20411.0 if fired else statistic,
                        "threshold": threshold,
                        "fired": fired,
                        "decision": "drift" if fired else "",
                        "reason": "accuracy fell" if fired else "nothing changed",
                        "inputs": "{}",
                    }
                )
        self.story.rows("accuracy", accuracy)
        self.story.rows("evaluations", evaluations)
