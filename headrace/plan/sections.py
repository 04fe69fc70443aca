"""The tables of the plan and their keys, each with what it means, its default and its bounds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator
from pydantic_core import PydanticCustomError

from headrace.errors import PlanError
from headrace.models.bases import EMBEDDED, Base
from headrace.plan import gating
from headrace.plan.alerting import Alerts
from headrace.plan.budget import Budget
from headrace.plan.engines import EngineSpec
from headrace.plan.freezing import Freeze
from headrace.plan.gateway import Gateway
from headrace.plan.gating import Gate
from headrace.plan.labels import LabelText, folded, ids_of, names_of, repeated, spellings_of
from headrace.plan.models import BaseSpec, CandidateSpec
from headrace.plan.section import WORD, NotNegative, OpenShare, Positive, Section, Share, Word
from headrace.plan.suites import BenchmarkSpec, SuiteSpec
from headrace.plan.teaching import TeacherLabels
from headrace.plan.upstreams import Incumbent, Judge
from headrace.plan.watching import Audit, Triggers, Windows
from headrace.plan.writing import Writing

PLAN_VERSION = 2
Mode = Literal["observe", "propose", "auto"]
Kind = Literal["classify", "generate"]
Question = Annotated[str, Field(min_length=1, max_length=2000)]
UNSERVED = frozenset(
    {"labels", "describe", "examples", "out_of_scope", "tenant", "audit", "curation"}
    | {"engine", "gate", "rollout", "suites", "benchmarks", "teacher_labels"}
)
"""Keys of a task that mean nothing for the kind generate, yet or at all."""


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
    min_new_rows: Annotated[int, Field(ge=0)] = 30
    """Training rows of the time since the trigger's change, before a first candidate is tuned."""
    min_test_rows: Annotated[int, Field(ge=30)] = 50
    """Blind test rows at which a candidate is tuned and judged; one that they do not decide about waits for more."""
    forget_rows: Annotated[int, Field(ge=0)] = 500
    """Older test rows that a new model must not have forgotten."""
    thumbs: bool = True
    """A satisfied user's answer may train (it never tests)."""
    max_left_out: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Where one reason leaves out more than this share of the labelled answers, the job says which and how many."""
    max_share_per_user: Annotated[float, Field(gt=0, le=1)] = 0.05
    """Of the rows that train, and of those that compare candidates: what one user volunteers (thumbs, corrections)."""
    max_share_per_key: Annotated[float, Field(gt=0, le=1)] = 0.8
    """The same for what one API key brought; all that came without a key counts as one key's."""

    @property
    def train_share(self) -> float:
        """Share of the blind audit labels that trains: neither test nor validation."""
        return (1 - self.test_share) * (1 - self.validation_share)


