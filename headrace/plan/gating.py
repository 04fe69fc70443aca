"""The keys of the gate: what must hold before a candidate serves."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, model_validator

from headrace.plan.section import OpenShare, Section, table, tables

RETIRED = "reference_accuracy"


class Gate(Section):
    """What must hold before a candidate serves."""

    margin: OpenShare = 0.03
    """Non-inferiority margin, a share of all requests; to the live version and to the reference version."""
    alpha: OpenShare = 0.01
    """Probability that a candidate which is not better is ever promoted as better, over all candidates."""
    margin_alpha: OpenShare = 0.025
    """The same for one that is worse by the margin and promoted as cheaper and non-inferior."""
    planned_rows: Annotated[int, Field(ge=30)] = 1000
    """Independent rows that are right or wrong are also tested once at this number, by McNemar and Tango."""
    cheaper_by: OpenShare = 0.2
    """A non-inferior candidate must save this share of cost at the task's traffic, or of p95 latency where both are
    timed in one process."""
    max_cost_ratio: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 3.0
    """Veto: cost at the task's traffic or p95 above this many times the live version's; a p95 of up to 300 ms is no
    reason."""
    per_label_drop: OpenShare = 0.10
    """Veto: one label's recall more than this below the live version's, beyond chance."""
    approved_labels: tuple[str, ...] = ()
    """Labels, by text or id, that may ship without a row or an example that shows that the candidate knows them: a
    person has looked at them."""
    forgetting_drop: OpenShare = 0.05
    """Veto: accuracy on older test rows more than this below the live version's, beyond chance."""
    max_ece: OpenShare = 0.15
    """Veto: expected calibration error above this."""

    @model_validator(mode="before")
    @classmethod
    def _without_retired(cls, given: Any) -> Any:
        """A job file of an older version names the retired key with its default, which meant none."""
        if not isinstance(given, dict) or RETIRED not in given:
            return given
        if given[RETIRED] not in (0, None):
            raise ValueError(
                f"{RETIRED} is no longer a key: the reference is a version, scored on the candidate's test rows;"
                " delete the line"
            )
        return {key: value for key, value in given.items() if key != RETIRED}


def of_version_1(fields: Any) -> Any:
    """A plan of version 1 without the retired key: it is read although what the key meant is gone."""
    if table(fields).get("version") != 1 or not any(RETIRED in gate for _, gate in retired(fields)):
        return fields
    tasks = {
        name: spec | {"gate": {key: value for key, value in table(spec.get("gate")).items() if key != RETIRED}}
        for name, spec in tables(fields["tasks"]).items()
    }
    return fields | {"tasks": fields["tasks"] | tasks}


def retired(fields: Any) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    """The place and the keys of each gate that has a retired key."""
    return [
        (("tasks", name, "gate"), table(spec.get("gate")))
        for name, spec in tables(table(fields).get("tasks")).items()
        if RETIRED in table(spec.get("gate"))
    ]
