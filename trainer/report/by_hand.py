"""The report of models that were trained by hand, from figures.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.report.blocks import Block, Curves, Heading, Intervals, Paragraph, Table, interval


def blocks_of(figures: Mapping[str, Any]) -> list[Block]:
    """figures: what stands in figures.json (trainer/process/by_hand.py)"""
    rows, candidates = figures["rows"], figures["candidates"]
    out = ", ".join(f"{count} {reason}" for reason, count in figures["left_out"].items()) or "none"
    shown = [(one, one[split], split) for split in ("validation", "test") for one in candidates if split in one]
    curves = {one["name"]: [(float(x), float(y)) for x, y in one["curve"].items()] for one in candidates}
    return [
        Heading(1, figures["version"]),
        Paragraph(f"{figures['reason']}."),
        Paragraph(
            f"Rows: {rows['train']} train, {rows['validation']} validation, {rows['test']} test; left out: {out};"
            f" texts with several labels: {rows['conflicting_texts']}. Data set {figures['dataset']},"
            f" seed {figures['seed']}."
        ),
        Heading(2, "Candidates"),
        Paragraph(f"{figures['chosen']} was chosen on the validation rows; no test row chose anything."),
        Table(
            ("candidate", "method", "base", "validation", "test", "p50 ms", "parameters", "seconds", ""),
            [_candidate(one, figures["chosen"]) for one in candidates],
            frozenset({5, 6, 7}),
        ),
        Intervals(
            "Share of the rows that are right, with 95 % Wilson intervals",
            [
                (f"{one['name']}, {split}", found["accuracy"], found["low"], found["high"])
                for one, found, split in shown
            ],
        ),
        *(Paragraph(_beside(one)) for one in figures["compared"]),
        *(
            [Curves("Training loss", "step", "loss", found)]
            if (found := {k: v for k, v in curves.items() if v})
            else []
        ),
        Heading(2, "Labels"),
        Table(
            ("label", "test rows", "right", "answered"),
            [(one["label"], *(str(one[name]) for name in ("rows", "right", "answered"))) for one in figures["labels"]],
            frozenset({1, 2, 3}),
        ),
        Paragraph(f"Bundle: {figures['artifact']}, digest {figures['digest']}."),
    ]


def _candidate(one: Mapping[str, Any], chosen: str) -> tuple[str, ...]:
    notes = [one["failure"], "chosen" if one["name"] == chosen else "", "baseline" if one["baseline"] else ""]
    accuracies = [
        interval(found["accuracy"], found["low"], found["high"]) if (found := one.get(split)) else ""
        for split in ("validation", "test")
    ]
    rest = (str(one.get("p50_ms", "")), f"{one['parameters']:,}", str(one["seconds"]))
    return one["name"], one["method"], one["base"], *accuracies, *rest, ", ".join(note for note in notes if note)


def _beside(one: Mapping[str, Any]) -> str:
    return (
        f"Beside {one['baseline']} on the same {one['n']} test rows: {one['gained']} gained, {one['lost']} lost,"
        f" p = {one['p_value']:.2g} that it is no better (McNemar, exact)."
    )
