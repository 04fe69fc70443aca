"""For pytest: `pytest_plugins = ["headrace.testing.fixtures"]` in a conftest.py."""

from __future__ import annotations

import pytest

from headrace.testing.recording import RecordingClient


@pytest.fixture
def headrace_client() -> RecordingClient:
    """A client in memory, empty in each test."""
    return RecordingClient()
