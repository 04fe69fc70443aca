"""The receiver: one POST an alert, signed, and what its answer means."""

from __future__ import annotations

import os
from collections import Counter
from uuid import UUID

import httpx

from consumers.alert.alert import Alert, signature
from headrace.errors import HeadraceError
from headrace.plan import Alerts

# Another attempt would get the same answer, and those behind it would wait for nothing.
_FOR_GOOD = frozenset({400, 405, 406, 409, 411, 413, 414, 415, 422})
# Nobody's alert is taken; waiting, or a person, helps.
_CLOSED = frozenset({401, 403, 404, 408, 429, 502, 503, 504})
# One alert on which the receiver breaks must not stand in the way of the others for ever: an hour, with the back-off.
ATTEMPTS = 20


class Away(HeadraceError):
    """The receiver did not take it now: no answer, too many requests, its own fault, a key that a person can mend."""


class Webhook:
    """The plan's receiver. Nothing else is called, and no redirection is followed."""

    def __init__(self, alerts: Alerts) -> None:
        self._url = alerts.webhook
        self._secret = os.environ.get(alerts.secret_env, "") if alerts.secret_env else ""
        self._failed: Counter[UUID] = Counter()
        self._http = httpx.AsyncClient(timeout=alerts.timeout_s, trust_env=False, follow_redirects=False)

    async def send(self, alert: Alert) -> tuple[str, str]:
        """State and answer for the table alerts: delivered, or refused for good. Raises Away."""
        body = alert.body()
        headers = {"Content-Type": "application/json; charset=utf-8", "Idempotency-Key": str(alert.alert_id)}
        if self._secret:
            headers["X-Headrace-Signature"] = signature(body, self._secret)
        try:
            answer = await self._http.post(self._url, content=body, headers=headers)
        except httpx.HTTPError as error:
            raise Away(f"{type(error).__name__} {error}".strip()) from None
        said = f"{answer.status_code} {' '.join(answer.text[:200].split())}".strip()
        if answer.is_success:
            return "delivered", said
        self._failed[alert.alert_id] += answer.status_code not in _CLOSED
        if answer.status_code in _FOR_GOOD or self._failed[alert.alert_id] >= ATTEMPTS:
            return "refused", said
        raise Away(f"it answers {said}")

    async def close(self) -> None:
        """Give the connection back."""
        await self._http.aclose()
