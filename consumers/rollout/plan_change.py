"""Tells that the plan is another one than before, and what was changed in it.

Who edited the file is not known here: the action says that rollout saw it when it started. The last action of this kind
holds the whole plan, so that the next one can say what was changed; addresses in it are cut to what identifies them,
since a webhook's path or a user in a URL may be a secret.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from consumers.rollout.record import BY
from headrace.access.actions import action
from headrace.contract.actions import Action, ActionKind, Via
from headrace.plan import Plan


def plan_change(last: bytes | None, plan: Plan) -> Action | None:
    """The action that this plan is; None where the last one tells of the same plan.

    last: the last record of its kind on headrace.actions; None where there is none
    """
    now = dict(_leaves(plan.model_dump(mode="json")))
    before = _known(last)
    if before == now:
        return None
    digest = hashlib.sha256(json.dumps(now, sort_keys=True).encode()).hexdigest()
    if before is None:
        detail: dict[str, Any] = {"reason": "the first plan that is known"}
    else:
        keys = sorted(key for key in before.keys() | now.keys() if before.get(key) != now.get(key))
        detail = {"changes": [{"key": key, "old": before.get(key), "new": now.get(key)} for key in keys]}
    return action(ActionKind.PLAN_CHANGED, BY, Via.PART, subject=digest[:12], digest=digest, plan=now, **detail)


def _known(last: bytes | None) -> Mapping[str, Any] | None:
    try:
        plan = json.loads(last or b"{}")["detail"]["plan"]
    except (ValueError, KeyError, TypeError):
        return None
    return plan if isinstance(plan, dict) else None


def _leaves(node: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each value under its dotted path; a list is one value."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from _leaves(value, f"{path}.{key}" if path else key)
    elif isinstance(node, str) and "://" in node:
        yield path, _address(node)
    else:
        yield path, node


def _address(url: str) -> str:
    """Scheme, host and port, and of the rest a digest by which a change is seen."""
    try:
        parts = urlsplit(url)
        where = f"{parts.scheme}://{parts.hostname or ''}{f':{parts.port}' if parts.port else ''}"
    except ValueError:
        where = "an address"
    return f"{where} ({hashlib.sha256(url.encode()).hexdigest()[:8]})"
