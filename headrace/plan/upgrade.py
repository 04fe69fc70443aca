"""A plan of version 1 as one of version 2 that does the same. What the file says besides, comments too, stays."""

from __future__ import annotations

import re
import tomllib

from headrace.errors import PlanError
from headrace.plan import gating, methods
from headrace.plan.reading import line_of, parse
from headrace.plan.sections import PLAN_VERSION


def upgraded(text: str, name: str = "flywheel.toml") -> str:
    """The new text. Raises PlanError where the plan is wrong, or written so that a person has to change it."""
    before = parse(text, name)
    if before.version == PLAN_VERSION:
        return text
    text = _without_what_no_method_reads(text)
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
    if before.privacy.pool_tenants is None:
        after = _pooling(after)
    found, why = before, ""
    try:
        found = parse(after, name)
    except PlanError as error:
        why = f" ({error})"
    same = all(found.mode(task) == before.mode(task) for task in before.tasks)
    if found.version != PLAN_VERSION or not same or found.pools_tenants != before.pools_tenants:
        raise PlanError(
            f"{name} is written in a way that cannot be changed by itself{why}; set version = 2, each task's mode and"
            " privacy.pool_tenants = true"
        )
    return after


def _without_what_no_method_reads(text: str) -> str:
    """Without the gate's retired key, and keys of candidates that version 1 took and their methods never looked at."""
    lines = text.splitlines(keepends=True)
    gone, fields = set(), tomllib.loads(text)
    for where, key in [*methods.unread(fields), *((where, gating.RETIRED) for where, _ in gating.retired(fields))]:
        number = line_of(text, [*where, key])
        if re.match(rf"\s*{key}\s*=", lines[number - 1]):
            gone.add(number)
    return "".join(line for number, line in enumerate(lines, 1) if number not in gone)


def _pooling(text: str) -> str:
    lines = text.splitlines(keepends=True)
    number = _table(text, r"privacy")
    if number:
        lines.insert(number, "pool_tenants = true\n")
        return "".join(lines)
    return text.rstrip("\n") + "\n\n[privacy]\npool_tenants = true\n"


def _header(text: str, task: str) -> int:
    """The line of a task's own table, from 1; 0 where it has none."""
    return _table(text, rf"tasks\s*\.\s*[\"\']?{re.escape(task)}[\"\']?")


def _table(text: str, name: str) -> int:
    """The line of the table that a pattern names, from 1; 0 where there is none."""
    for number, line in enumerate(text.splitlines(), 1):
        if re.fullmatch(rf"\s*\[\s*{name}\s*\]\s*(#.*)?", line):
            return number
    return 0
