"""A choice among some labels of a task, with how probable each is, or none of these."""

from __future__ import annotations

from headrace.contract.events import Inference
from headrace.plan import Task
from serving.http.refusal import Refusal
from serving.http.requests import Decision, DecisionRequest


def options_of(request: DecisionRequest, task: Task) -> tuple[str, ...]:
    """The ids of the options. Raises Refusal for one that is no label of the task, and for a repeated one."""
    if request.options is None:
        return tuple(label for label in task.labels if label != task.out_of_scope)
    found = [task.id_of(option) for option in request.options]
    for label, option in zip(found, request.options, strict=True):
        if not label or found.count(label) > 1:
            why = "is named twice" if label else f"is no label of the task; it has {', '.join(task.names.values())}"
            raise Refusal(400, f"options: {option[:60]!r} {why}", param="options")
    return tuple(found)


def decision(given: Inference, options: tuple[str, ...]) -> Decision:
    """What an answer says of these options. A version without scores chose its label, or none of them."""
    probabilities = {label: given.scores.get(label, 0.0) for label in options} if given.scores else {}
    rest = max(0.0, 1.0 - sum(probabilities.values())) if given.scores else None
    chosen: str | None = given.label if given.label in options else None
    if rest is not None:
        best = max(options, key=probabilities.__getitem__)
        chosen = best if probabilities[best] >= rest else None
    return Decision(
        inference_id=given.inference_id,
        decision=chosen,
        none_of_these=chosen is None,
        probabilities=probabilities,
        none_probability=rest,
        version=given.version,
        arm=given.arm,
        latency_ms=round(given.latency_ms, 3),
    )
