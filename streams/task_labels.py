"""The plan's labels in the warehouse, so that a label which is none of the task's is no error of a model."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from headrace.contract import ids
from headrace.plan import Task
from headrace.plan.labels import folded
from headrace.warehouse import Warehouse, query_text
from streams.label_ids import LabelIds
from streams.spans import MILLISECOND


def write(warehouse: Warehouse, tasks: Mapping[str, Task], size: timedelta) -> dict[str, list[datetime]]:
    """Write down the labels of tasks. What was labelled before may mean something else by them.

    Returns, by task, the starts of the windows of that size that have such labels of the audit: they are to be counted
    once more, and then `settle` brings the copies of those labels up to date. Raises WarehouseError; killed anywhere
    before `settle` ends, the next call finds the same.
    """
    listed = {row["task"]: (set(row["labels"]), row["settled"]) for row in warehouse.query("monitor/labels_listed")}
    # A label's text may change while its id stays, and a worker with the plan of before stores labels by such texts.
    renames = _renames(warehouse, tasks)
    renamed = {rename["task"] for rename in renames}
    changed = [
        name
        for name, task in tasks.items()
        if listed.get(name) != (set(task.labels), True) or not renamed.isdisjoint((name, ""))
    ]
    if not changed:
        return {}
    _insert(warehouse, tasks, changed, settled=False)
    for rename in renames:
        table = rename.pop("table")
        warehouse.command(query_text(f"monitor/labels_rename_{table}"), **rename)
    rows = warehouse.query("monitor/labels_changed", tasks=list(tasks), size_ms=size // MILLISECOND)
    if not rows:
        _insert(warehouse, tasks, changed, settled=True)
    return {row["task"]: [ids.EPOCH + start * MILLISECOND for start in row["starts"]] for row in rows}


def settle(warehouse: Warehouse, tasks: Mapping[str, Task]) -> None:
    """Copy the labels of the audit that mean something else by now once more. Raises WarehouseError."""
    warehouse.command(query_text("monitor/labels_judge"), tasks=list(tasks))
    _insert(warehouse, tasks, tasks, settled=True)


def _insert(warehouse: Warehouse, tasks: Mapping[str, Task], names: Iterable[str], settled: bool) -> None:
    labels = {name: sorted(tasks[name].labels) for name in names}
    written = {"tasks": [*labels], "labels": [*labels.values()], "settled": settled}
    warehouse.command(query_text("monitor/labels_write"), **written)


def _renames(warehouse: Warehouse, tasks: Mapping[str, Task]) -> list[dict[str, Any]]:
    """Labels that are stored by a text which the plan did not have then, and their ids: what each statement is given.

    It reads two columns of the tables, about two bytes a row, and only for tasks that have a text which is not its id.
    """
    label_ids = LabelIds.of(tasks)
    if not label_ids.ids:
        return []
    known = sorted({label for task in tasks.values() for label in task.labels})
    found: list[dict[str, Any]] = []
    for row in warehouse.query("monitor/labels_spelled", tasks=[*label_ids.ids], known=known):
        texts = label_ids.texts[row["task"]]
        named = {said: texts[folded(said)] for said in row["labels"] if folded(said) in texts}
        if named:
            where = {"table": row["table"], "task": row["task"], "partition": row["partition"]}
            found.append(where | {"said": [*named], "ids": [*named.values()]})
    return found
