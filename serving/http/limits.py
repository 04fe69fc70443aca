"""How many events may be sent: a token bucket for each tenant, and one for each key that has a rate of its own.

A question is one event. Without HEADRACE_RATE_LIMITS tenants may send as much as they like.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from headrace.access.roles import Principal, Rate
from headrace.errors import SettingsError, UserError
from serving.http.refusal import Refusal

EVERYBODY_ELSE = "*"


@dataclass(slots=True)
class Bucket:
    """tokens: events that may come now; below zero after a batch that was larger than what was left"""

    rate: Rate
    tokens: float
    at_s: float


class Limits:
    """Admits a request while its tenant and its key have a token left, and takes as many as it turned out to hold.

    So a batch larger than the burst passes once, and what follows waits until the debt is paid.
    """

    def __init__(self, text: str, now: Callable[[], float] = time.monotonic) -> None:
        """From `tenant=events_per_s[/burst],*=…`. Raises SettingsError that names the entry."""
        self._now = now
        self._rates: dict[str, Rate] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}
        for number, pair in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
            tenant, _, said = (part.strip() for part in pair.partition("="))
            try:
                self._rates[tenant] = Rate.parse(said if tenant else "")
            except UserError:
                raise SettingsError(
                    f"HEADRACE_RATE_LIMITS, entry {number}: it takes tenant=events_per_s/burst, as in acme=1000/5000;"
                    f" {EVERYBODY_ELSE}=… stands for every other tenant"
                ) from None

    def admit(self, principal: Principal) -> None:
        """Raises Refusal 429 that says when to come again."""
        for who, bucket in self._of(principal):
            if bucket.tokens < 1:
                rate = bucket.rate
                wait_s = max(1, math.ceil((1 - bucket.tokens) / rate.events_per_s))
                raise Refusal(
                    429,
                    f"{who} may send {rate.events_per_s:g} events/s with bursts of {rate.burst:g};"
                    f" send the same ones again in {wait_s} s",
                    "rate_limit_error",
                    retry_after_s=wait_s,
                )

    def charge(self, principal: Principal, events: int) -> None:
        """These came with an admitted request."""
        for _, bucket in self._of(principal):
            bucket.tokens -= events

    def _of(self, principal: Principal) -> Iterator[tuple[str, Bucket]]:
        """The buckets that the caller draws on, filled up to now."""
        tenant, key_id = principal.tenant, principal.key_id
        rate = self._rates.get(tenant) or self._rates.get(EVERYBODY_ELSE)
        if rate is not None:
            yield f"tenant {tenant}", self._filled((tenant, ""), rate)
        if key_id and principal.rate:
            yield f"key {key_id}", self._filled((tenant, key_id), principal.rate)

    def _filled(self, of: tuple[str, str], rate: Rate) -> Bucket:
        now = self._now()
        bucket = self._buckets.get(of)
        if bucket is None or bucket.rate != rate:
            bucket = self._buckets[of] = Bucket(rate, rate.burst, now)
        bucket.tokens = min(rate.burst, bucket.tokens + (now - bucket.at_s) * rate.events_per_s)
        bucket.at_s = now
        return bucket
