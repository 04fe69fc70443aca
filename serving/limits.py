"""How many events a tenant may send: a token bucket each, off unless it is set."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

from headrace.errors import SettingsError
from serving.refusal import Refusal

EVERYBODY_ELSE = "*"


@dataclass(frozen=True, slots=True)
class Rate:
    """events_per_s: on average; burst: how many at once after a pause"""

    events_per_s: float
    burst: float


@dataclass(slots=True)
class Bucket:
    """tokens: events that may come now; below zero after a batch that was larger than what was left"""

    tokens: float
    at_s: float


class Limits:
    """Admits a request while its tenant has a token left, and takes as many as it turned out to hold events.

    So a batch larger than the burst passes once, and what follows waits until the debt is paid.
    """

    def __init__(self, text: str, now: Callable[[], float] = time.monotonic) -> None:
        """From `tenant=events_per_s[/burst],*=…`. Raises SettingsError that names the entry."""
        self._now = now
        self._rates: dict[str, Rate] = {}
        self._buckets: dict[str, Bucket] = {}
        for number, pair in enumerate(filter(None, (part.strip() for part in text.split(","))), 1):
            tenant, _, rate = (part.strip() for part in pair.partition("="))
            events_per_s, slash, burst = rate.partition("/")
            try:
                made = Rate(float(events_per_s), float(burst if slash else events_per_s))
            except ValueError:
                made = Rate(0, 0)
            if not tenant or not (0 < made.events_per_s < math.inf and 1 <= made.burst < math.inf):
                raise SettingsError(
                    f"HEADRACE_RATE_LIMITS, entry {number}: it takes tenant=events_per_s/burst, as in acme=1000/5000;"
                    f" {EVERYBODY_ELSE}=… stands for every other tenant"
                )
            self._rates[tenant] = made

    def admit(self, tenant: str) -> None:
        """Raises Refusal 429 that says when to come again."""
        rate = self._rates.get(tenant) or self._rates.get(EVERYBODY_ELSE)
        if rate is None:
            return
        bucket = self._filled(tenant, rate)
        if bucket.tokens <= 0:
            wait_s = max(1, math.ceil((1 - bucket.tokens) / rate.events_per_s))
            raise Refusal(
                429,
                f"tenant {tenant} may send {rate.events_per_s:g} events/s with bursts of {rate.burst:g};"
                f" send the same ones again in {wait_s} s",
                retry_after_s=wait_s,
            )

    def charge(self, tenant: str, events: int) -> None:
        """These came with an admitted request."""
        rate = self._rates.get(tenant) or self._rates.get(EVERYBODY_ELSE)
        if rate is not None:
            self._filled(tenant, rate).tokens -= events

    def _filled(self, tenant: str, rate: Rate) -> Bucket:
        now = self._now()
        bucket = self._buckets.setdefault(tenant, Bucket(rate.burst, now))
        bucket.tokens = min(rate.burst, bucket.tokens + (now - bucket.at_s) * rate.events_per_s)
        bucket.at_s = now
        return bucket
