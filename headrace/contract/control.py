"""What the parts tell each other: triggers, jobs, rollout requests, promotions, acknowledgements, counters.

Each is one JSON object on a control topic (topics.py) and one row of a table of the same name. Times are UTC.

Programs of different versions read and write the same topics, and a deployment may be rolled back. So within a major
version (`schema_version`) fields are only added: a reader keeps those that it does not know and writes them on. A
record of a newer major version is not read at all (headrace.contract.compacted).
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import AfterValidator, ConfigDict, Field

from headrace.contract.events import Moment, Name, Optional200, Record, Share, Text
from headrace.contract.excerpt import Excerpt, digest_of
from headrace.contract.given_ids import Id7

CONTROL_VERSION = 1


def _known(version: int) -> int:
    if version > CONTROL_VERSION:
        raise ValueError(f"a newer headrace wrote it; this one reads version {CONTROL_VERSION}")
    return version


class ControlRecord(Record):
    """Common ground of what travels on control topics: fields that are not known are kept and written on.

    schema_version: the major version; left out of the JSON while it is 1, so that programs without it go on reading
    """

    without_column: ClassVar[frozenset[str]] = frozenset()
    """Fields that the warehouse keeps in the row's `extra`."""

    model_config = ConfigDict(extra="allow")

    schema_version: Annotated[int, Field(ge=1, exclude_if=lambda version: version == 1), AfterValidator(_known)] = 1


class TriggerKind(StrEnum):
    DRIFT = "drift"  # the world changed: a detector on labels fired
    CHEAPER = "cheaper"  # a candidate of the plan promises the same for less, and there are labels to prove it
    CADENCE = "cadence"
    MANUAL = "manual"
    EXPERTS = "experts"  # the list of labels changed
    CANCEL = "cancel"  # no reason to retrain: a person ends the task's open job


class Trigger(ControlRecord):
    """Retrain this task, and why.

    trigger_id: derived from what was decided, so the same decision made twice is one trigger
    decided_at: the event time (watermark) at which the evidence was complete
    detector: which detector or rule; statistic and threshold are its numbers
    generation, version: of the promotion that was live
    labels: base-audit labels the decision rests on; labels_since_change: those after the estimated change
    test_from: test rows come from this event time on (the estimated change, or the window's start)
    """

    trigger_id: Id7
    task: Name
    kind: TriggerKind
    decided_at: Moment
    reason: Text
    detector: Optional200 = ""
    statistic: float = 0.0
    threshold: float = 0.0
    generation: int = 0
    version: Optional200 = ""
    labels: int = 0
    labels_since_change: int = 0
    test_from: Moment
    evidence: dict[str, Any] = Field(default_factory=dict)


class JobState(StrEnum):
    CLAIMED = "claimed"
    RUNNING = "running"
    WAITING = "waiting"  # not enough labels yet; `needs` says how many more until the next attempt
    WON = "won"  # a candidate passed the gate; a rollout request was sent
    NO_WINNER = "no_winner"  # an ordinary outcome, with its reason
    FAILED = "failed"
    SKIPPED = "skipped"  # another job for the task was under way, or the trigger was out of date


FINAL_STATES = frozenset({JobState.WON, JobState.NO_WINNER, JobState.FAILED, JobState.SKIPPED})


class Job(ControlRecord):
    """The whole present state of a retraining job; the jobs topic is compacted by job_id.

    number: counts the task's jobs from 1; the model it publishes is named task@number
    attempt: counts the runs of the trainer; only the current attempt's artifact may be promoted
    owner: the transactional id that wrote this; a later owner fences an earlier one
    heartbeat_at: the owner's last sign of life, wall clock
    """

    job_id: Id7
    trigger_id: UUID
    task: Name
    number: Annotated[int, Field(ge=1)]
    attempt: Annotated[int, Field(ge=0)] = 0
    state: JobState
    at: Moment
    heartbeat_at: Moment
    owner: Optional200 = ""
    version: Optional200 = ""
    needs: int = 0
    reason: Text = ""
    trigger: Trigger
    result: dict[str, Any] = Field(default_factory=dict)


