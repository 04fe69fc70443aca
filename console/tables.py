"""Rows to the table panels: pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from console import figures as f
from console.feed import Row
from headrace.access.telling import words

Tone = Literal["", "good", "warn", "bad"]

# A gateway that has been silent this long is shown as gone: it gives a sign of life every few seconds.
SILENT_S = 30


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell; the tone colours it."""

    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class TablePanel:
    """A table panel. `empty` teaches what will stand there and when."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    empty: str


PLACES = ("emitted", "stored", "parked", "dead_lettered", "expired", "erased", "repeated")
QUEUES = {
    "audit": "audits to label blind",
    "review": "complaints that a judge blames on routing",
    "unknown": "audits whose label is none of the task's",
}
ACTION_TONES: dict[str, Tone] = {"rollback": "bad", "abort": "bad", "key_revoked": "warn", "erasure": "warn"}
GATE_TONES: dict[str, Tone] = {"passed": "good", "failed": "bad", "vetoed": "bad", "not_enough_labels": "warn"}


def candidates(rows: list[Row]) -> TablePanel:
    """What the newest job tried, and what the gate said."""
    return TablePanel(
        ("Candidate", "Accuracy (95 %)", "Rows", "p95", "Per 1,000", "Gate", "Reason"),
        tuple(
            (
                Cell(row["name"]),
                _accuracy(row["n"], row["accuracy"], row),
                Cell(f"{f.whole(row['n'])} {row['split']}"),
                Cell(f.milliseconds(row["p95_ms"])),
                Cell(f.dollars(row["cost_per_1k"])),
                Cell(_words(row["gate"]), GATE_TONES.get(row["gate"], "")),
                Cell(row["reason"]),
            )
            for row in rows
        ),
        "No candidate yet: when a job runs, each model that it tries stands here with what the gate said.",
    )


def versions(rows: list[Row]) -> TablePanel:
    """Who answered users, how well and at what price.

    rows: with usd_per_1k, at the version's own traffic
    """
    return TablePanel(
        ("Version", "Requests", "Accuracy (95 %)", "First token p95", "p95", "Per 1,000"),
        tuple(
            (
                Cell(row["version"]),
                Cell(f.whole(row["requests"])),
                _accuracy(row["n"], row["value"], row),
                Cell(f.milliseconds(row["first_token_p95_ms"])),
                Cell(f.milliseconds(row["latency_p95_ms"])),
                Cell(f.dollars(row["usd_per_1k"])),
            )
            for row in rows
        ),
        "No traffic yet: send a question to the gateway's /v1/route and the version that answers appears here.",
    )


def detectors(rows: list[Row]) -> TablePanel:
    """The monitor's newest look through each detector."""
    return TablePanel(
        ("Detector", "Statistic", "Threshold", "n", "Decision"),
        tuple(
            (
                Cell(_words(row["detector"])),
                Cell(f.statistic(row["statistic"]), "warn" if row["fired"] else ""),
                Cell(f.statistic(row["threshold"])),
                Cell(f.whole(row["n"])),
                Cell(": ".join(part for part in (_words(row["decision"]), row["reason"]) if part)),
            )
            for row in rows
        ),
        "The monitor has not looked yet: every look is a row here, fired or not, with its reason.",
    )


def events(rows: list[Row]) -> TablePanel:
    """Where every event is."""
    return TablePanel(
        ("Events", "Emitted", "Stored", "Parked", "Dead letters", "Expired, erased", "On the way"),
        tuple(_event_cells(row) for row in rows if any(row[place] for place in PLACES)),
        "No event yet: post one to the gateway's /v1/events.",
    )


def dead_letters(rows: list[Row]) -> TablePanel:
    """The newest records that could not become rows."""
    return TablePanel(
        ("Dead letter", "At (UTC)", "Reason"),
        tuple(
            (
                Cell(f"{row['topic']} {row['partition']}:{row['offset']}{_index(row['record_index'])}"),
                Cell(f.moment(row["at"])),
                Cell(row["reason"]),
            )
            for row in rows
        ),
        "No dead letter: every record became a row.",
    )


def replicas(rows: list[Row]) -> TablePanel:
    """What each gateway serves."""
    return TablePanel(
        ("Gateway", "Serves", "Generation", "Traffic", "Loaded"),
        tuple(
            (
                Cell(row["replica"]),
                Cell(row["live"]),
                Cell(str(row["generation"])),
                _traffic(row),
                Cell(row["error"], "bad") if row["error"] else Cell(", ".join(row["ready"])),
            )
            for row in rows
        ),
        "No gateway gave a sign of life in the last hour: `headrace status` says which parts run.",
    )


def review(rows: list[Row]) -> TablePanel:
    """How much waits for experts."""
    return TablePanel(
        ("For experts", "Waiting", "Oldest (UTC)"),
        tuple(
            (Cell(QUEUES.get(row["kind"], "others")), Cell(f.whole(row["waiting"])), Cell(f.moment(row["oldest"])))
            for row in rows
        ),
        "Nothing waits for an expert.",
    )


def actions(rows: list[Row]) -> TablePanel:
    """Who did what, newest first."""
    return TablePanel(
        ("At (UTC)", "Who", "What", "Subject", "From", "Details"),
        tuple(
            (
                Cell(f.moment(row["at"])),
                Cell(row["by"]),
                Cell(_words(row["kind"]), ACTION_TONES.get(row["kind"], "")),
                Cell(row["subject"]),
                Cell(f"{row['origin']} ({row['via']})"),
                Cell(words(row["detail"])),
            )
            for row in rows
        ),
        "No action yet: keys, triggers, promotions, rollbacks and changes of the plan stand here.",
    )


def _event_cells(row: Row) -> tuple[Cell, ...]:
    gone = row["expired"] + row["erased"]
    # Emitters report every few seconds, so at times their count trails what is stored: that is not less than nothing.
    found = row["stored"] + row["parked"] + row["dead_lettered"] + row["repeated"] + gone
    under_way = max(0, row["emitted"] - found)
    return (
        Cell(row["kind"]),
        Cell(f.whole(row["emitted"])),
        Cell(f.whole(row["stored"])),
        Cell(f.whole(row["parked"])),
        Cell(f.whole(row["dead_lettered"]), "bad" if row["dead_lettered"] else ""),
        Cell(f.whole(gone)),
        Cell(f.whole(under_way), "warn" if under_way else ""),
    )


def _accuracy(n: int, value: float, row: Row) -> Cell:
    return Cell(f"{f.percent(value)} ({f.interval(row['low'], row['high'])})" if n else f.NONE)


def _traffic(row: Row) -> Cell:
    if row["age_s"] >= SILENT_S:
        return Cell(f"silent for {f.seconds(row['age_s'])}", "bad")
    return Cell(f"{f.rate(row['per_s'])} / s")


def _index(record_index: int) -> str:
    return f" [{record_index}]" if record_index >= 0 else ""


def _words(name: str) -> str:
    return name.replace("_", " ")
