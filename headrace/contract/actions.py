"""Who did what to the flywheel: one record of the topic of actions."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from pydantic import Field

from headrace.contract.control import ControlRecord
from headrace.contract.events import Moment, Name, Optional200
from headrace.contract.given_ids import Id7


class ActionKind(StrEnum):
    KEY_ADDED = "key_added"
    KEY_REVOKED = "key_revoked"
    KEY_ROTATED = "key_rotated"
    TRIGGER = "trigger"
    PROMOTION = "promotion"
    ROLLBACK = "rollback"
    ABORT = "abort"
    PLAN_CHANGED = "plan_changed"
    RESTORE = "restore"
    ERASURE = "erasure"
    SIGN_IN = "sign_in"


class Via(StrEnum):
    CLI = "cli"
    HTTP = "http"
    CONSOLE = "console"
    PART = "part"  # a part of headrace, by itself or on a request that it carries out


class Action(ControlRecord):
    """Who did what: one thing that a person or a part did to the flywheel.

    by: the person, the key, or the part; origin: user and host, and for HTTP the remote address
    subject: what it was done to: a key's id, a trigger's id, a version
    detail: what else there is to know; see headrace/access/actions.py for its words
    """

    action_id: Id7
    at: Moment
    by: Name
    via: Via
    origin: Optional200 = ""
    kind: ActionKind
    task: Optional200 = ""
    subject: Optional200 = ""
    detail: dict[str, Any] = Field(default_factory=dict)
