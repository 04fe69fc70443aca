"""`headrace keys`: what it prints, and what it never does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from headrace.access.key_ring import KeyRing
from headrace.access.roles import Role
from headrace.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def test_keys_are_made_listed_rotated_and_revoked(headrace_with: Any, settings: Settings) -> None:
    """A key is printed once, alone on standard output; lists show its rights and neither it nor its digest."""
    headrace = headrace_with(settings)
    made = headrace(
        "keys", "add", "crm", "--tenant", "acme", "--role", "outcome", "--rate", "50/500", "--expires", "90d"
    )
    key, digest = made.out.strip(), ""
    found = KeyRing(settings.keys).find(key)
    assert made.code == 0 and found is not None and key not in made.err
    assert (found.tenant, found.roles, str(found.rate)) == ("acme", frozenset({Role.OUTCOME}), "50/500")
    for line in settings.keys.read_text().splitlines():
        digest = line.split('"')[3] if "digest" in line else digest
    rotated = headrace("keys", "rotate", "crm", "--overlap", "30m")
    lists = [headrace("keys", "list"), headrace("keys", "list", "--json")]
    assert [(row["state"], row["name"], row["roles"]) for row in lists[1].json] == 2 * [("active", "crm", ["outcome"])]
    for said in lists:
        assert key.split("_")[1] in said.out
        for hidden in (key.rsplit("_", 1)[1], rotated.out.strip().rsplit("_", 1)[1], digest):
            assert hidden not in said.out + said.err
    assert headrace("keys", "revoke", found.key_id).code == 0
    assert KeyRing(settings.keys).find(key) is None
    assert KeyRing(settings.keys).find(rotated.out.strip()) is not None


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["add", "x", "--role", "admin"], "there is no role 'admin'; there are ingest, publish"),
        (["add", "x", "--role", "ingest", "--expires", "soon"], "'soon' is not a duration: write it as 90d"),
        (["add", "", "--role", "ingest"], "key.name: String should have at least 1 character"),
        (["revoke", "x"], "has no active key 'x'; `headrace keys list` shows ids and names"),
    ],
)
def test_a_mistake_is_one_sentence(headrace_with: Any, settings: Settings, options: list[str], says: str) -> None:
    """On standard error, with exit code 2 and nothing on standard output."""
    said = headrace_with(settings)("keys", *options)
    assert (said.code, said.out) == (2, "") and says in said.err
    assert len(said.err.strip().splitlines()) == 1


def test_keys_take_the_role_operate(headrace_with: Any, settings: Settings) -> None:
    """The holder of another key cannot make one, list or end them, and is told which role it takes."""
    owner = headrace_with(settings)
    held = {role: owner("keys", "add", role, "--role", role).out.strip() for role in ("ingest", "operate")}
    for command in (["add", "y", "--role", "read"], ["list"], ["rotate", "ingest"], ["revoke", "ingest"]):
        said = headrace_with(settings.replaced(key=held["ingest"]))("keys", *command)
        assert (said.code, said.out) == (2, "") and "takes a key with the role operate" in said.err
        assert held["ingest"].rsplit("_", 1)[1] not in said.err
        assert headrace_with(settings.replaced(key=held["operate"]))("keys", *command).code == 0


def test_an_operator_has_no_say_in_keys_of_another_tenant(headrace_with: Any, settings: Settings) -> None:
    """A key with the role operate makes and ends keys of its own tenant alone; the owner of the home those of all."""
    headrace = headrace_with(settings)
    operator = headrace("keys", "add", "ops", "--tenant", "acme", "--role", "operate").out.strip()
    assert headrace("keys", "add", "crm", "--role", "outcome").code == 0
    as_operator = headrace_with(settings.replaced(key=operator))
    for options in (["add", "x", "--role", "review"], ["revoke", "crm"], ["rotate", "crm"]):
        said = as_operator("keys", *options)
        assert (said.code, said.out) == (2, "") and "has no say in keys of default" in said.err
    assert as_operator("keys", "add", "desk", "--tenant", "acme", "--role", "ingest").code == 0
