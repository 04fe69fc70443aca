"""`make bench-otlp`: spans a second that the gateway takes over OTLP, beside an OpenTelemetry Collector and others.

make bench-otlp                                     all cases, two minutes
make bench-otlp ARGS="--case http-500 --scale 0.5"

One Kafka, the gateway (`python -m serving`) and this process, the client, share two cores; x2: two gateways share an
address (HEADRACE_GATEWAY_PROCESSES), for one has the work of one core. A span has twelve attributes, its texts some
500 bytes. The gateway answers when an export's events are in Kafka; the collector (otlp
receiver, nop exporter) when it has read them, and keeps none. cpu_us: processor time of the measured process a span.
"""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.json_format import MessageToDict

from benchmarks.exporting import otelcol
from benchmarks.exporting.senders import over_grpc, over_http
from benchmarks.exporting.spans import QUESTION, Agent
from benchmarks.options import options
from benchmarks.real_gateway import gateway
from benchmarks.table import keep, machine, tell
from benchmarks.waiting import process_cpu_s
from headrace.embedded.server import free_port

HOME = Path("var/bench/otlp")
CORES = 2
SHARED = ("http-500", "http-500-gzip", "grpc-500")
"""Cases that are measured with as many gateways as there are cores, too."""
PROTOBUF, JSON = "application/x-protobuf", "application/json"
LEVEL = 1
LARGE = 16

# case: form of the bodies, spans, spans a batch
CASES: dict[str, tuple[str, int, int]] = {
    "http-500": ("protobuf", 100_000, 500),
    "http-500-gzip": ("gzip", 100_000, 500),
    "http-500-json": ("json", 40_000, 500),
    "grpc-500": ("grpc", 100_000, 500),
    "grpc-500-gzip": ("grpc-gzip", 100_000, 500),
    "http-100": ("protobuf", 60_000, 100),
    "http-500-other": ("protobuf", 100_000, 500),
    "http-8192-large": ("gzip", 32_768, 8192),
    "grpc-8192-large": ("grpc-gzip", 32_768, 8192),
}
"""other: spans that are no calls of a model, which the gateway reads and counts.
large: texts of LARGE times the length, 60 MiB a batch, as a collector's batch processor sends them."""
OTHERS = [
    {"case": "Phoenix 20.26, http-100", "spans_per_s": 2825, "note": "accepted, SQLite; 83/s visible; measured here"},
    {"case": "NeMo platform's intake, 2,000 a batch", "spans_per_s": 28415, "note": "published, a laptop"},
]


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 1 where spans are missing."""
    given = options("otlp", __doc__, CASES, "spans", HOME).parse_args(argv)
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    home = given.home.absolute()
    shutil.rmtree(home, ignore_errors=True)
    names = given.case or CASES
    rows: list[dict[str, Any]] = []
    began, where = time.monotonic(), f"127.0.0.1:{free_port()}"
    for processes in (1, CORES):
        measured = [name for name in names if processes == 1 or name in SHARED]
        if not measured:
            continue
        with gateway(home / f"gateway-{processes}", where, processes) as started:
            pids = [process.pid for process in started.processes]
            for name in measured:
                before = sum(map(_taken, started.own))
                title = f"headrace {name}" + (f" x{processes}" if processes > 1 else "")
                rows.append(_row(title, name, given.scale, started.url, where, pids))
                rows[-1]["wrong"] = abs(sum(map(_taken, started.own)) - before - rows[-1]["spans"])
                print(f"{time.monotonic() - began:6.0f} s  {rows[-1]}", flush=True)
    if otelcol.binary() is None:
        rows.append({"case": "otelcol", "note": otelcol.MISSING})
    else:
        with otelcol.running(home / "otelcol", {"nop": {}}) as collector:
            for name in names:
                row = _row(f"otelcol {name}", name, given.scale, collector.http, collector.grpc, [collector.pid])
                rows.append(row | {"note": "keeps nothing"})
                print(f"{time.monotonic() - began:6.0f} s  {rows[-1]}", flush=True)
    columns = ("case", "spans", "spans_per_s", "mb_per_s", "cpu_us", "rss_mb", "wrong", "note")
    table = [{column: row.get(column) for column in columns} for row in rows + OTHERS]
    conditions = machine() | {"scale": given.scale, "seconds": round(time.monotonic() - began)}
    tell("otlp", conditions, table)
    print(keep("otlp", conditions, table, home.parent))
    return int(any(row.get("wrong") for row in rows))


def _row(title: str, name: str, scale: float, url: str, where: str, pids: Sequence[int]) -> dict[str, Any]:
    form, spans, batch = CASES[name]
    spans = max(batch, int(spans * scale) // batch * batch)
    send = _sender(form, url, where)
    agent = Agent(QUESTION * LARGE if "large" in name else QUESTION, calls="other" not in name)
    bodies = [_body(export, form) for export in agent.exports(spans, batch)]
    # A few first, so that what is opened once is open.
    send([_body(next(agent.exports(100, 100)), form)] * 4)
    cpu = sum(map(process_cpu_s, pids))
    took = send(bodies)
    return {
        "case": title,
        # The first one is one export sent four times: its spans are the same events.
        "spans": spans + 400,
        "spans_per_s": round(spans / took),
        "mb_per_s": round(sum(map(len, bodies)) / took / 1e6, 1),
        "cpu_us": round((sum(map(process_cpu_s, pids)) - cpu) / spans * 1e6, 1),
        "rss_mb": sum(map(_peak_mb, pids)),
    }


def _body(export: Any, form: str) -> bytes:
    if form == "json":
        fields = MessageToDict(export)
        for outer, source in zip(fields["resourceSpans"], export.resource_spans, strict=True):
            for scope, given in zip(outer["scopeSpans"], source.scope_spans, strict=True):
                for span, one in zip(scope["spans"], given.spans, strict=True):
                    span |= {"traceId": one.trace_id.hex(), "spanId": one.span_id.hex()}
        return json.dumps(fields).encode()
    body: bytes = export.SerializeToString()
    return gzip.compress(body, LEVEL) if form == "gzip" else body


def _sender(form: str, url: str, where: str) -> Callable[[list[bytes]], float]:
    if form.startswith("grpc"):
        return partial(over_grpc, where, zipped=form == "grpc-gzip")
    encoding = "gzip" if form == "gzip" else ""
    return partial(over_http, url, content_type=JSON if form == "json" else PROTOBUF, encoding=encoding)


def _taken(url: str) -> int:
    said = httpx.get(f"{url}/metrics", trust_env=False).text
    found = re.findall(r'headrace_otlp_records_total\{kind="spans",outcome="(?:taken|ignored)"\} ([0-9.e+]+)', said)
    return sum(int(float(one)) for one in found)


def _peak_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) // 1024


if __name__ == "__main__":
    sys.exit(main())
