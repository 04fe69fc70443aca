"""A plan of version 1 as one of version 2 that does the same. What the file says besides, comments too, stays."""

from __future__ import annotations

import re

from headrace.errors import PlanError
from headrace.plan.reading import line_of, parse
from headrace.plan.sections import PLAN_VERSION


def upgraded(text: str, name: str = "flywheel.toml") -> str:
    """The new text. Raises PlanError where the plan is wrong, or written so that a person has to change it."""
    before = parse(text, name)
    if before.version == PLAN_VERSION:
        return text
    lines = text.splitlines(keepends=True)
    version = line_of(text, ["version"])
    lines[version - 1] = re.sub(r"=\s*1", f"= {PLAN_VERSION}", lines[version - 1])
    # From the last to the first, so that the numbers of the lines before stay what they are.
    places = {task: _header(text, task) for task, spec in before.tasks.items() if spec.mode is None}
    for task, number in sorted(places.items(), key=lambda item: -item[1]):
        if not number:
            raise PlanError(
                f'{name}: task {task} has no table [tasks.{task}]; set its mode = "auto" and version = 2 there'
            )
        lines.insert(number, 'mode = "auto"\n')
    after = "".join(lines)
    found = parse(after, name)
    if any(found.mode(task) != before.mode(task) for task in before.tasks):
        raise PlanError(
            f"{name} is written in a way that cannot be changed by itself; set version = 2 and each task's mode"
        )
    return after


def _header(text: str, task: str) -> int:
    """The line of a task's own table, from 1; 0 where it has none."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.fullmatch(rf"\s*\[\s*tasks\s*\.\s*[\"\']?{re.escape(task)}[\"\']?\s*\]\s*(#.*)?", line):
            return number
    return 0