class Progress(ControlRecord):
    """One line of a running trainer.

    stage: curate, embed, probe, lora, evaluate, gate, publish; done of total in the stage's own unit
    """

    job_id: UUID
    attempt: int
    task: Name
    sequence: int
    at: Moment
    stage: Name
    done: float = 0.0
    total: float = 0.0
    message: Text = ""
    metrics: dict[str, float] = Field(default_factory=dict)


class Served(Record):
    """A model version, which never changes: what it is, and where to get it.

    artifact: path or URI of a published bundle; empty for an upstream of the plan
    digest: sha256 of the bundle's manifest, which says all of this and more; it decides where they differ
    base, base_digest, family, method: which model it is made of, and how (headrace.models.bundle.Manifest)
    engine: of the plan's [engines], which serves it; empty: in the gateway's own process
    adapter: what an engine calls it beside its base; empty where it has weights of its own, or none
    template: sha256 of what the model is told, of a family that is told something
    label_set: sha256 of its labels in their order (Manifest.label_set)
    retrieval: which snapshot its answers are drawn from; empty for none
    usd_per_1k: US dollars for a thousand requests, as measured at its evaluation
    errors, labelled: of its evaluation on blind test rows: the baseline of the next hard trigger
    reference: the version that it was proven to be within the margin of, where it was promoted as cheaper; None where
        it was promoted as better, or is the plan's incumbent: then it is its own. It comes back with a roll back.

    Part of other records, whose schema_version is its own; it keeps unknown fields as they do.
    """

    model_config = ConfigDict(extra="allow")

    version: Name
    artifact: Text = ""
    digest: Optional200 = ""
    base: Optional200 = ""
    base_digest: Optional200 = ""
    family: Optional200 = ""
    method: Optional200 = ""
    engine: Optional200 = ""
    adapter: Optional200 = ""
    template: Optional200 = ""
    label_set: Optional200 = ""
    retrieval: Optional200 = ""
    usd_per_1k: float = 0.0
    job_id: UUID | None = None
    attempt: int = 0
    errors: int = 0
    labelled: int = 0
    reference: Served | None = None

    @property
    def own_reference(self) -> Served:
        """The version that a cheaper successor must be within the margin of too: margins do not add up."""
        return self.reference or self


class RequestKind(StrEnum):
    PROMOTE = "promote"  # start the rollout of a candidate; `by_hand`: whatever it was compared with
    ROLL_BACK = "roll_back"  # back to the previous version, now
    ABORT = "abort"  # a gateway took a failing canary out of traffic and reports it
    APPROVE = "approve"  # a rollout that waits for a person goes on
    PIN = "pin"  # `tenant` stays on the candidate's version; without a candidate no longer
    DIVERT = "divert"  # the incumbent answers `share` of the sessions, while the live version is broken


class RolloutRequest(ControlRecord):
    """Asks consumers/rollout, the only writer of promotions, for a change."""

    without_column: ClassVar[frozenset[str]] = frozenset({"by_hand", "tenant", "share"})

    request_id: Id7
    task: Name
    kind: RequestKind
    at: Moment
    by: Name
    candidate: Served | None = None
    generation: int = 0
    reason: Text = ""
    by_hand: bool = False
    tenant: Optional200 = ""
    share: Share = 0.0


class Step(StrEnum):
    """Where a rollout stands."""

    STEADY = "steady"  # one live version takes everything
    SHADOW = "shadow"  # the candidate answers beside the live version, for nobody
    CANARY = "canary"  # the candidate answers `canary_share` of the sessions
    # A finished canary becomes live: STEADY at the next generation.


class Waits(StrEnum):
    """What a step forward waits for, the evidence being sufficient."""

    NOTHING = ""
    APPROVAL = "approval"  # a person's
    APPROVED = "approved"  # for the next look: where the evidence still suffices, it goes on
    FREEZE = "freeze"  # the end of a freeze window of the plan


