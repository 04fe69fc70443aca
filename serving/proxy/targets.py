"""Which upstream answers which model: those of the plan's [gateway], and the incumbents of tasks that are texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from headrace.plan import Incumbent, Plan
from serving.engines.admission import Admission
from serving.engines.kinds import openai
from serving.proxy.calls import Endpoint

if TYPE_CHECKING:
    from aiohttp import ClientTimeout
    from yarl import URL


@dataclass(frozen=True, slots=True)
class Target:
    """An upstream for one model.

    name: of the engine, or of the task whose incumbent it is
    model: what the upstream calls it; empty: as the client does
    urls: by path
    headers: those that the upstream knows the gateway by
    task, version: as events name them; empty: by the model's name, as the client and the answer have it
    """

    name: str
    model: str
    keys: openai.Keys
    urls: Mapping[Endpoint, URL]
    headers: Mapping[str, str]
    timeout: ClientTimeout
    admission: Admission
    task: str = ""
    version: str = ""


class Targets:
    """The plan's upstreams.

    environ: where an upstream's `key_env` is looked up
    Raises PlanError where its API key is missing.
    """

    def __init__(self, plan: Plan, environ: Mapping[str, str]) -> None:
        self._engines = {name: _target(name, _keys(plan, name), environ) for name in set(plan.gateway.engines.values())}
        self._models = plan.gateway.models
        self._upstream = plan.gateway.upstream
        self._tasks = {
            name: _target(f"incumbent of {name}", _of_texts(task.incumbent), environ, name, task.incumbent.version)
            for name, task in plan.tasks.items()
            if name not in plan.served
        }

    @property
    def tasks(self) -> list[str]:
        """Tasks that answer by passing to their incumbents."""
        return list(self._tasks)

    @property
    def default(self) -> Target | None:
        """The upstream of every model that has none of its own."""
        return self._engines[self._upstream] if self._upstream else None

    @property
    def models(self) -> list[str]:
        """Models that the plan names."""
        return list(self._models)

    def of(self, model: str) -> Target | None:
        """The upstream of a model; None where the plan names none."""
        if found := self._tasks.get(model):
            return found
        engine = self._models.get(model, self._upstream)
        return self._engines[engine] if engine else None


def _keys(plan: Plan, name: str) -> openai.Keys:
    keys = plan.engines[name].keys()
    assert isinstance(keys, openai.Keys)
    return keys


def _of_texts(incumbent: Incumbent) -> openai.Keys:
    """The incumbent of a task that is texts: one that writes is waited for as any model of an upstream is."""
    keys = openai.of_incumbent(incumbent)
    if "timeout_s" in incumbent.model_fields_set:
        return keys
    return keys.model_copy(update={"timeout_s": openai.Keys.model_fields["timeout_s"].default})


def _target(name: str, keys: openai.Keys, environ: Mapping[str, str], task: str = "", version: str = "") -> Target:
    from aiohttp import ClientTimeout
    from yarl import URL

    key = openai.key_of(keys.key_env, keys.place, environ)
    return Target(
        name,
        keys.model,
        keys,
        {endpoint: URL(f"{keys.url.rstrip('/')}/{endpoint}") for endpoint in Endpoint},
        {"authorization": f"Bearer {key}"} if key else {},
        ClientTimeout(total=None, sock_connect=keys.connect_s, sock_read=keys.timeout_s),
        Admission(name, keys.capacity, keys.queue),
        task,
        version,
    )
