"""For the tests of a program that emits events: a client in memory, which takes and refuses what the real one does.

    from headrace.testing import RecordingClient

    client = RecordingClient()
    answer = helpdesk(client).ask("My VPN is down")       # the program under test
    assert [event.label for event in client.inferences] == ["it"]

It is checked as strictly as headrace.client: a wrong field raises EventError in the test as it would in production.
With pytest, `pytest_plugins = ["headrace.testing.fixtures"]` in a conftest.py gives tests `headrace_client`.

recording  the client that keeps what it is given
fixtures   for pytest
"""

from headrace.testing.recording import AsyncRecordingClient, RecordingClient

__all__ = ["AsyncRecordingClient", "RecordingClient"]
