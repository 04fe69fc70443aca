"""The contract as JSON Schema: what `headrace schema NAME` prints."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, RootModel

from headrace import kinds
from headrace.contract.actions import Action
from headrace.contract.control import Counter, DeadLetter, Job, Progress, Promotion, Replica, RolloutRequest, Trigger
from headrace.contract.events import SCHEMA_VERSION, Feedback, Inference
from headrace.contract.findings import Candidate, Evaluation
from headrace.errors import SettingsError
from headrace.plan import PLAN_VERSION, Plan

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class AnyEvent(RootModel[Inference | Feedback | list[Inference | Feedback]]):
    """The value of a record on an event topic, and the body of POST /v1/events: one event, or an array of them."""


MODELS: dict[str, type[BaseModel]] = {
    "event": AnyEvent,
    "inference": Inference,
    "feedback": Feedback,
    "plan": Plan,
    "trigger": Trigger,
    "job": Job,
    "progress": Progress,
    "rollout_request": RolloutRequest,
    "promotion": Promotion,
    "replica": Replica,
    "counter": Counter,
    "dead_letter": DeadLetter,
    "evaluation": Evaluation,
    "candidate": Candidate,
    "action": Action,
}


def json_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of an event, a control message or the plan. Raises SettingsError for a name nobody knows."""
    if name not in MODELS:
        raise SettingsError(f"there is no schema {name!r}; there are {', '.join([*MODELS, 'warehouse'])}")
    version = PLAN_VERSION if name == "plan" else SCHEMA_VERSION
    found = {"$schema": DIALECT, "version": version, **MODELS[name].model_json_schema()}
    if name == "plan":
        found["$defs"]["CandidateSpec"]["allOf"] = _of_kinds("method", "methods")
        found["$defs"]["EngineSpec"]["allOf"] = _of_kinds("kind", "engines")
    return found


def _of_kinds(key: str, what: kinds.What) -> list[dict[str, Any]]:
    """The keys that a table has beside those of all, by the kind that `key` names."""
    keys = {name: kinds.load(what, name).Keys.model_json_schema().get("properties", {}) for name in kinds.names(what)}
    return [{"if": {"properties": {key: {"const": name}}}, "then": {"properties": own}} for name, own in keys.items()]


def summary(name: str) -> str:
    """What it is, in the first sentence of its documentation."""
    return " ".join((MODELS[name].__doc__ or "").split("\n\n")[0].split())