class Promotion(ControlRecord):
    """The whole desired state of a task; the promotions topic is compacted by task.

    generation: grows with each change of this record, and never otherwise
    live, canary, shadow, previous: who answers, who answers a share, who is compared, who to go back to
    since: when the present live version became live; at: when this was written, or before that the step began
    pins: by tenant, who answers it whatever else is said here
    incumbent_share: of the sessions, whom the incumbent answers; 0: a person ended that for this live version
    diverted_by_hand: a person said so, and no proof ends it
    waits_for: what keeps it from its next step; waits_at: `at` of that step. An owner that does not know them carries
        them on into other steps, where they mean nothing: read `waits`.
    """

    without_column: ClassVar[frozenset[str]] = frozenset(
        {"pins", "incumbent_share", "diverted_by_hand", "waits_for", "waits_at"}
    )

    task: Name
    generation: Annotated[int, Field(ge=1)]
    step: Step
    live: Served
    canary: Served | None = None
    canary_share: Share = 0.0
    shadow: Served | None = None
    previous: Served | None = None
    since: Moment
    at: Moment
    reason: Text = ""
    request_id: UUID | None = None
    pins: dict[str, Served] = Field(default_factory=dict)
    incumbent_share: Share | None = None
    diverted_by_hand: bool = False
    waits_for: Waits = Waits.NOTHING
    waits_at: Moment | None = None

    @property
    def waits(self) -> Waits:
        """What keeps it from its next step now."""
        # The warehouse, out of which a promotion may be restored, has `at` in milliseconds.
        of_this_step = self.waits_at is not None and abs(self.waits_at - self.at) < timedelta(milliseconds=1)
        return self.waits_for if of_this_step else Waits.NOTHING

    @property
    def candidate(self) -> Served | None:
        """Who is being rolled out."""
        return self.canary or self.shadow

    @property
    def versions(self) -> dict[str, Served]:
        """All that a gateway has loaded for it besides the plan's incumbent, by version."""
        there = (self.live, self.canary, self.shadow, self.previous, *self.pins.values())
        return {served.version: served for served in there if served}


class Replica(ControlRecord):
    """A gateway's acknowledgement of a generation, and its heartbeat.

    ready: versions loaded, checked for parity and able to answer; error: why one is not
    requests, failed: of the task since the start: all of them, and those that got no answer
    candidate: the version that is tried there, or the live one where there is one to go back to; else empty.
        The rest is about it alone:
    candidate_error: why it cannot be loaded; candidate_requests: asked of it since it was loaded;
        candidate_failed: of these, those that it did not answer, though another version did
    """

    without_column: ClassVar[frozenset[str]] = frozenset(
        {"candidate", "candidate_error", "candidate_requests", "candidate_failed"}
    )

    replica: Name
    task: Name
    at: Moment
    generation: int = 0
    live: Optional200 = ""
    ready: list[str] = Field(default_factory=list)
    error: Text = ""
    requests: int = 0
    failed: int = 0
    candidate: Optional200 = ""
    candidate_error: Text = ""
    candidate_requests: int = 0
    candidate_failed: int = 0


class Counter(ControlRecord):
    """What an emitter has sent so far: cumulative, so the last record of an emitter is its whole count.

    kind: inferences or feedback; dropped: refused by the emitter's own bounded buffer, and counted there
    """

    emitter: Name
    kind: Name
    sequence: int
    at: Moment
    emitted: int = 0
    acknowledged: int = 0
    dropped: int = 0


class DeadLetter(ControlRecord):
    """A record, or an event of one, that cannot become a row.

    original: its bytes, base64, or `excerpt` where they are too many; digest: of these, tells one place's letters apart
    record_index: its place in a record, -1 for all; code: ClickHouse's where it refused the row, 0 where decoding did
    """

    topic: Name
    partition: int
    offset: int
    record_index: int = -1
    at: Moment
    reason: Text
    code: int = 0
    original: str = ""
    excerpt: Excerpt | None = None
    digest: int = Field(default_factory=lambda known: digest_of(known["original"], known["excerpt"]))
    event_id: UUID | None = None
