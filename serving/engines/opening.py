"""From what a promotion names to an engine that can answer."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from headrace.contract.control import Served
from headrace.errors import ArtifactError, PlanError
from headrace.models import scoring
from headrace.plan import Plan, Task
from serving.engines.encoder import Encoder
from serving.engines.engine import Engine
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
        return Encoder(scorer, candidate.usd_per_hour if candidate else DEFAULT_USD_PER_HOUR)

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
        return UpstreamModel(incumbent, spec.labels, spec.describe, key)


def checked(task: str, served: Served) -> scoring.Scorer:
    """Verify, load and compare with the recorded log-probabilities. Raises ArtifactError."""
    scorer = scoring.Scorer.load(Path(served.artifact), served.digest)
    manifest = scorer.manifest
    if (manifest.task, manifest.version) != (task, served.version):
        raise ArtifactError(
            f"the artifact at {served.artifact} is {manifest.version} of task {manifest.task},"
            f" not {served.version} of task {task} as promoted; promote it again"
        )
    off = scorer.parity()
    # Written so that a parity of NaN is refused too.
    if not off <= scoring.PARITY_TOLERANCE:
        raise ArtifactError(
            f"{served.version} is off by {off:.2g} from the log-probabilities of its evaluation"
            f" (at most {scoring.PARITY_TOLERANCE:g}); publish it again"
        )
    return scorer


def warm() -> None:
    """Import what artifacts need: some ten seconds of work that would else be the first rollout's."""
    import peft  # noqa: F401

    scoring.Encoder()
