"""What Prometheus reads at /metrics; one registry a gateway."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Metrics:
    """The gateway's figures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "headrace_requests", "Questions, by outcome", ["task", "version", "arm", "outcome"], registry=self.registry
        )
        self.passed = Counter(
            "headrace_passed_requests",
            "Requests that passed to an upstream, by outcome",
            ["upstream", "outcome"],
            registry=self.registry,
        )
        self.latency = Histogram(
            "headrace_latency_seconds",
            "Time to the last token",
            ["task", "version", "arm"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        self.fallbacks = Counter(
            "headrace_canary_fallbacks",
            "Questions that the live version answered because the candidate failed",
            ["task", "version"],
            registry=self.registry,
        )
        self.stand_ins = Counter(
            "headrace_stand_ins",
            "Questions that another version answered because the live one failed",
            ["task", "failed", "version"],
            registry=self.registry,
        )
        self.unknown_labels = Counter(
            "headrace_unknown_labels",
            "Answers of an upstream that named no label",
            ["task", "version"],
            registry=self.registry,
        )
        self.events = Counter("headrace_events_accepted", "Events taken over HTTP", ["kind"], registry=self.registry)
        self.rejected = Counter("headrace_events_rejected", "Events refused over HTTP", registry=self.registry)
        self.spool_bytes = Gauge("headrace_spool_bytes", "Bytes of events on disk", registry=self.registry)
        self.spool_full = Gauge("headrace_spool_full", "Appends that the spool had no room for", registry=self.registry)
        self.spool_damaged = Gauge(
            "headrace_spool_damaged_bytes",
            "Bytes that were damaged or cut off by a crash, given up",
            registry=self.registry,
        )
        self.emitted = Gauge(
            "headrace_events_emitted", "Events of this gateway, by state", ["kind", "state"], registry=self.registry
        )
        self.shadow_dropped = Gauge(
            "headrace_shadow_dropped", "Questions that no candidate was asked beside", registry=self.registry
        )
        self.generation = Gauge("headrace_generation", "Generation that serves", ["task"], registry=self.registry)
        self.unreadable = Gauge(
            "headrace_promotion_unreadable",
            "1 while the newest promotion cannot be read",
            ["task"],
            registry=self.registry,
        )
        self.bus = Gauge("headrace_bus_reachable", "1 while Kafka acknowledges heartbeats", registry=self.registry)

    def exposition(self) -> bytes:
        """Prometheus' text format."""
        return generate_latest(self.registry)
