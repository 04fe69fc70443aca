"""The plan, flywheel.toml: what is watched, when to retrain, with what, and what must hold before a model serves.

`load(path)` returns a frozen Plan or raises PlanError naming the file, the line, the key and what is allowed.
Durations are seconds, money is US dollars, shares are 0 to 1.

section    what the tables of the plan are made of
sections   the tables of the plan and their keys: meaning, default, bounds
alerting   the one about who is told what happens
budget     the one about what a trainer may take
watching   those of them about what is watched of a task, and when it is retrained
freezing   times in which no rollout takes a step forward
gating     the one about what must hold before a candidate serves
labels     a label's text, and its id
upstreams  the models behind addresses: the incumbent, a judge
suites     questions of an institution that every candidate is asked
teaching   the one that lets the incumbent's own answers train
writing    the one about what models that write are told, and how their texts are compared
models     pre-trained bases, and what to make of them
methods    the keys of candidates that belong to their methods
engines    what answers, how much at once, and what it costs
gateway    the one about requests for models that are no tasks
upgrade    a plan of an older version as one of the present one
reading    from the text of a plan to a Plan, or to a sentence that says where it is wrong
"""

from headrace.plan.alerting import AlertKind, Alerts
from headrace.plan.budget import Budget
from headrace.plan.freezing import frozen_until
from headrace.plan.gating import Gate
from headrace.plan.models import BaseSpec, CandidateSpec
from headrace.plan.reading import load, parse
from headrace.plan.sections import (
    PLAN_VERSION,
    Curation,
    Plan,
    Privacy,
    Rollout,
    Task,
)
from headrace.plan.upstreams import Incumbent, Judge, Upstream
from headrace.plan.watching import Triggers, Windows

__all__ = [
    "PLAN_VERSION",
    "AlertKind",
    "Alerts",
    "BaseSpec",
    "Budget",
    "CandidateSpec",
    "Curation",
    "Gate",
    "Incumbent",
    "Judge",
    "Plan",
    "Privacy",
    "Rollout",
    "Task",
    "Triggers",
    "Upstream",
    "Windows",
    "frozen_until",
    "load",
    "parse",
]
