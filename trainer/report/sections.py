"""From the story of a run to what its report says, section by section."""

from __future__ import annotations

from collections.abc import Iterator
from math import isinf

from headrace import costs
from headrace.contract.findings import Candidate, Finding
from headrace.costs import Serving
from trainer.curate.rows import SPLITS
from trainer.report.blocks import Block, Curves, Diagonal, Heading, Intervals, Paragraph, Table, interval, number
from trainer.report.story import Story, findings_of, suites_of

OUTCOMES = {
    "won": "A candidate passed the gate and was published as {version}.",
    "no_winner": "No candidate passed the gate.",
    "undecided": "The gate needs more test rows; the same candidate is looked at again when they are there.",
    "not_enough_labels": "There were too few labels, so nothing was tuned.",
}
MATRIX = 24
"""Labels of which a whole confusion matrix is drawn; of more, the largest errors are listed."""
WORST, FIGURES = 20, 12
UNMEASURED = (
    "Latency was measured in this process, one question at a time, in turn with the other candidates; the engine"
    " {engine}, on which {names} would answer, was not started for it, so its own latency is not known here."
)


def blocks(story: Story) -> list[Block]:
    """The whole report."""
    return [
        Heading(1, f"{story.version}: report of a training run"),
        *_outcome(story),
        *_candidates(story),
        *_curves(story),
        *_gate(story),
        *_quality(story),
        *_suites(story),
        *_cost(story),
        *_data(story),
        *_lineage(story),
    ]


def _outcome(story: Story) -> Iterator[Block]:
    yield Paragraph(OUTCOMES.get(story.outcome, story.outcome).format(version=story.version))
    yield Paragraph(f"The gate's reason: {story.reason}")
    if story.compared:
        yield Paragraph(f"Why this candidate went to the test rows: {story.compared[0].reason}")
    yield Paragraph(f"Started because: {story.why}")


def _candidates(story: Story) -> Iterator[Block]:
    yield Heading(2, "Candidates")
    if not story.compared:
        yield Paragraph("No candidate was compared.")
    else:
        yield Intervals(
            f"Accuracy on {story.compared[0].n} validation rows, with 95 % intervals",
            [(one.name, one.accuracy, one.low, one.high) for one in story.compared],
        )
        yield Table(
            (
                "candidate",
                "base",
                "method",
                "accuracy (95 %)",
                "trained of parameters",
                "seconds",
                "p50 ms",
                "p95 ms",
                "",
            ),
            [
                (
                    one.name,
                    one.base,
                    one.method,
                    interval(one.accuracy, one.low, one.high),
                    f"{one.trained_parameters:,} of {one.parameters:,}",
                    f"{one.seconds:.1f}",
                    f"{one.p50_ms:.1f}",
                    f"{one.p95_ms:.1f}",
                    _role(one),
                )
                for one in story.compared
            ],
            frozenset({5, 6, 7}),
        )
    missing = [(one.name, one.base, one.method, one.reason) for one in story.failed]
    tried = {one.name for one in story.shown}
    missing += [
        (name, spec.base, spec.method, "the run ended before it: see the gate's reason")
        for name, spec in story.specs.items()
        if name not in tried
    ]
    if missing:
        yield Heading(3, "Not run, or not to the end")
        yield Table(("candidate", "base", "method", "why"), missing)


def _role(one: Candidate) -> str:
    if one.detail.get("baseline"):
        return "baseline, never served"
    if one.detail.get("chosen"):
        return "chosen"
    return "on the Pareto front" if one.detail.get("pareto") else ""


def _curves(story: Story) -> Iterator[Block]:
    lines = {
        one.name: sorted((float(epoch), float(loss)) for epoch, loss in one.detail["curve"].items())
        for one in [*story.compared, *story.failed]
        if one.detail.get("curve")
    }
    if lines:
        yield Curves("Training: mean loss on the training rows by epoch", "epoch", "mean loss", lines)


