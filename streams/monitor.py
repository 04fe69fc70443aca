"""One look at a task: rolling figures, detectors, decision. Every look is in the warehouse, fired or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from headrace.access.actions import action
from headrace.contract import ids
from headrace.contract.actions import Action, ActionKind, Via
from headrace.contract.control import Promotion, Trigger, TriggerKind
from headrace.contract.findings import Evaluation
from headrace.plan import Plan, Task, Triggers
from headrace.warehouse import Warehouse, clickhouse_time, query_text
from streams import situation, window_counts
from streams.clocks import Clocks
from streams.detectors import Detector, Reading, View, detectors
from streams.draws import Draws, draw_key
from streams.embedder import Embedder
from streams.labels import Labels
from streams.policy import Decision, Situation, decide
from streams.profiles import Profiles
from streams.spans import start_of

POLICY = "policy"
TURNS = 12
"""Windows of all tasks close at the same time; they are read one task after the other, within a twelfth of a window."""
DRAWN_FROM = 3
"""Closed windows that audits are drawn from: those that the label-free detectors look at."""


@dataclass(slots=True)
class Memory:
    """What a look remembers of the last one; all of it can be lost without harm."""

    evaluated: tuple[object, ...] = ()
    sent: Trigger | None = None


@dataclass(slots=True)
class Monitor:
    """Looks at tasks; one at a time, in one process. Blocking.

    embedder: computes embeddings of closed windows in a process beside this one; None: nobody does
    audit_secret: what audits are drawn by, see streams.rules
    clocks: is told which emitters' clocks are ahead
    """

    warehouse: Warehouse
    plan: Plan
    embedder: Embedder | None = None
    audit_secret: bytes = b""
    clocks: Clocks = field(default_factory=Clocks)
    _profiles: Profiles = field(default_factory=Profiles)
    _labels: Labels = field(init=False)
    _memory: dict[str, Memory] = field(init=False)
    _control: situation.Control = field(init=False)
    _detectors: dict[str, tuple[Detector, ...]] = field(init=False)
    _counts: dict[str, window_counts.WindowCounts] = field(init=False)
    _draws: dict[str, Draws] = field(init=False)
    _turns: dict[str, timedelta] = field(init=False)

    def __post_init__(self) -> None:
        """Raises PlanError where the plan names a detector that is not there."""
        alike = dict.fromkeys(task.triggers.detectors for task in self.plan.tasks.values())
        made = {names: detectors(names) for names in alike}
        self._detectors = {name: made[task.triggers.detectors] for name, task in self.plan.tasks.items()}
        self._labels = Labels(self.warehouse)
        self._control = situation.Control(self.warehouse, self.plan.tasks)
        self._memory = {name: Memory() for name in self.plan.tasks}
        self._counts = window_counts.alike(self.warehouse, self.plan.tasks, self.clocks, self.plan.privacy)
        self._draws = {
            name: Draws(self.warehouse, name, task, self.audit_secret) for name, task in self.plan.tasks.items()
        }
        share = 1 / len(self.plan.tasks) / TURNS
        self._turns = {
            name: timedelta(seconds=place * share * task.windows.size_s)
            for place, (name, task) in enumerate(self.plan.tasks.items())
        }

    def look(self, name: str) -> Trigger | None:
        """Count the windows, run the detectors, decide. Returns the trigger to publish, if any.

        The same decision made again, by a successor too, is a trigger with the same id.
        Raises WarehouseError; the next look starts over.
        """
        counts = self._counts[name]
        watermark = counts.watermark(name)
        if watermark is None:
            return None
        self._draws[name].draw(watermark)
        self._control.see(counts.control)
        watermarks, copies = counts.news()
        self._labels.see(watermarks, copies, self._control.series())
        view = self._view(name, watermarks)
        return None if view is None else self._evaluate(view)

    def sent(self, trigger: Trigger) -> None:
        """The trigger is published: hold until the warehouse shows it."""
        self._memory[trigger.task].sent = trigger

    def _view(self, name: str, watermarks: Mapping[str, datetime]) -> View | None:
        """What a look at a task may look at; None before its first promotion."""
        promotion = self._control.promotion(name)
        if promotion is None:
            return None

        def others() -> list[View]:
            found = (self._view(other, watermarks) for other in self._alike(name) if other in watermarks)
            return [view for view in found if view is not None]

        return View(
            self._labels,
            name,
            self.plan.task(name),
            promotion,
            watermarks[name],
            self._profiles,
            self.embedder,
            self._turns[name],
            others,
        )

    def _alike(self, name: str) -> list[str]:
        """Other tasks whose windows are counted with this one's, and that have the same detectors."""
        return [
            other
            for other in self._counts[name].tasks
            if other != name and self._detectors[other] is self._detectors[name]
        ]

    def _evaluate(self, view: View) -> Trigger | None:
        name, task, promotion, watermark = view.task, view.plan, view.promotion, view.watermark
        memory, loop = self._memory[name], self._control.loop(name)
        labels = situation.labels(view.queries, name, promotion, promotion.since, watermark)
        readings = tuple(detector.read(view) for detector in self._detectors[name])
        seen = Situation(
            watermark=watermark,
            generation=promotion.generation,
            step=promotion.step,
            since=promotion.since,
            upstream=not promotion.live.artifact,
            labels=labels,
            readings=readings,
            last_trigger_at=loop.last_trigger_at,
            busy=loop.busy or _on_its_way(memory.sent, promotion, loop),
            waiting=loop.waiting,
            new_labels=_labels(view, situation.since_trigger(loop, promotion)),
            experts=frozenset(task.labels),
            names=task.names,
            trained_for=loop.trained_for,
            asked_for=loop.asked_for,
            drew_at=loop.drew_at,
            attempt=loop.attempt,
            attempt_labels=_labels(view, situation.since_change(loop)) or 0,
            new_candidate=loop.attempt is not None and loop.attempt.verdict.has_new_candidate(task),
        )
        decision = decide(_triggers(task), seen)
        # A look that sees what the last one saw is no evaluation of its own.
        said = tuple((reading.n, reading.statistic, reading.fired, reading.reason) for reading in readings)
        evaluated = (promotion.generation, seen.labels, said, decision.word, decision.reason)
        if evaluated != memory.evaluated:
            looked_at = self._counts[name].now
            rows = [_reading_row(name, promotion, watermark, looked_at, reading, decision) for reading in readings]
            rows.append(_decision_row(name, promotion, looked_at, seen, decision))
            self.warehouse.insert("evaluations", [row.to_json() for row in rows])
            memory.evaluated = evaluated
        if decision.draws:
            self._draw(name, task, promotion, watermark, decision)
        if decision.kind is None:
            return None
        return trigger(name, task, promotion, seen, decision, earlier=len(loop.triggers))

    def _draw(self, name: str, task: Task, promotion: Promotion, watermark: datetime, decision: Decision) -> None:
        """Draw audits from the newest closed windows. Whoever looks while they are the newest draws the same rows."""
        size = timedelta(seconds=task.windows.size_s)
        closed_at = start_of(watermark, size)
        self.warehouse.command(
            query_text("monitor/draw_audits"),
            **draw_key(self.audit_secret, "uniform", name, promotion.live.version),
            task=name,
            version=promotion.live.version,
            window_from=clickhouse_time(max(promotion.since, closed_at - DRAWN_FROM * size)),
            window_to=clickhouse_time(closed_at),
            wanted=decision.draws,
            reason=decision.reason,
        )


