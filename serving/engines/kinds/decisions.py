"""A decision endpoint: `/v1/decisions` of another headrace gateway, which chooses among labels and writes no text."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncGenerator, Mapping
from http import HTTPStatus

from headrace.contract.decisions import PATH, NoDecision, body_of, decided
from headrace.plan.engines import EngineKeys
from headrace.plan.upstreams import Incumbent
from serving.engines.endpoint_answers import Passing, content_of, failure, reason_of
from serving.engines.engine import (
    Capability,
    Delta,
    Engine,
    EngineFailed,
    Final,
    Request,
    UnsupportedRequest,
    question_of,
)
from serving.engines.hosts import Host, HostedModel
from serving.engines.kinds import openai
from serving.engines.server_sent import TooLarge

BUNDLES = openai.BUNDLES
host_of = openai.host_of


class Keys(openai.Keys):
    """Its table in the plan: an endpoint's, whose `model` is the task there."""


def of_incumbent(incumbent: Incumbent) -> Keys:
    """The incumbent of a task, as an engine."""
    return Keys.model_validate(openai.of_incumbent(incumbent).model_dump() | {"kind": "decisions"})


async def open(keys: EngineKeys, model: HostedModel, environ: Mapping[str, str]) -> Host:
    """The endpoint. Raises PlanError where its API key is missing."""
    assert isinstance(keys, Keys)
    return Decisions(keys, openai.key_of(keys.key_env, keys.place, environ))


class Decisions(openai.Endpoint):
    """Connections to one address."""

    async def engine(self, model: HostedModel) -> Engine:
        """See Host.engine."""
        return DecisionModel(self, self.keys.model or model.name)

    async def posted(self, body: bytes) -> bytes:
        """The body of an answer, tried once more where the failure may pass. Raises EngineFailed."""
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=self.keys.timeout_s)
        for left in reversed(range(openai.ATTEMPTS)):
            try:
                async with self._http.post(
                    self.keys.url.rstrip("/") + PATH,
                    data=body,
                    headers=openai.JSON,
                    allow_redirects=False,
                    timeout=timeout,
                ) as response:
                    if response.status == HTTPStatus.OK:
                        return await content_of(response)
                    raise failure(self.keys.place, response)
            except Passing:
                if not left:
                    raise
            except TooLarge as error:
                raise EngineFailed(f"{self.keys.place} answered too much: {error}") from None
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                if not left:
                    raise EngineFailed(f"{self.keys.place} did not answer: {reason_of(error)}") from None
        raise AssertionError


class DecisionModel(Engine):
    """A task of the endpoint. Failures are tried again as a chat endpoint's are (kinds/openai.py)."""

    capabilities = frozenset({Capability.LABEL_SCORES})
    labels = ()

    def __init__(self, endpoint: Decisions, task: str) -> None:
        self._endpoint = endpoint
        self._task = task

    async def run(self, request: Request) -> AsyncGenerator[Delta | Final]:
        """See Engine.run."""
        place = self._endpoint.keys.place
        if not request.labels:
            raise UnsupportedRequest(f"{place} chooses among labels and writes no text")
        started = time.perf_counter()
        asked = body_of(self._task, question_of(request.messages), request.labels)
        content = await self._endpoint.posted(json.dumps(asked).encode())
        try:
            found = decided(content, request.labels)
        except NoDecision as error:
            raise EngineFailed(f"{place} answered something that is no decision: {error}") from None
        elapsed_ms = (time.perf_counter() - started) * 1000
        yield Final(scores=found.probabilities, chosen=found.label, first_token_ms=elapsed_ms)

    async def close(self) -> None:
        """The connections are the host's."""
