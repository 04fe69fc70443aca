"""Answer tokens: made for one answer of one tenant, for seven days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from headrace.access.tokens import LIFETIME, TokenError, answer_token, answered
from headrace.contract import ids

SECRET = SecretStr("s3cret")
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
ANSWER = ids.uuid7(NOW)
TOKEN = answer_token(SECRET, "acme", ANSWER, NOW)


def test_a_token_names_its_answer_until_it_expires() -> None:
    """It holds for seven days to the second, and says when it was made."""
    last = NOW + LIFETIME - timedelta(seconds=1)
    for now in (NOW, last):
        found = answered(SECRET, "acme", TOKEN, now)
        assert (found.inference_id, found.issued_at) == (ANSWER, NOW)
    with pytest.raises(TokenError, match="older than 7 days"):
        answered(SECRET, "acme", TOKEN, last + timedelta(seconds=1))


@pytest.mark.parametrize(("secret", "tenant"), [(SecretStr("other"), "acme"), (SECRET, "globex"), (SECRET, "")])
def test_a_token_is_one_tenants_and_one_secrets(secret: SecretStr, tenant: str) -> None:
    """Another tenant's key and another flywheel's gateway do not know it."""
    with pytest.raises(TokenError, match="not one that a gateway made"):
        answered(secret, tenant, TOKEN, NOW)


@given(st.integers(0, len(TOKEN) - 1), st.characters(max_codepoint=0x2FF))
def test_a_changed_token_is_refused(place: int, letter: str) -> None:
    """Whichever of its characters is another."""
    changed = TOKEN[:place] + letter + TOKEN[place + 1 :]
    if changed != TOKEN:
        with pytest.raises(TokenError):
            answered(SECRET, "acme", changed, NOW)


@given(st.text())
def test_any_other_text_is_refused(text: str) -> None:
    """Nothing but TokenError is raised."""
    with pytest.raises(TokenError):
        answered(SECRET, "acme", text, NOW)