def _gate(story: Story) -> Iterator[Block]:
    judged, live = story.judged, story.reference
    if judged is None or live is None:
        return
    yield Heading(2, "The test rows")
    yield Intervals(
        f"Accuracy on {judged.n} test rows, which no candidate was chosen by",
        [(one.name, one.accuracy, one.low, one.high) for one in (judged, live)],
    )
    said = judged.detail
    rows = [
        ("verdict", judged.gate),
        ("gained and lost against the live version", f"{said.get('gained', 0)} and {said.get('lost', 0)}"),
        ("difference", f"{100 * float(said.get('difference', 0)):+.1f} points"),
        ("p value of being better, level", f"{float(said.get('p_value', 1)):.2g}, {float(said.get('alpha', 0)):.2g}"),
        ("p value of being within the margin", f"{float(said.get('p_margin', 1)):.2g}"),
        ("texts, independent clusters", f"{said.get('n', 0)}, {said.get('clusters', 0)}"),
        ("candidate number since the live version won", str(said.get("number", 1))),
    ]
    yield Table(("", ""), rows)


def _quality(story: Story) -> Iterator[Block]:
    """Of the candidate that went to the test rows, there; of all others, on the validation rows."""
    told = ([story.judged] if story.judged else []) + story.compared
    for candidate in told:
        found = findings_of(candidate)
        if not found:
            continue
        yield Heading(2, f"{candidate.name} on the {candidate.split} rows")
        for name, finding in found.items():
            yield Heading(3, name.replace("_", " ").capitalize())
            yield from _finding(finding)


def _finding(finding: Finding) -> Iterator[Block]:
    if finding.points:
        points = [(one.x, one.y, one.low, one.high, one.n) for one in finding.points]
        yield Diagonal(f"{finding.y_is}, by {finding.x_is}", finding.x_is, finding.y_is, points)
    if finding.columns[:2] == ("thresholds", "usd_per_1k"):
        yield _cost_curve(finding)
    figures = list(finding.figures.items())
    if len(figures) > FIGURES:
        # The worst are what a reader looks for; each of them is in the table candidates.
        figures.sort(key=lambda item: item[1].value)
        figures = figures[:WORST]
    if figures:
        rows = [(name.replace("_", " "), interval(one.value, one.low, one.high), str(one.n)) for name, one in figures]
        yield Table(("", "value (95 %)", "rows"), rows, frozenset({2}))
    if finding.columns == ("label", "answer", "rows"):
        yield from _confusion(finding)
    elif finding.rows:
        yield Table(finding.columns, [[str(cell) for cell in row] for row in finding.rows])
    yield Paragraph(finding.method)


def _cost_curve(finding: Finding) -> Curves:
    """Of a chain: accuracy and its interval by what a thousand requests cost."""
    places = {name: finding.columns.index(name) for name in ("usd_per_1k", "accuracy", "low", "high")}
    points = sorted([float(row[place]) for place in places.values()] for row in finding.rows)
    lines = {
        name: [(point[0], point[number]) for point in points]
        for number, name in ((1, "accuracy"), (2, "95 % low"), (3, "95 % high"))
    }
    return Curves("Cost and accuracy by threshold, on the validation rows", "US dollars for 1,000", "accuracy", lines)


def _confusion(finding: Finding) -> Iterator[Block]:
    cells = {(str(label), str(answer)): int(rows) for label, answer, rows in finding.rows}
    labels = list(dict.fromkeys(name for cell in cells for name in cell))
    if len(labels) > MATRIX:
        wrong = [(label, answer, str(n)) for (label, answer), n in cells.items() if label != answer][:WORST]
        yield Table(("label", "answered", "rows"), wrong, frozenset({2}))
        return
    of_label = {label: sum(n for (truth, _), n in cells.items() if truth == label) for label in labels}
    yield Table(
        ("label \\ answer", *labels),
        [(label, *(str(cells.get((label, answer), 0) or "") for answer in labels)) for label in labels],
        frozenset(range(1, len(labels) + 1)),
        {
            (row, column + 1): cells.get((label, answer), 0) / of_label[label]
            for row, label in enumerate(labels)
            for column, answer in enumerate(labels)
            if of_label[label]
        },
    )


def _suites(story: Story) -> Iterator[Block]:
    told = [*story.compared, *([story.reference] if story.reference else [])]
    rows, bad = [], []
    for candidate in told:
        for name, one in suites_of(candidate).items():
            least = "" if one.minimum is None else number(one.minimum, 2)
            score = one.failure or interval(one.accuracy, one.low, one.high)
            rows.append((name, one.version, candidate.name, score, str(one.n), least, one.forbids and "forbids it"))
            bad += [(name, line) for line in one.bad]
    if rows:
        yield Heading(2, "Suites")
        yield Table(("suite", "version", "model", "accuracy (95 %)", "questions", "minimum", ""), sorted(rows))
    if bad:
        yield Paragraph("Lines that cannot be used were left out:")
        yield Table(("suite", "line"), list(dict.fromkeys(bad)))


