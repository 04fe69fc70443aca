"""`headrace why`: a trigger's story in words and numbers, from rows of cli/why_trigger.sql and cli/why_quiet.sql."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from headrace.contract.control import TriggerKind
from headrace.statistics.intervals import wilson

Row = Mapping[str, Any]
PHASES = {
    "before": "{version} before the change",
    "changed": "{version} from the change to the trigger",
    "after": "{version} since it became live",
}


def story(rows: Sequence[Row]) -> list[str]:
    """Asked, seen, who agreed, what held it before, later looks, the job, its candidates, the rollout, the accuracy."""
    by: dict[str, list[Row]] = {}
    for row in rows:
        by.setdefault(str(row["what"]), []).append(row)
    (trigger,) = by["trigger"]
    return [
        *_asked(trigger),
        *_detectors(by.get("evaluation", [])),
        *_looks("Held back before that", by.get("held", [])),
        *_looks("Later looks", by.get("later", [])),
        _job(by.get("job", [])),
        *_candidates(by.get("candidate", [])),
        *_rollout(by.get("promotion", [])),
        *_accuracy(by.get("accuracy", [])),
    ]


def quiet(task: str, rows: Sequence[Row]) -> list[str]:
    """Why nothing was triggered, when the monitor last looked."""
    policy = [row for row in rows if row["words"]["detector"] == "policy"]
    return [
        *(f"{task} was last looked at as of {_time(row['at'])}: {row['about']}." for row in policy),
        *_detectors(rows),
    ]


def _asked(trigger: Row) -> Iterator[str]:
    numbers, words = trigger["numbers"], trigger["words"]
    who = f"{words['by']} asked" if words["by"] else "The monitor asked"
    ends = words["kind"] == TriggerKind.CANCEL
    what = (
        f"to end the open job of {words['task']}" if ends else f"for a retraining of {words['task']} ({words['kind']})"
    )
    yield (
        f"{who} {what} as of {_time(trigger['at'])}, while "
        f"{words['version'] or 'nothing known'} was live (generation {numbers['generation']:.0f})"
        f"{'' if numbers['baseline'] else ': ' + words['reason']}."
    )
    if numbers["baseline"] and numbers["labels_since_change"]:
        n, wrong = numbers["labels_since_change"], numbers["errors_since_change"]
        known = f"{numbers['reference_errors']:,.0f} of {numbers['reference_labelled']:,.0f} wrong"
        yield (
            f"Since about {words['test_from']} UTC {wrong:,.0f} of {n:,.0f} audited answers were wrong "
            f"({_percent(wrong / n)}), against a baseline of {_percent(numbers['baseline'])} from {words['source']} "
            f"({known}) and the labels since. The evidence is {numbers['statistic']:.4g}, the threshold "
            f"{numbers['threshold']:.4g} (at {numbers['labels_per_year']:,.0f} labels a year). It rests on "
            f"{numbers['labels']:,.0f} labels since {words['version']} became live."
        )


def _detectors(rows: Iterable[Row]) -> Iterator[str]:
    detectors = [row for row in rows if row["words"]["detector"] != "policy"]
    for word, fired in (("Detectors that alarmed", True), ("Detectors that did not", False)):
        said = [
            f"{row['words']['detector']} ({row['words']['reason']})"
            for row in detectors
            if bool(row["numbers"]["fired"]) is fired
        ]
        if detectors:
            yield f"{word}: {'; '.join(said) or 'none'}."


def _looks(what: str, rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        asked = f" (asked: {row['words']['asked']})" if row["words"]["asked"] else ""
        yield (
            f"{what}: {row['subject']}, in {row['numbers']['looks']:,.0f} looks from {_time(row['at'])} "
            f"to {row['words']['until']} UTC{asked}."
        )


def _job(rows: Sequence[Row]) -> str:
    if not rows:
        return "No job has taken it up yet."
    said, last = list[str](), ""
    for row in rows:
        state = f"{row['words']['state'].replace('_', ' ')} (attempt {row['numbers']['attempt']:.0f})"
        if state == last:
            continue
        last = state
        needs = row["numbers"]["needs"]
        why = row["words"]["reason"] + (f"; the next attempt at {needs:,.0f} more labels" if needs else "")
        said.append(f"{state} at {_time(row['at'])}{f': {why}' if why else ''}")
    return f"Job {rows[0]['numbers']['number']:.0f}: {'; '.join(said)}."


def _candidates(rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        numbers, words = row["numbers"], row["words"]
        reason = f": {words['reason']}" if words["reason"] else ""
        yield (
            f"Candidate {words['name']}: {words['gate'].replace('_', ' ')}, {_percent(numbers['accuracy'])} right "
            f"({_percent(numbers['low'])} to {_percent(numbers['high'])}, n = {numbers['n']:,.0f}) on the "
            f"{words['split']} split, p95 {numbers['p95_ms']:.1f} ms, {numbers['cost_per_1k']:.3g} USD for a thousand "
            f"requests{reason}."
        )


def _rollout(rows: Sequence[Row]) -> Iterator[str]:
    steps = []
    for row in rows:
        share = row["numbers"]["canary_share"]
        step = f"{row['words']['step']}{f' {_percent(share)}' if share else ''}, {row['words']['live']} live"
        reason = f": {row['words']['reason']}" if row["words"]["reason"] else ""
        steps.append(f"generation {row['numbers']['generation']:.0f} at {_time(row['at'])} ({step}){reason}")
    if steps:
        yield f"Rollout: {'; '.join(steps)}."


def _accuracy(rows: Iterable[Row]) -> Iterator[str]:
    said = []
    for phase, words in PHASES.items():
        for row in rows:
            if row["words"]["phase"] == phase:
                n, correct = row["numbers"]["n"], row["numbers"]["correct"]
                low, high = wilson(correct, n)
                said.append(
                    f"{words.format(version=row['words']['version'])} {_percent(correct / n)} "
                    f"({_percent(low)} to {_percent(high)}, n = {n:,.0f})"
                )
    if said:
        yield f"Right in the base audit, with 95 % intervals: {'; '.join(said)}."


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"
