"""What is added by one file: a family of models, a method of tuning, an evaluator of candidates, an engine.

Each has a folder of such files, and whoever distributes a folder names it by an entry point of the group
`headrace.kinds`: headrace's own are in pyproject.toml, and a company's own package adds to them in the same way. So a
plan may name a method that headrace itself does not import. A file is found by its name and loaded when it is needed;
what it imports at its top is light, so that a plan can be checked without torch.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from importlib.util import find_spec
from types import ModuleType
from typing import Literal

from headrace.errors import PlanError

GROUP = "headrace.kinds"
What = Literal["families", "methods", "evaluators", "engines"]
HAS = {
    "families": ("CAN", "DTYPES", "load_base", "open", "tunable", "embedded"),
    "methods": ("NEEDS", "EFFORT", "MAKES", "Keys", "tune"),
    "evaluators": ("evaluate",),
    "engines": ("Keys", "BUNDLES", "host_of", "open"),
}
"""What a file has to have."""


def names(what: What) -> tuple[str, ...]:
    """What there is on this machine, in the order of the alphabet."""
    return tuple(sorted(_modules(what)))


def load(what: What, name: str) -> ModuleType:
    """The file of that name. Raises PlanError, which says what there is."""
    module = _modules(what).get(name)
    if module is None:
        there = ", ".join(names(what)) or "none on this machine"
        raise PlanError(f"{name!r} is none of the {what} that this version knows: {there}")
    try:
        found = import_module(module)
    except ImportError as error:
        raise PlanError(f"{module} cannot be loaded: {error}") from None
    if missing := [attribute for attribute in HAS[what] if not hasattr(found, attribute)]:
        raise PlanError(f"{module} has no {', '.join(missing)}, which each of the {what} needs")
    return found


@cache
def _modules(what: What) -> dict[str, str]:
    """Where each is, by name; of two with one name the first that was installed."""
    found: dict[str, str] = {}
    for folder in _folders(what):
        try:
            spec = find_spec(folder)
        except ModuleNotFoundError:  # a part that was not installed with what it needs has nothing to offer here
            continue
        for module in pkgutil.iter_modules((spec and spec.submodule_search_locations) or ()):
            if not module.name.startswith("_"):
                found.setdefault(module.name, f"{folder}.{module.name}")
    return found


def _folders(what: What) -> Iterator[str]:
    for point in entry_points(group=GROUP, name=what):
        yield point.value
