"""From what a promotion names to an engine that can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from headrace.contract.control import Served
from headrace.errors import ArtifactError, PlanError
from headrace.models.families import Model, encoder, load
from headrace.models.family import PARITY_TOLERANCE, parity
from headrace.plan import Plan, Task
from serving.engines.engine import Engine
from serving.engines.in_process import InProcess
from serving.engines.upstream import UpstreamModel

DEFAULT_USD_PER_HOUR = 0.05
"""For an artifact of a candidate that the plan no longer has: the plan's own default."""


@dataclass(frozen=True, slots=True)
class Opener:
    """Opens engines for the tasks of a plan.

    environ: where an upstream's `key_env` is looked up
    """

    plan: Plan
    environ: Mapping[str, str]

    async def open(self, task: str, served: Served) -> Engine:
        """An engine that was verified and gives the answers it was evaluated with.

        Raises ArtifactError or PlanError: what is wrong with the version, in one sentence.
        """
        spec = self.plan.task(task)
        if not served.artifact:
            return self._upstream(spec, served)
        scorer = await asyncio.to_thread(checked, task, served)
        candidate = spec.candidates.get(scorer.manifest.candidate)
        return InProcess(scorer, candidate.usd_per_hour if candidate else DEFAULT_USD_PER_HOUR)

    def _upstream(self, spec: Task, served: Served) -> UpstreamModel:
        incumbent = spec.incumbent
        if served.version != incumbent.version:
            raise ArtifactError(
                f"{served.version} names no artifact and is not the plan's incumbent {incumbent.version};"
                " promote it again"
            )
        key = self.environ.get(incumbent.key_env) if incumbent.key_env else None
        if incumbent.key_env and not key:
            raise PlanError(f"the incumbent's API key is missing; set the environment variable {incumbent.key_env}")
        return UpstreamModel(incumbent, spec.names, spec.describe, spec.out_of_scope, key)


def checked(task: str, served: Served) -> Model:
    """Verify, load and compare with the recorded log-probabilities. Raises ArtifactError."""
    scorer = load(served.artifact, served.digest)
    manifest = scorer.manifest
    if (manifest.task, manifest.version) != (task, served.version):
        raise ArtifactError(
            f"the artifact at {served.artifact} is {manifest.version} of task {manifest.task},"
            f" not {served.version} of task {task} as promoted; promote it again"
        )
    off, most = parity(scorer), PARITY_TOLERANCE[manifest.of_base.dtype]
    # Written so that a parity of NaN is refused too.
    if not off <= most:
        raise ArtifactError(
            f"{served.version} is off by {off:.2g} from the log-probabilities of its evaluation"
            f" (at most {most:g}); publish it again"
        )
    return scorer


def warm() -> None:
    """Import what artifacts need: some ten seconds of work that would else be the first rollout's."""
    import peft  # noqa: F401

    encoder.Encoder()