def trigger(name: str, task: Task, promotion: Promotion, seen: Situation, decision: Decision, earlier: int) -> Trigger:
    """The trigger of a decision.

    earlier: triggers made since the live version became live. The id rests on that count and on the promotion, not on
    the watermark, so that a decision repeated after a crash is the same trigger.
    """
    assert decision.kind is not None
    reading, plan = decision.reading, task.triggers
    detector = reading.detector if reading else f"{POLICY}.{decision.kind}"
    statistic, threshold = 0.0, 0.0
    labels_since_change, test_from = seen.labels, promotion.since
    if reading:
        statistic, threshold = reading.statistic, reading.threshold
        labels_since_change, test_from = reading.labels_since_change, reading.test_from or promotion.since
    elif decision.kind is TriggerKind.CHEAPER:
        statistic, threshold = float(seen.labels), float(plan.cheaper_after_labels)
    return Trigger(
        trigger_id=ids.derived(
            promotion.since, "trigger", name, decision.kind, promotion.generation, detector, earlier
        ),
        task=name,
        kind=decision.kind,
        decided_at=seen.watermark,
        reason=decision.reason,
        detector=detector,
        statistic=statistic,
        threshold=threshold,
        generation=promotion.generation,
        version=promotion.live.version,
        labels=seen.labels,
        labels_since_change=labels_since_change,
        test_from=test_from,
        # What the job is to be trained for: the next change of the plan's labels is a change from these.
        evidence=(dict(reading.inputs) if reading else {}) | {"task_labels": sorted(task.labels)},
    )


