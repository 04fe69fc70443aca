"""One alert, and what is sent of it. Pure."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

TITLES = {
    "trigger": "it is retrained",
    "promotion": "another version is live",
    "rollback": "a version was rolled back",
    "no_winner": "retraining ended without a winner",
    "failed": "retraining failed",
    "detector": "a detector fires",
    "missing": "events are missing",
    "stopped": "a partition was stopped",
    "dropped": "events were dropped",
    "unreadable": "what serves or trains cannot be read",
}
MAX_REASON = 2000
# A person's reason may hold what a chat would make a link or a call of.
_NOT_PLAIN = re.compile(r"[a-z]+://\S*|[<>\x00-\x1f]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Alert:
    """What happened. Columns of the table alerts.

    at: as its own table says: event time for triggers and detectors, wall clock for the others
    numbers: what it rests on
    """

    alert_id: UUID
    kind: str
    task: str
    at: datetime
    reason: str
    numbers: Mapping[str, float]

    @property
    def text(self) -> str:
        """One plain sentence for a person, without links."""
        reason = " ".join(_NOT_PLAIN.sub(" ", self.reason).split())[:MAX_REASON]
        numbers = ", ".join(f"{name} {value:.6g}" for name, value in sorted(self.numbers.items()) if value)
        about = f" ({numbers})" if numbers else ""
        return f"headrace{f', {self.task}' if self.task else ''}: {TITLES[self.kind]}. {reason.rstrip('.')}{about}."

    def body(self) -> bytes:
        """The JSON that is posted. `text` is what Slack and its like show; they leave the rest alone."""
        fields: dict[str, Any] = {
            "id": str(self.alert_id),
            "kind": self.kind,
            "task": self.task,
            "at": self.at.isoformat(),
            "reason": self.reason,
            "numbers": dict(self.numbers),
            "text": self.text,
        }
        return json.dumps(fields, ensure_ascii=False).encode()


def signature(body: bytes, secret: str) -> str:
    """The value of X-Headrace-Signature: HMAC (RFC 2104) with SHA-256 over the body's bytes, hexadecimal."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
