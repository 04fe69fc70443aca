"""The tables of the plan and their keys, each with what it means, its default and its bounds."""

from __future__ import annotations

from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from headrace import cron
from headrace.errors import PlanError
from headrace.models.bases import EMBEDDED, Base
from headrace.plan.engines import EngineSpec
from headrace.plan.models import BaseSpec, CandidateSpec
from headrace.plan.section import NotNegative, OpenShare, Positive, Section, Share, Word

PLAN_VERSION = 2
Mode = Literal["observe", "propose", "auto"]


class Upstream(Section):
    """An OpenAI-compatible endpoint: the incumbent, a judge."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Up to and with /v1."""
    model: str
    """The model name to ask for."""
    key_env: str = ""
    """The environment variable that holds the API key; empty for none."""
    timeout_s: Positive = 60.0
    usd_per_million_in: NotNegative = 0.0
    usd_per_million_out: NotNegative = 0.0
    parameters: Annotated[int, Field(ge=0)] = 0
    """How many the model has, for the report."""


class Incumbent(Upstream):
    """The big model that serves until a tuned one takes over."""

    version: str = "incumbent"
    """The name it has in events, as `router@0`."""


class Judge(Upstream):
    """The model that says which step failed behind a negative signal."""

    version: str = "judge@1"
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8


class Audit(Section):
    """The base audit: a uniform sample of answers, labelled blind; the only evidence of the hard trigger."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.05
    """Share of live answers drawn, by a hash of the inference id."""
    reviews_per_day: NotNegative = 0.0
    """Answers more a day of event time that experts can label, drawn where they sharpen the accuracy most; 0: none."""


class Windows(Section):
    """Event-time windows of the rolling figures."""

    size_s: Positive = 3600.0
    lateness_s: NotNegative = 60.0
    """The watermark stands this far behind the newest event."""
    rolling: Annotated[int, Field(ge=1, le=10_000)] = 24
    """How many windows the rolling accuracy spans."""
    refresh_s: Positive = 1.0
    """How often the monitor looks, wall clock."""
    time_zone: str = "UTC"
    """Whose hours of the week detectors compare, as `Europe/Berlin`: users keep their hours over summer time."""

    @field_validator("time_zone")
    @classmethod
    def _zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone of this machine; write it as Europe/Berlin or UTC") from None
        return name


class Triggers(Section):
    """When to retrain."""

    detectors: tuple[Word, ...] = (
        "shiryaev_roberts",
        "label_proportions",
        "label_psi",
        "confidence_shift",
        "confidence_ks",
        "estimated_accuracy",
        "out_of_vocabulary",
        "embedding_centroid",
    )
    """Files of streams/detectors to run, by name."""

    false_alarms_per_year: Positive = 1.0
    """Retrainings for nothing that the task may cost in a year: the hard trigger's threshold follows from it and from
    how many base-audit labels a year the task gets (streams/thresholds.py)."""
    hard_threshold: Positive | None = None
    """Shiryaev-Roberts statistic at which the label trigger fires, in place of false_alarms_per_year."""
    reference_labels: Annotated[int, Field(ge=30)] = 1000
    """Base-audit labels from which a baseline is estimated where no evaluation gives one."""
    false_alarm: OpenShare | None = None
    """Nominal false-alarm probability of one window of one soft detector (two of three must alarm); without it, such
    that audits are drawn for nothing no oftener than false_alarms_per_year."""
    min_labels: Annotated[int, Field(ge=1)] = 50
    """No drift trigger on fewer base-audit labels since the promotion, or since the last trigger."""
    draw_audits: Annotated[int, Field(ge=0, le=100_000)] = 100
    """Answers to draw for audit, uniformly, where two families of label-free detectors alarm; 0: never."""
    cool_down_s: NotNegative = 86_400.0
    """No second trigger of a task within this event time after the last one or a promotion; nor a second draw."""
    cheaper_after_labels: Annotated[int, Field(ge=0)] = 1500
    """Base-audit labels at which a cheaper candidate is worth a try while an upstream serves; 0: never."""
    cadence_s: NotNegative = 0.0
    """Retrain this long after the last promotion or trigger whatever the detectors say; 0: never."""
    cadence_cron: str = ""
    """Retrain at these times of event time, UTC, as `0 3 * * mon` (headrace/cron.py); empty: never."""

    @field_validator("cadence_cron")
    @classmethod
    def _comes(cls, text: str) -> str:
        if text:
            cron.parse(text)
        return text

    @model_validator(mode="after")
    def _one_cadence(self) -> Self:
        if self.cadence_s and self.cadence_cron:
            raise ValueError("cadence_s and cadence_cron are two cadences; set one of them")
        return self


class Curation(Section):
    """From feedback to a data set."""

    test_share: OpenShare = 0.75
    """Share of the blind audit labels that is test, by a hash of the question; the rest may train."""
    validation_share: OpenShare = 0.4
    """Share of the remaining ground truth on which candidates are compared: the case study's 60/40."""
    max_validation_rows: Annotated[int, Field(ge=30)] = 2000
    """Of more, the share is smaller and the rest trains."""
    max_train_rows: Annotated[int, Field(ge=50)] = 20_000
    """Of more rows half are the present's, settled labels first, and half a draw of the rest, to unlearn nothing."""
    min_train_rows: Annotated[int, Field(ge=10)] = 100
    min_test_rows: Annotated[int, Field(ge=30)] = 1000
    forget_rows: Annotated[int, Field(ge=0)] = 500
    """Older test rows that a new model must not have forgotten."""
    thumbs: bool = True
    """A satisfied user's answer may train (it never tests)."""
    max_share_per_user: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Of the rows that train, and of those that choose a candidate: what one user may have volunteered (thumbs,
    corrections). Labels by experts, outcomes and audits are not bounded."""
    max_share_per_key: Annotated[float, Field(gt=0, le=1)] = 0.8
    """The same for what one API key brought; all that came without a key counts as one key's."""


