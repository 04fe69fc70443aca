"""The report of models that were trained by hand, from figures.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.report.blocks import Block, Curves, Heading, Intervals, Paragraph, Table, interval


def blocks_of(figures: Mapping[str, Any]) -> list[Block]:
    """figures: what stands in figures.json (trainer/process/by_hand.py)"""
    candidates = figures["candidates"]
    shown = [(one, one[split], split) for split in ("validation", "test") for one in candidates if split in one]
    return [
        *_begin(figures, "labels"),
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
        Heading(2, "Labels"),
        Table(
            ("label", "test rows", "right", "answered"),
            [(one["label"], *(str(one[name]) for name in ("rows", "right", "answered"))) for one in figures["labels"]],
            frozenset({1, 2, 3}),
        ),
        *_end(figures),
    ]


def blocks_of_texts(figures: Mapping[str, Any]) -> list[Block]:
    """Of models that write texts (trainer/process/by_hand_texts.py). It quotes no text."""
    candidates = figures["candidates"]
    return [
        *_begin(figures, "answers"),
        Table(
            ("candidate", "method", "base", "validation", "test", "parameters", "seconds", ""),
            [_writer(one, figures["chosen"]) for one in candidates],
            frozenset({3, 4, 5, 6}),
        ),
        Paragraph("Perplexity of the right answers' tokens: 1 is certainty. It tells how well a model foresees them."),
        *(Paragraph(_beside_texts(one)) for one in figures["compared"]),
        *_end(figures),
    ]


def _begin(figures: Mapping[str, Any], several: str) -> list[Block]:
    rows = figures["rows"]
    out = ", ".join(f"{count} {reason}" for reason, count in figures["left_out"].items()) or "none"
    return [
        Heading(1, figures["version"]),
        Paragraph(f"{figures['reason']}."),
        Paragraph(
            f"Rows: {rows['train']} train, {rows['validation']} validation, {rows['test']} test; left out: {out};"
            f" texts with several {several}: {rows['conflicting_texts']}. Data set {figures['dataset']},"
            f" seed {figures['seed']}."
        ),
        Heading(2, "Candidates"),
        Paragraph(f"{figures['chosen']} was chosen on the validation rows; no test row chose anything."),
    ]


def _end(figures: Mapping[str, Any]) -> list[Block]:
    named = {one["name"]: [(float(x), float(y)) for x, y in one["curve"].items()] for one in figures["candidates"]}
    curves = {name: line for name, line in named.items() if line}
    return [
        *([Curves("Training loss", "epoch", "loss", curves)] if curves else []),
        Paragraph(f"Bundle: {figures['artifact']}, digest {figures['digest']}."),
    ]


def _notes(one: Mapping[str, Any], chosen: str) -> str:
    notes = [one["failure"], "chosen" if one["name"] == chosen else "", "baseline" if one["baseline"] else ""]
    return ", ".join(note for note in notes if note)


def _writer(one: Mapping[str, Any], chosen: str) -> tuple[str, ...]:
    perplexities = [f"{one[split]['perplexity']:.2f}" if split in one else "" for split in ("validation", "test")]
    rest = (f"{one['parameters']:,}", str(one["seconds"]), _notes(one, chosen))
    return one["name"], one["method"], one["base"], *perplexities, *rest


def _beside_texts(one: Mapping[str, Any]) -> str:
    interval = "" if one["low"] is None else f"{one['low']:.3f} to {one['high']:.3f}; "
    found = (
        f"Beside {one['baseline']} a row's mean loss is {one['difference']:.3f} less ({interval}{one['n']} test texts"
        " or sessions)."
    )
    if not (said := one.get("judged")):
        return found
    both, shown = said["pairs"], said["finding"]["figures"]
    grade = f" The mean grade is {said['grade']:.2f} of 1 on {said['graded']}." if said["graded"] else ""
    return (
        f"{found} {said['finding']['method']}: of {both['n']} texts {both['gained']} are better and {both['lost']}"
        f" worse than {one['baseline']}'s, p = {said['p_value']:.2g} that they are no better;"
        f" {shown['swayed_by_order']['value']:.0%} were decided by the order.{grade}"
    )


def _candidate(one: Mapping[str, Any], chosen: str) -> tuple[str, ...]:
    accuracies = [
        interval(found["accuracy"], found["low"], found["high"]) if (found := one.get(split)) else ""
        for split in ("validation", "test")
    ]
    rest = (str(one.get("p50_ms", "")), f"{one['parameters']:,}", str(one["seconds"]))
    return one["name"], one["method"], one["base"], *accuracies, *rest, _notes(one, chosen)


def _beside(one: Mapping[str, Any]) -> str:
    return (
        f"Beside {one['baseline']} on the {one['n']} texts of the test rows: {one['gained']} gained,"
        f" {one['lost']} lost, p = {one['p_value']:.2g} that it is no better (McNemar, exact)."
    )