def _triggers(task: Task) -> Triggers:
    """The task's. Of texts nothing is drawn: there is no label that an expert could give."""
    return task.triggers if task.kind == "classify" else task.triggers.model_copy(update={"draw_audits": 0})


def _labels(view: View, since: Sequence[datetime]) -> int | None:
    """Labels since that moment; None where there is none."""
    return situation.labels(view.queries, view.task, view.promotion, since[0], view.watermark) if since else None


def _on_its_way(sent: Trigger | None, promotion: Promotion, loop: situation.Loop) -> str:
    if sent is None or sent.decided_at < promotion.since or sent.trigger_id in loop.triggers:
        return ""
    return f"trigger {sent.trigger_id} is on its way"


def _reading_row(
    name: str, promotion: Promotion, watermark: datetime, looked_at: datetime, reading: Reading, decision: Decision
) -> Evaluation:
    return Evaluation(
        task=name,
        version=promotion.live.version,
        generation=promotion.generation,
        detector=reading.detector,
        watermark=watermark,
        looked_at=looked_at,
        window_from=reading.window_from,
        window_to=reading.window_to,
        n=reading.n,
        statistic=reading.statistic,
        threshold=reading.threshold,
        fired=reading.fired,
        decision=str(decision.kind) if decision.kind and decision.reading is reading else "",
        reason=reading.reason,
        inputs=dict(reading.inputs),
    )


def _decision_row(
    name: str, promotion: Promotion, looked_at: datetime, seen: Situation, decision: Decision
) -> Evaluation:
    return Evaluation(
        task=name,
        version=promotion.live.version,
        generation=promotion.generation,
        detector=POLICY,
        watermark=seen.watermark,
        looked_at=looked_at,
        window_from=promotion.since,
        window_to=max(promotion.since, seen.watermark),
        n=seen.labels,
        fired=bool(decision.word),
        decision=decision.word,
        reason=decision.reason,
        inputs={
            "step": promotion.step,
            "upstream": seen.upstream,
            "busy": seen.busy,
            "waiting": seen.waiting and {"job": seen.waiting.job, "needs": seen.waiting.needs},
            "new_labels": seen.new_labels,
            "last_trigger_at": seen.last_trigger_at and seen.last_trigger_at.isoformat(),
            "drew_at": seen.drew_at and seen.drew_at.isoformat(),
            "attempt": seen.attempt
            and {"job": seen.attempt.job, "labels": seen.attempt_labels}
            | seen.attempt.verdict.model_dump(mode="json", exclude={"candidates"}),
            "alarms": [reading.detector for reading in seen.readings if reading.fired],
        },
    )


def recorded(trigger: Trigger) -> Action:
    """The trigger in the log of who did what: a decision published again is the same row."""
    done = action(ActionKind.TRIGGER, "monitor", Via.PART, str(trigger.trigger_id), trigger.task, reason=trigger.reason)
    return done.model_copy(update={"action_id": ids.derived(trigger.decided_at, "action", trigger.trigger_id)})
