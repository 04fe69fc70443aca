"""Requests for models that are no tasks, and for tasks that are texts: passed to an upstream, recorded on the way."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID

from headrace.access.proofs import Proofs
from headrace.access.roles import Principal
from headrace.contract import fast_reading
from headrace.plan import Plan
from serving.answering.asking import Asking
from serving.answering.gateway import Recorder
from serving.engines.admission import Place
from serving.engines.engine import EngineFailed
from serving.http.metrics import Metrics
from serving.proxy import passing
from serving.proxy.calls import Call
from serving.proxy.passing import Passing
from serving.proxy.record import inference_of
from serving.proxy.targets import Target, Targets
from serving.proxy.watch import Watch

if TYPE_CHECKING:
    import aiohttp
    from starlette.requests import Request

    from serving.proxy.posting import Poster

log = logging.getLogger(__name__)

LIST_S = 5.0
"""How long an upstream may take to name its models."""


class Proxy:
    """Passes requests. Its connections open with the first.

    environ: where an upstream's `key_env` is looked up
    Raises PlanError where an API key is missing.
    """

    def __init__(
        self, plan: Plan, recorder: Recorder, proofs: Proofs, metrics: Metrics, environ: Mapping[str, str]
    ) -> None:
        self.targets = Targets(plan, environ)
        self._recorder = recorder
        self._proofs = proofs
        self._passed = functools.cache(metrics.passed.labels)
        self._http: aiohttp.ClientSession | None = None
        self._posting: Poster | None = None

    async def passed(
        self, target: Target, call: Call, request: Request, asking: Asking, principal: Principal
    ) -> tuple[UUID, Passing]:
        """The id that the answer is recorded under, and the answer as far as it has come: its status and headers.

        request: the client's, whose headers and query pass on
        Raises EngineFailed where the upstream gives none.
        """
        inference_id = asking.inference_id or self._proofs.mint()
        caller = f"{principal.tenant} {principal.key_id}"
        watch = Watch()
        place: Place | None = None
        try:
            place = target.admission.entered(asking.deadline, caller)
            if place is None:
                place = await target.admission.turn(asking.deadline, caller)
            response = await passing.sent(self._poster(), target, call, request, asking.deadline)
        except BaseException as error:
            if place is not None:
                place.leave()
            self._count(target, "failed" if isinstance(error, EngineFailed) else "interrupted")
            raise
        watch.streamed = response.content_type == passing.STREAM
        watch.packed(response.headers.get("content-encoding", "").strip().lower())
        answers = 200 <= response.status < 300

        def ended(watch: Watch) -> None:
            refused = not answers or watch.failed
            self._count(target, "refused" if refused else "answered" if watch.whole else "interrupted")
            if answers and (watch.whole or watch.output):
                self._record(inference_id, call, target, watch, asking, principal)

        return inference_id, Passing(response, place, watch, asking.deadline, ended)

    async def models(self) -> list[dict[str, Any]]:
        """Those that the default upstream names, as it does; none where there is none or it does not answer."""
        import aiohttp

        target = self.targets.default
        if target is None:
            return []
        url = f"{target.keys.url.rstrip('/')}/models"
        timeout = aiohttp.ClientTimeout(total=LIST_S)
        try:
            async with self._session().get(
                url,
                headers=target.headers,
                allow_redirects=False,
                timeout=timeout,
            ) as response:
                said = await response.json(content_type=None) if response.status == 200 else None
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            log.warning("%s does not name its models: %s", target.keys.place, passing.reason(error))
            return []
        listed = said.get("data") if isinstance(said, dict) else None
        return [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []

    async def close(self) -> None:
        """Give the connections back."""
        if self._http is not None:
            await self._http.close()
        if self._posting is not None:
            await self._posting.close()

    def _record(
        self, inference_id: UUID, call: Call, target: Target, watch: Watch, asking: Asking, principal: Principal
    ) -> None:
        try:
            event = inference_of(inference_id, call, target, watch, asking, principal, self._recorder.emitter)
            event.proof = self._proofs.proof(event)
            self._recorder.answered(event, fast_reading.body(event))
        except Exception as error:  # an answer does not fail because it cannot be recorded
            log.error("an answer of %s was not recorded: %s", target.name, type(error).__name__)

    def _count(self, target: Target, outcome: str) -> None:
        self._passed(target.name, outcome).inc()

    def _poster(self) -> Poster:
        if self._posting is None:
            from serving.proxy.posting import Poster

            # How many at once is each target's admission's to say.
            self._posting = Poster()
        return self._posting

    def _session(self) -> aiohttp.ClientSession:
        if self._http is None:
            import aiohttp

            self._http = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("user-agent", "accept"),
            )
        return self._http