class Gate(Section):
    """What must hold before a candidate serves."""

    margin: OpenShare = 0.03
    """Non-inferiority margin, a share of all requests."""
    alpha: OpenShare = 0.01
    """One-sided error probability, spent over attempts."""
    cheaper_by: OpenShare = 0.2
    """A non-inferior candidate must save this share of cost or of p95 latency."""
    reference_accuracy: Share = 0.0
    """The plan's fixed reference that margins must not add up against; 0: none."""
    per_label_drop: OpenShare = 0.10
    """Veto: one label's recall more than this below the live version's, beyond chance."""
    forgetting_drop: OpenShare = 0.05
    """Veto: accuracy on older test rows more than this below the live version's, beyond chance."""
    max_ece: OpenShare = 0.15
    """Veto: expected calibration error above this."""


class Rollout(Section):
    """Shadow, then canary by steps, then live."""

    shadow_requests: Annotated[int, Field(ge=0)] = 200
    canary_shares: tuple[OpenShare, ...] = (0.05, 0.25)
    canary_requests: Annotated[int, Field(ge=1)] = 500
    """Requests the candidate answers in each step before the next."""
    max_error_share: Share = 0.01
    """Failed requests of the candidate above this share roll back."""
    max_p95_ms: Positive = 2000.0
    max_accuracy_drop: OpenShare = 0.10
    """Base-audit accuracy of the canary this far below the live version's, beyond chance, rolls back."""
    step_timeout_s: Positive = 86_400.0
    """A step without enough traffic is abandoned and rolled back after this wall time."""


class Budget(Section):
    """Bounds of one trainer."""

    minutes: Positive = 60.0
    memory_gib: Positive = 8.0
    threads: Annotated[int, Field(ge=0, le=1024)] = 0
    """CPU threads of the trainer; 0: torch decides."""
    attempts: Annotated[int, Field(ge=1, le=20)] = 3
    """Runs of the trainer for one job before it fails."""


class Privacy(Section):
    """What may be stored and trained on."""

    require_consent: bool = True
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 730
    """Older answers do not train, and leave the warehouse with their feedback, by whole months; counts stay."""
    parked_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    """Feedback whose inference has not come expires when its id is this much older than the newest inference."""


AlertKind = Literal[
    "trigger", "promotion", "rollback", "no_winner", "failed", "detector", "missing", "stopped", "dropped", "unreadable"
]


