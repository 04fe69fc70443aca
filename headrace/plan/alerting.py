"""The table of the plan that says who is told what happens."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import Field

from headrace.plan.section import Section

AlertKind = Literal[
    "trigger", "promotion", "rollback", "no_winner", "failed", "detector", "missing", "stopped", "dropped", "unreadable"
]


class Alerts(Section):
    """Who is told what happens. Without this table nobody is, and nothing is called."""

    webhook: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Where each alert is posted as JSON; `text` in it is a plain sentence, as Slack and its like take it."""
    secret_env: str = ""
    """The environment variable with the secret that signs each body in X-Headrace-Signature; empty for none."""
    kinds: Annotated[tuple[AlertKind, ...], Field(min_length=1)] = get_args(AlertKind)
    """What is told: all there is where the key is left out."""
    look_s: Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)] = 10.0
    """How often the warehouse is asked for what is to be told, wall clock."""
    timeout_s: Annotated[float, Field(gt=0, le=300, allow_inf_nan=False)] = 10.0
    """How long the receiver may take to answer."""
