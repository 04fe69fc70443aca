"""A label that an event names by its text becomes its id, as the plan derives it, before it is stored.

Case and outer blanks are folded for every label where it is inserted (headrace/warehouse/inserts). Only tasks that have
a label whose text is more than its id in other case are looked at here. What none of the task's labels is called stays.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from headrace.contract.events import Event
from headrace.plan import Task
from headrace.plan.labels import folded

E = TypeVar("E", bound=Event)


@dataclass(frozen=True, slots=True)
class LabelIds:
    """The ids of the labels that events name.

    texts: by task, the id of each folded text; for feedback that does not say its task, under the empty name, of those
        that mean one id in all of these tasks
    ids: by task, its labels' ids
    """

    texts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    ids: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, tasks: Mapping[str, Task]) -> Self:
        """Of a plan."""
        found = {
            name: {folded(said): label for label, text in task.names.items() for said in (text, label)}
            for name, task in tasks.items()
            if any(text != label for label, text in task.names.items())
        }
        if not found:
            return cls()
        meant: dict[str, set[str]] = {}
        for texts in found.values():
            for text, label in texts.items():
                meant.setdefault(text, set()).add(label)
        found[""] = {text: next(iter(labels)) for text, labels in meant.items() if len(labels) == 1}
        return cls(found, {name: frozenset(texts.values()) for name, texts in found.items()})

    def named(self, event: E) -> E:
        """The event with the ids of its labels."""
        changes = self.changes(event)
        return event.model_copy(update=changes) if changes else event

    def changes(self, event: Any) -> dict[str, Any]:
        """Fields of an event, as a model or contract/reading.py has read it, that name labels, by their ids.

        Empty where they do so already.
        """
        ids = self.ids.get(event.task)
        if ids is None:
            return {}
        texts, changes = self.texts[event.task], dict[str, Any]()
        if event.label and event.label not in ids and (label := texts.get(folded(event.label))):
            changes["label"] = label
        scores = getattr(event, "scores", {})
        if not ids.issuperset(scores):
            named = {texts.get(folded(label), label): score for label, score in scores.items()}
            # Two spellings of one label would be one of them less.
            if len(named) == len(scores) and named != scores:
                changes["scores"] = named
        return changes
