"""The models behind addresses that a task's plan names: the incumbent, a judge."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field

from headrace.plan.section import NotNegative, Positive, Section


def place_of(url: str) -> str:
    """An address as clients and logs may see it: without a user and a query, which may hold secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "the upstream"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


class Upstream(Section):
    """An OpenAI-compatible or a decision endpoint: the incumbent, a judge."""

    url: Annotated[str, Field(pattern=r"^https?://[^\s]+$")]
    """Up to and with /v1."""
    model: str
    """The model name to ask for; of a decision endpoint the task there."""
    api: Literal["chat", "decisions"] = "chat"
    """What it speaks: OpenAI's chat completions, or /v1/decisions as a headrace gateway does."""
    key_env: str = ""
    """The environment variable that holds the API key; empty for none."""
    timeout_s: Positive = 60.0
    """Of an answer; left out, the incumbent of a task of kind `generate` has 600 when requests pass to it."""
    usd_per_million_in: NotNegative = 0.0
    usd_per_million_out: NotNegative = 0.0
    parameters: Annotated[int, Field(ge=0)] = 0
    """How many the model has, for the report."""


class Incumbent(Upstream):
    """The big model that serves until a tuned one takes over."""

    version: str = "incumbent"
    """The name it has in events, as `router@0`."""
    images: bool = False
    """Whether it takes images: a question's parts then go to it as they came. Tuned versions read texts alone."""


class Judge(Upstream):
    """The model that says which step failed behind a negative signal."""

    version: str = "judge@1"
    concurrency: Annotated[int, Field(ge=1, le=256)] = 8