def _cost(story: Story) -> Iterator[Block]:
    told = [(one, Serving(**one.detail["serving"])) for one in story.compared if one.detail.get("serving")]
    if not told:
        return
    yield Heading(2, "Latency and cost")
    live = story.reference
    own = float(live.detail.get("requests_per_day", 0)) if live else 0.0
    traffics = ([own] if own >= 1 else []) + list(costs.TRAFFICS)
    paid = Serving(**live.detail.get("serving", {"usd_per_1k": live.cost_per_1k})) if live else Serving()
    flat = 0.0 if paid.usd_per_hour else paid.usd_per_1k
    rows = []
    for one, serving in [*told, *([(live, paid)] if live else [])]:
        at = [f"{cost:.4g}" if (cost := serving.per_1k(traffic)) else "not known" for traffic in traffics]
        even = "" if one is live else _from(serving.break_even(flat)) if flat else "not known"
        marginal = serving.engine_per_1k + serving.usd_per_1k
        rows.append((one.name, f"{one.p50_ms:.1f}", f"{one.p95_ms:.1f}", f"{marginal:.4g}", *at, even))
    named = [f"at {traffic:,.0f} a day" for traffic in traffics]
    columns = ("model", "p50 ms", "p95 ms", "tokens and engine seconds", *named, "cheaper than live from, a day")
    yield Table(columns, rows, frozenset(range(1, len(columns))))
    yield Paragraph(
        "US dollars for a thousand requests: of tokens and of the seconds for which a request keeps the machine busy,"
        f" and of machines that are always on, one at least and each busy at most {costs.BUSY:.0%} of the time, with"
        " requests spread evenly. The training, the judge and the experts are not in it; `headrace savings` counts the"
        " last two." + (f" The task's own traffic is {own:,.0f} requests a day." if own >= 1 else "")
    )
    if live is not None and not paid.usd_per_hour:
        yield Paragraph(f"The latency of {live.name} is production's; the others' is that of one process, without it.")
    for engine in sorted({engine for engine in story.engines.values() if engine}):
        names = ", ".join(name for name, own in story.engines.items() if own == engine)
        yield Paragraph(UNMEASURED.format(engine=engine, names=names))


def _from(requests: float) -> str:
    return "never" if isinf(requests) else f"{requests:,.0f}"


def _data(story: Story) -> Iterator[Block]:
    yield Heading(2, "The data set")
    yield Paragraph(f"SHA-256 {story.dataset}; `headrace dataset show {story.dataset[:12]}` shows it row for row.")
    if story.tuned_on not in ("", story.dataset):
        yield Paragraph(f"The candidate was tuned on {story.tuned_on}, and waited for more test rows.")
    labels = list(dict.fromkeys([*story.labels, *(label for _, label, _ in story.rows)]))
    counts = [
        [label, *(str(sum(n for (s, of, _), n in story.rows.items() if (s, of) == (split, label))) for split in SPLITS)]
        for label in labels
    ]
    yield Table(("label", *SPLITS), counts, frozenset(range(1, len(SPLITS) + 1)))
    yield Heading(3, "From feedback to rows")
    yield Table(("", "count"), [(name, f"{n:,}") for name, n in story.curated.funnel.items()], frozenset({1}))
    if story.curated.exclusions:
        yield Heading(3, "Left out")
        yield Table(
            ("reason", "answers"), [(name, f"{n:,}") for name, n in story.curated.exclusions.items()], frozenset({1})
        )


def _lineage(story: Story) -> Iterator[Block]:
    yield Heading(2, "Lineage")
    rows = [
        ("run", story.run),
        ("version to beat", story.live),
        ("data set", story.dataset),
        ("seed", str(story.seed)),
        ("code", story.code),
        ("written", f"{story.at:%Y-%m-%d %H:%M:%S} UTC"),
        *((f"seconds of {name}", f"{seconds:.1f}") for name, seconds in story.seconds.items()),
    ]
    yield Table(("", ""), rows)
    yield Table(
        ("base", "family", "source", "revision", "licence"),
        [(one.name, one.family, one.source, one.revision, one.licence) for one in story.bases.values()],
    )