class Rollout(Section):
    """Shadow, then canary by steps, then live."""

    shadow_requests: Annotated[int, Field(ge=0)] = 200
    canary_shares: tuple[OpenShare, ...] = (0.05, 0.25)
    canary_requests: Annotated[int, Field(ge=1)] = 500
    """Requests the candidate answers in each step before the next."""
    max_error_share: Share = 0.01
    """Failed requests of the candidate above this share roll back."""
    max_p95_ms: Positive = 2000.0
    max_accuracy_drop: OpenShare = 0.05
    """A candidate that is this much less accurate than the live version, a share of all answers, must not serve: in
    shadow it is shown to be less far below before it goes on; what is shown to be half as far below is rolled back."""
    reviews: Annotated[int, Field(ge=0, le=100_000)] = 50
    """So many answers on which candidate and live version differ wait for experts at a time, drawn beside the base
    audit's, until their labels have decided; 0: none are drawn."""
    review_share: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Each of them is drawn with this probability, the earliest first: less spreads them over more hours."""
    needs_labels: bool = True
    """Whether experts' labels of answers on which candidate and live version differ must show that before anyone meets
    the candidate. false: requests, failures and times alone let it go on; labels still roll back."""
    watch_s: NotNegative = 86_400.0
    """How long after it became live a version is compared with the one before it, which is loaded; what is shown to be
    worse by half of max_accuracy_drop, or to fail too often, is rolled back. 0: not at all."""
    watch_share: Share = 0.05
    """Share of the live version's requests that the version before it answers beside it meanwhile, for nobody."""
    fallback: tuple[Literal["standby", "incumbent"], ...] = ("standby", "incumbent")
    """Who answers a question on which the live version failed, in this order: the version before it, which is kept
    loaded, and the plan's incumbent; empty for nobody."""
    step_timeout_s: Positive = 604_800.0
    """A step without enough traffic, or without enough labels, is abandoned and rolled back after this wall time."""
    approval: Literal["none", "before_canary", "before_live"] = "none"
    """Where a rollout whose evidence suffices waits for a person's `headrace approve`: before anyone meets the
    candidate, or before everyone does."""
    freeze: tuple[Freeze, ...] = ()
    """Times in which no rollout begins or takes a step forward; what is rolled back is so at once."""
    incumbent_share_when_broken: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the sessions that the incumbent answers while the live version is broken and no candidate is rolled out:
    the label trigger fires, and the upper bound of its rolling accuracy is below broken_below; 0: none."""
    broken_below: OpenShare = 0.8
    """The accuracy below which a live version is broken; it is well again when the lower bound is above."""


class Privacy(Section):
    """What may be stored and trained on."""

    require_consent: bool = True
    retention_days: Annotated[int, Field(ge=1, le=36_500)] = 730
    """Older answers do not train, and leave the warehouse with their feedback, by whole months; counts stay."""
    parked_days: Annotated[int, Field(ge=1, le=36_500)] = 30
    """Feedback whose inference has not come expires when its id is this much older than the newest inference."""
    pool_tenants: bool | None = None
    """Whether rows of all tenants together may train what each of them is answered by; false: those of the task's
    `tenant` alone. Left out: one tenant's rows train, and where there are several, nothing does until this is said;
    in a plan of version 1: true."""


class Task(Section):
    """One decision that a model makes, as a router's, or one kind of text that it writes."""

    kind: Kind = "classify"
    """classify: an answer is a label; generate: it is a text, which is stored, counted and watched, and on which only
    `headrace train` trains models, by hand."""
    mode: Mode | None = None
    """observe: nothing is trained; propose: a person starts what is recommended (`headrace trigger`, then `headrace
    promote`); auto: no hands on it. Left out: observe, and auto in a plan of version 1."""
    texts: tuple[LabelText, ...] = Field(default=(), alias="labels", max_length=1000)
    """The labels as people write them, `Human Resources` as well as `hr`; ids follow from them. At least two for the
    kind classify, none for generate."""
    describe: dict[str, str] = Field(default_factory=dict)
    """What a label stands for, in a few words, by its text or id: the untuned base reads it, and the judge."""
    examples: dict[str, Annotated[tuple[Question, ...], Field(min_length=1, max_length=100)]] = Field(
        default_factory=dict
    )
    """Questions that mean a label, by its text or id: the gate asks them of a candidate, and nothing trains on them."""
    out_of_scope: str = "out_of_scope"
    """The label, its text or id, that means that no expert is meant, for the out-of-scope rate; empty for none."""
    tenant: Annotated[str, Field(max_length=200)] = ""
    """Whose rows alone train and test, where privacy.pool_tenants is false."""
    engine: Word | Literal[""] = ""
    """One of [engines], on which its tuned models answer; empty: in the gateway's own process."""
    incumbent: Incumbent
    judge: Judge | None = None
    writing: Writing = Writing()
    audit: Audit = Audit()
    windows: Windows = Windows()
    triggers: Triggers = Triggers()
    candidates: dict[Word, CandidateSpec] = Field(default_factory=dict, validate_default=True)
    """What to try; at least one for the kind classify. Of the kind generate: what `headrace train` tries."""
    curation: Curation = Curation()
    teacher_labels: TeacherLabels | None = None
    suites: dict[Word, SuiteSpec] = Field(default_factory=dict)
    """Questions with right answers that each candidate and the live version are asked."""
    benchmarks: dict[Word, BenchmarkSpec] = Field(default_factory=dict)
    """Academic benchmarks that causal candidates are asked; reported, and never a veto."""
    gate: Gate = Gate()
    rollout: Rollout = Rollout()

    @model_validator(mode="before")
    @classmethod
    def _as_named(cls, given: Any) -> Any:
        """A default that is no good would be told by the field's name, and not by the plan's key."""
        return {"labels": [], **given} if isinstance(given, dict) else given

    @field_validator("texts", "candidates")
    @classmethod
    def _needed(cls, given: Any, info: ValidationInfo) -> Any:
        if info.data.get("kind") == "classify" and not given:
            raise PydanticCustomError("missing", "Field required")
        return given

    @field_validator("texts")
    @classmethod
    def _distinct(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        if len(texts) == 1:
            raise ValueError("there are at least two to choose from")
        if mistake := repeated(texts):
            raise ValueError(mistake)
        return texts

    @field_validator("describe", "examples")
    @classmethod
    def _by_id(cls, given: dict[str, Any], info: ValidationInfo) -> dict[str, Any]:
        if "texts" not in info.data:
            return given
        spellings, named = spellings_of(info.data["texts"]), dict[str, Any]()
        for label, words in given.items():
            if folded(label) not in spellings:
                raise ValueError(f"{label!r} is not one of labels")
            if spellings[folded(label)] in named:
                raise ValueError(f"{label!r} is {'described' if info.field_name == 'describe' else 'given'} twice")
            named[spellings[folded(label)]] = words
        return named

    @field_validator("out_of_scope")
    @classmethod
    def _id_of_it(cls, label: str, info: ValidationInfo) -> str:
        if "texts" not in info.data:
            return label
        found = spellings_of(info.data["texts"]).get(folded(label), label)
        if found and not re.match(WORD, found):
            raise ValueError("it is not one of labels")
        return found

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if list(self.rollout.canary_shares) != sorted(self.rollout.canary_shares):
            raise ValueError("rollout.canary_shares must grow from step to step")
        if self.kind == "generate":
            if self.incumbent.api != "chat":
                raise ValueError(f'incumbent.api = "{self.incumbent.api}" answers with labels and no texts; use "chat"')
            given = {
                field.alias or name
                for name, field in Task.model_fields.items()
                if getattr(self, name) != field.get_default(call_default_factory=True)
            }
            if unserved := sorted(given & UNSERVED):
                raise ValueError(
                    f'kind = "generate" with {", ".join(unserved)} is not served yet: texts are stored, counted and'
                    " watched, nothing draws or rolls them out, and only `headrace train` trains on them; leave these"
                    " keys out"
                )
        elif self.writing != Writing():
            raise ValueError('writing is of the kind generate; add kind = "generate", or leave the table out')
        return self

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels' ids, in the plan's order."""
        return ids_of(self.texts)

    @property
    def names(self) -> Mapping[str, str]:
        """What people and models read for each label: its text by its id, in the plan's order."""
        return names_of(self.texts)

    def id_of(self, said: str) -> str:
        """The id of the label that was named by its text or its id, in any case; empty where the task has none."""
        return spellings_of(self.texts).get(folded(said), "")


class Plan(Section):
    """flywheel.toml as a whole."""

    version: Literal[1, 2]
    """2; a plan of version 1 is read as it always was, and `headrace plan upgrade` makes one of version 2 of it."""
    tasks: Annotated[dict[Word, Task], Field(min_length=1)]
    bases: dict[Word, BaseSpec] = Field(default_factory=dict)
    engines: dict[Word, EngineSpec] = Field(default_factory=dict)
    gateway: Gateway = Gateway()
    budget: Budget = Budget()
    privacy: Privacy = Privacy()
    alerts: Alerts | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_version_1(cls, given: Any) -> Any:
        return gating.of_version_1(given)

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for name, task in self.tasks.items():
            span_days = task.windows.rolling * task.windows.size_s / 86_400
            if span_days > self.privacy.retention_days:
                raise ValueError(
                    f"privacy.retention_days is {self.privacy.retention_days}, but the rolling figures of {name!r} span"
                    f" {span_days:g} days (windows.rolling x size_s)"
                )
            if task.kind == "generate" and self.mode(name) != "observe":
                raise ValueError(
                    f'tasks.{name}: kind = "generate" with mode = "{self.mode(name)}" is not served yet, since no gate'
                    ' compares texts; set mode = "observe"'
                )
            if self.version == PLAN_VERSION and task.out_of_scope not in ("", "out_of_scope", *task.labels):
                raise ValueError(f"tasks.{name}.out_of_scope is {task.out_of_scope!r}, which is not one of its labels")
            if self.privacy.pool_tenants is False and not task.tenant and task.kind == "classify":
                raise ValueError(
                    f"tasks.{name}.tenant is missing: whose rows train it, as privacy.pool_tenants is false"
                )
            if self.privacy.pool_tenants is not False and task.tenant:
                raise ValueError(f"tasks.{name}.tenant is {task.tenant!r}; it needs privacy.pool_tenants = false")
        for key, name in self.gateway.engines.items():
            if name not in self.engines or self.engines[name].kind != "openai":
                there = ", ".join(name for name, spec in self.engines.items() if spec.kind == "openai") or "none"
                raise ValueError(f"gateway.{key} is {name!r}, which is no engine of kind openai; there are {there}")
        for task_name, task in self.tasks.items():
            for name, spec in task.candidates.items():
                where = f"tasks.{task_name}.candidates.{name}"
                if spec.base not in self.known_bases:
                    known = ", ".join(self.known_bases)
                    raise ValueError(f"{where}.base is {spec.base!r}, which is not known; there are {known}")
        return self

    @property
    def known_bases(self) -> dict[str, Base]:
        """The plan's own, and those that come with headrace; the plan's wins."""
        return EMBEDDED | {name: Base(name=name, **spec.model_dump()) for name, spec in self.bases.items()}

    @property
    def served(self) -> dict[str, Task]:
        """The tasks that a gateway answers; what others answer it takes as events."""
        return {name: task for name, task in self.tasks.items() if task.kind == "classify"}

    def mode(self, name: str) -> Mode:
        """How far the loop of a task may turn by itself. Raises PlanError."""
        return self.task(name).mode or ("auto" if self.version == 1 else "observe")

    @property
    def pools_tenants(self) -> bool | None:
        """Whether rows of several tenants may train together; None where the plan does not say."""
        return True if self.version == 1 and self.privacy.pool_tenants is None else self.privacy.pool_tenants

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
