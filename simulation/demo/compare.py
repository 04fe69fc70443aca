"""Several runs side by side, as the Markdown of docs/demo.md.

python -m simulation.demo.compare report-1.json report-2.json …
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from simulation.demo.screen import interval, savings

Report = dict[str, Any]


def table(reports: list[Report]) -> str:
    """A Markdown table: one row a figure, one column a run."""
    lines = [_line("", [f"seed {report['conditions']['seed']}" for report in reports])]
    lines.append(_line("---", ["---"] * len(reports)))
    lines += [_line(name, [read(report) for report in reports]) for name, read in ROWS]
    return "\n".join(lines)


def _line(name: str, cells: list[str]) -> str:
    return "| " + " | ".join([name, *cells]) + " |"


def _accuracy(name: str) -> Callable[[Report], str]:
    return lambda report: interval(report["accuracy"][name])


def _funnel(*names: str) -> Callable[[Report], str]:
    return lambda report: " / ".join(f"{report['funnel'].get(name, 0):,}" for name in names)


def _act(number: int, read: Callable[[dict[str, Any]], str]) -> Callable[[Report], str]:
    return lambda report: read(report["acts"][number]) if number < len(report["acts"]) else "–"


def _winner(act: dict[str, Any]) -> str:
    if not act["winner"]:
        return f"none: {act['job']['reason']}"
    won = next(candidate for candidate in act["candidates"] if candidate["name"] == act["winner"])
    return (
        f"{act['version']}, {won['name']}, {won['accuracy']:.3f} ({won['low']:.3f}–{won['high']:.3f}), n {won['n']:,}"
    )


def _seconds(act: dict[str, Any]) -> str:
    names = ("trigger_to_claim", "training", "evaluation", "promotion_to_serving")
    return " / ".join("–" if act["seconds"][name] is None else f"{act['seconds'][name]:.0f}" for name in names)


def _rejected(act: dict[str, Any]) -> str:
    return "; ".join(turn["reason"] for turn in act["turns"] if turn["state"] == "no_winner") or "–"


ROWS: tuple[tuple[str, Callable[[Report], str]], ...] = (
    ("feedback / satisfied / unsatisfied", _funnel("feedback", "satisfied", "unsatisfied")),
    ("judge blames routing / experts confirm", _funnel("judge_routing", "expert_confirmed")),
    ("ground truth / train / validation / blind test", _funnel("ground_truth", "train", "validation", "test")),
    ("incumbent, fresh questions", _accuracy("incumbent")),
    ("act one: winner, blind test rows", _act(0, _winner)),
    ("act one: why", _act(0, lambda act: act["job"]["reason"] or "–")),
    ("act one: turns without a winner", _act(0, _rejected)),
    ("after act one, fresh questions", _accuracy("after_act_one")),
    ("cost saved", lambda report: savings(report["cost"])),
    ("the world changed, before the promotion", _accuracy("trough")),
    (
        "act two: trigger",
        _act(1, lambda act: f"{act['trigger']['detector']}, {act['trigger']['labels_since_change']} labels"),
    ),
    ("act two: winner, blind test rows", _act(1, _winner)),
    ("act two: turns without a winner", _act(1, _rejected)),
    ("recovered, fresh questions", _accuracy("recovered")),
    ("act one: seconds to claim / training / evaluation / to serving", _act(0, _seconds)),
    ("act two: the same", _act(1, _seconds)),
    ("requests / failed", lambda report: f"{report['requests']['total']:,} / {report['requests']['failed']}"),
    (
        "events emitted / missing / duplicated",
        lambda report: " / ".join(f"{report['events'][name]:,}" for name in ("emitted", "missing", "duplicated")),
    ),
    ("seconds in all", lambda report: f"{report['conditions']['seconds']:.0f}"),
)


if __name__ == "__main__":
    print(table([json.loads(Path(name).read_text()) for name in sys.argv[1:]]))
