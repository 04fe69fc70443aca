from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from stage import Upstream, artifact

from headrace.control import Served


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    """An OpenAI-like server on a port of its own."""
    async with Upstream().running() as server:
        yield server


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int, str], Served]:
    """router@number that always says a label, published once a session."""
    root: Path = tmp_path_factory.mktemp("artifacts")
    made: dict[tuple[int, str], Served] = {}

    def published(number: int, label: str) -> Served:
        if (number, label) not in made:
            made[number, label] = artifact(root / label, number, label)
        return made[number, label]

    return published
