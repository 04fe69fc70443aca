"""Cost against accuracy of a chain: every threshold that was looked at when it was fitted."""

from __future__ import annotations

from headrace.contract.findings import Figure, Finding
from headrace.models.families.chain import ChainModel
from trainer.evaluate.subject import Subject, share

COLUMNS = ("thresholds", "usd_per_1k", "escalated", "accuracy", "low", "high", "gained", "lost", "p_value", "")


def evaluate(subject: Subject) -> Finding | None:
    """None of what is no chain. The rows that fitted the thresholds are the validation rows, one a session or text."""
    if not isinstance(subject.model, ChainModel):
        return None
    chain = subject.model.chain
    chosen = next((point for point in chain.curve if point.chosen), None)
    if chosen is None:
        return None
    _, by = subject.model.routed([row.text for row in subject.rows])
    figures = {
        f"answered_by_{tier.name}": share(float((by == number).sum()), len(by))
        for number, tier in enumerate(chain.tiers)
    }
    of = [f"{tier.name} from {tier.threshold:g}" for tier in chain.tiers if tier.threshold is not None]
    last = chain.tiers[-1]
    return Finding(
        method=(
            f"Proven on {chain.rows} validation rows: {chain.against}. {', then '.join(of)}, else {last.name}."
            " Thresholds were tested from the most careful on, each at the whole level, until one was not proven"
        ),
        figures=figures
        | {"usd_per_1k": Figure(value=chosen.usd_per_1k), "usd_per_1k_last_tier_alone": Figure(value=last.usd_per_1k)},
        columns=COLUMNS,
        rows=tuple(
            (
                ", ".join("never" if level is None else f"{level:g}" for level in point.thresholds),
                round(point.usd_per_1k, 8),
                round(point.escalated, 4),
                round(point.accuracy, 4),
                round(point.low, 4),
                round(point.high, 4),
                point.gained,
                point.lost,
                "" if point.p_value is None else f"{point.p_value:.2g}",
                "chosen" if point.chosen else "proven" if point.proven else "",
            )
            for point in chain.curve
        ),
    )
