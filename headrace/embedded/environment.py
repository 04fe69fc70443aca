"""What each part finds in its environment: the settings, and of the secrets those alone that it uses.

With embedded servers most of them are not even there: parts read the home's secrets.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from headrace.process.readiness import PART_VARIABLE
from headrace.settings import PREFIX, Settings

if TYPE_CHECKING:
    from headrace.plan import Plan

SECRETS: Mapping[str, tuple[str, ...]] = {
    "kafka": (),
    "clickhouse": ("clickhouse_password", "analyst_password"),
    "streams": ("kafka_password", "clickhouse_password", "gateway_secret", "audit_secret"),
    "judge": ("kafka_password", "clickhouse_password"),
    "retrain": ("kafka_password", "clickhouse_password"),
    "rollout": ("kafka_password", "clickhouse_password"),
    "alert": ("clickhouse_password",),
    "serving": ("kafka_password", "gateway_secret"),
    "console": ("kafka_password", "analyst_password"),
}
"""Settings by part. The trainer, a child of retrain, is told of these by retrain."""


def environment(settings: Settings, name: str, plan: Plan | None) -> dict[str, str]:
    """Variables of the part called `name`, as in streams-0.

    plan: names the variables that hold keys of endpoints and of the webhook
    """
    part = name.split("-")[0]
    keys = _keys(plan) if plan is not None else {}
    hidden = frozenset().union(*keys.values()) - keys.get(part, frozenset())
    own = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX) and key not in hidden}
    return own | settings.environ(SECRETS[part]) | {PART_VARIABLE: name, "PYTHONUNBUFFERED": "1"}


def _keys(plan: Plan) -> dict[str, frozenset[str]]:
    """Variables with keys that the plan names, by the part that uses them."""
    judges = [task.judge.key_env for task in plan.tasks.values() if task.judge is not None]
    incumbents = frozenset(task.incumbent.key_env for task in plan.tasks.values())
    engines = frozenset(str((spec.model_extra or {}).get("key_env", "")) for spec in plan.engines.values())
    return {
        "serving": incumbents | engines,
        # Its trainer asks an incumbent that is the reference version what it has not answered yet.
        "retrain": incumbents,
        "judge": frozenset(judges),
        "alert": frozenset({plan.alerts.secret_env} if plan.alerts is not None else ()),
    }
