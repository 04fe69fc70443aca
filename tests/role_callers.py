"""A client of each role that goes on asking while every key is rotated."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
from warm_processes import HEADRACE, run

from headrace.access.keys import make, rotate
from headrace.access.roles import Role
from headrace.contract.events import new_feedback
from headrace.settings import Settings

PAGE = "https://helpdesk.example.com"
OVERLAP = timedelta(seconds=3)


def key_of_each_role(file: Path) -> dict[Role, str]:
    """A new key by role, which bears the role's name."""
    return {
        role: make(file, role, "default", frozenset({role}), "test", [PAGE] if role is Role.PUBLISH else ())[
            1
        ].get_secret_value()
        for role in Role
    }


def key_id(key: str) -> str:
    return key.split("_")[1]


@dataclass(frozen=True)
class Told:
    """What became of one request, and between which times the gateway looked at its key."""

    sent_at: datetime
    told_at: datetime
    status: int


@dataclass
class Client:
    """Asks what its role may ask, one request after the other, until it is refused or stopped."""

    ask: Callable[[str], Awaitable[int]]
    key: str
    told: list[Told] = field(default_factory=list)
    stopped: bool = False
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        while not self.stopped and (not self.told or self.told[-1].status != 401):
            sent_at = datetime.now(UTC)
            status = await self.ask(self.key)
            self.told.append(Told(sent_at, datetime.now(UTC), status))
            self.began.set()


class Callers:
    """One client for each role, of a gateway whose keys they are.

    settings: where the gateway and its key file are
    """

    def __init__(self, settings: Settings, http: httpx.AsyncClient, keys: dict[Role, str]) -> None:
        self._settings, self._http, self._keys = settings, http, keys

    async def rotate(self, switch: Callable[[dict[Role, str]], Awaitable[None]] | None = None) -> dict[Role, str]:
        """Rotate all keys while they are in use; the new ones. No request fails but with an old key after its end.

        switch: awaited with the new keys, for callers that are none of these
        """
        headers = {"authorization": f"Bearer {self._keys[Role.INGEST]}"}
        answer = await self._http.post("/v1/route", json={"text": "How do I reset my password?"}, headers=headers)
        answered, token = answer.raise_for_status().json()["inference_id"], answer.headers["x-headrace-token"]
        outcome = new_feedback(answered, "outcome", "resolution", value=1).to_json()
        verdict = new_feedback(answered, "reviewer", "verdict", blame="no_error").to_json()

        async def post(path: str, key: str, content: bytes, **headers: str) -> int:
            given = {"authorization": f"Bearer {key}"} | headers
            return (await self._http.post(path, content=content, headers=given)).status_code

        async def read(key: str) -> int:
            # As from another machine: on this one figures take no key.
            given = {"authorization": f"Bearer {key}", "x-forwarded-for": "192.0.2.1"}
            return (await self._http.get("/metrics", headers=given)).status_code

        def clients(keys: dict[Role, str]) -> dict[Role, Client]:
            thumb = b'{"signal":"thumb","value":1,"token":"%b"}' % token.encode()
            asks: dict[Role, Callable[[str], Awaitable[int]]] = {
                Role.INGEST: lambda key: post("/v1/route", key, b'{"text":"Where is my payslip?"}'),
                Role.PUBLISH: lambda key: post("/v1/feedback", key, thumb, origin=PAGE),
                Role.OUTCOME: lambda key: post("/v1/feedback", key, outcome),
                Role.REVIEW: lambda key: post("/v1/events", key, verdict),
                Role.OPERATE: self._list_keys,
                Role.READ: read,
            }
            return {role: Client(asks[role], keys[role]) for role in Role}

        old, file, ends, renewed = clients(self._keys), self._settings.keys, {}, {}
        async with asyncio.TaskGroup() as group:
            asking = [group.create_task(client.run()) for client in old.values()]
            for client in old.values():
                await client.began.wait()
            for role in Role:
                ending, _, text = rotate(file, role, OVERLAP, "test")
                ends[role], renewed[role] = ending.expires_at, text.get_secret_value()
            new = clients(renewed)
            for client in new.values():
                group.create_task(client.run())
            if switch is not None:
                await switch(renewed)
            await asyncio.wait(asking)
            for client in new.values():
                client.stopped = True
        for role, client in old.items():
            *before, last = client.told
            assert all(one.status < 300 and one.sent_at < ends[role] for one in before), (role, client.told)
            assert last.status == 401 and last.told_at >= ends[role], (role, last)
        for role, client in new.items():
            assert client.told and all(one.status < 300 for one in client.told), (role, client.told)
        return renewed

    async def _list_keys(self, key: str) -> int:
        """The command line, whose exit code 2 says that the key is none."""
        environ = os.environ | self._settings.environ() | {"HEADRACE_KEY": key}
        code, _, error = await asyncio.to_thread(run, "headrace", [*HEADRACE, "keys", "list"], env=environ)
        assert code == 0 or "HEADRACE_KEY is no active key" in error, error
        return 401 if code else 200