class Alerts(Section):
    """Who is told what happens. Without this table nobody is, and nothing is called."""

    webhook: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Where each alert is posted as JSON; `text` in it is a plain sentence, as Slack and its like take it."""
    secret_env: str = ""
    """The environment variable with the secret that signs each body in X-Headrace-Signature; empty for none."""
    kinds: Annotated[tuple[AlertKind, ...], Field(min_length=1)] = get_args(AlertKind)
    """What is told: all there is where the key is left out."""
    look_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    """How often the warehouse is asked for what is to be told, wall clock."""
    timeout_s: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = 10.0
    """How long the receiver may take to answer."""


class Task(Section):
    """One decision that a model makes, as a router's."""

    mode: Mode | None = None
    """observe: nothing is trained; propose: a person starts what is recommended (`headrace trigger`); auto: no hands on
    it. Left out: observe, and auto in a plan of version 1."""
    labels: Annotated[tuple[Word, ...], Field(min_length=2, max_length=1000)]
    describe: dict[Word, str] = Field(default_factory=dict)
    """What a label stands for, in a few words: the untuned base reads it, and the judge."""
    out_of_scope: Word | Literal[""] = "out_of_scope"
    """The label that means that no expert is meant, for the out-of-scope rate; empty for none."""
    engine: Word | Literal[""] = ""
    """One of [engines], on which its tuned models answer; empty: in the gateway's own process."""
    incumbent: Incumbent
    judge: Judge | None = None
    audit: Audit = Audit()
    windows: Windows = Windows()
    triggers: Triggers = Triggers()
    candidates: Annotated[dict[Word, CandidateSpec], Field(min_length=1)]
    curation: Curation = Curation()
    gate: Gate = Gate()
    rollout: Rollout = Rollout()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("labels names one label twice")
        unknown = sorted(set(self.describe) - set(self.labels))
        if unknown:
            raise ValueError(f"describe.{unknown[0]} is not one of labels")
        if list(self.rollout.canary_shares) != sorted(self.rollout.canary_shares):
            raise ValueError("rollout.canary_shares must grow from step to step")
        return self


class Plan(Section):
    """flywheel.toml as a whole."""

    version: Literal[1, 2]
    """2; a plan of version 1 is read as it always was, and `headrace plan upgrade` makes one of version 2 of it."""
    tasks: Annotated[dict[Word, Task], Field(min_length=1)]
    bases: dict[Word, BaseSpec] = Field(default_factory=dict)
    engines: dict[Word, EngineSpec] = Field(default_factory=dict)
    budget: Budget = Budget()
    privacy: Privacy = Privacy()
    alerts: Alerts | None = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, task in self.tasks.items():
            span_days = task.windows.rolling * task.windows.size_s / 86_400
            if span_days > self.privacy.retention_days:
                raise ValueError(
                    f"privacy.retention_days is {self.privacy.retention_days}, but the rolling figures of {name!r} span"
                    f" {span_days:g} days (windows.rolling x size_s)"
                )
        for task_name, task in self.tasks.items():
            for name, spec in task.candidates.items():
                where = f"tasks.{task_name}.candidates.{name}"
                if spec.base not in self.known_bases:
                    known = ", ".join(self.known_bases)
                    raise ValueError(f"{where}.base is {spec.base!r}, which is not known; there are {known}")
                if self.base(spec.base).family == "causal" and spec.method != "untuned":
                    raise ValueError(f"{where}: {spec.method!r} tunes encoders; {spec.base} takes untuned")
        return self

    @property
    def known_bases(self) -> dict[str, Base]:
        """The plan's own, and those that come with headrace; the plan's wins."""
        own = {name: Base(name=name, **spec.model_dump()) for name, spec in self.bases.items()}
        return EMBEDDED | own

    def mode(self, name: str) -> Mode:
        """How far the loop of a task may turn by itself. Raises PlanError."""
        return self.task(name).mode or ("auto" if self.version == 1 else "observe")

    def base(self, name: str) -> Base:
        """The base of that name. Raises PlanError."""
        try:
            return self.known_bases[name]
        except KeyError:
            raise PlanError(f"the plan has no base {name!r}; it has {', '.join(self.known_bases)}") from None

    def task(self, name: str) -> Task:
        """The task of that name. Raises PlanError."""
        try:
            return self.tasks[name]
        except KeyError:
            raise PlanError(f"the plan has no task {name!r}; it has {', '.join(sorted(self.tasks))}") from None
