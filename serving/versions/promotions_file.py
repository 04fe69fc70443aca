"""The last promotions this gateway saw, in a file: what it serves until a newer one is seen, also over a restart."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

from headrace.contract.compacted import Compacted, Unreadable, reading
from headrace.contract.control import Promotion
from headrace.contract.topics import PROMOTIONS

log = logging.getLogger(__name__)

WHOLE = ""
"""The key of what cannot be read where the whole file cannot be."""


def load(file: Path) -> Compacted[Promotion]:
    """By task; nothing where there is no file. A file of which anything cannot be read is kept aside, and logged."""
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return Compacted({}, {})
    except OSError as error:
        return _unreadable(f"{file} cannot be read: {error}")
    try:
        entries = {str(fields["task"]): json.dumps(fields).encode() for fields in json.loads(content)}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        _keep_aside(file, content)
        return _unreadable(f"{file} holds no promotions: {error!r}")
    found = [reading(task.encode(), value, PROMOTIONS, Promotion) for task, value in entries.items()]
    unreadable = {one.key: one for one in found if isinstance(one, Unreadable)}
    if unreadable:
        _keep_aside(file, content)
    return Compacted({one.task: one for one in found if isinstance(one, Promotion)}, unreadable)


def save(file: Path, promotions: Mapping[str, Promotion]) -> None:
    """Replace the file whole. A disk that is full is logged: Kafka still has the promotions."""
    text = json.dumps([promotion.model_dump(mode="json") for promotion in promotions.values()], indent=1)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        # Gateways that share an address share the file too.
        staging = file.with_suffix(f".{os.getpid()}.new")
        staging.write_text(text, "utf-8")
        staging.replace(file)
    except OSError as error:
        log.warning("the promotions cannot be kept in %s: %s", file, error)


def _unreadable(reason: str) -> Compacted[Promotion]:
    return Compacted({}, {WHOLE: Unreadable(WHOLE, reason)})


def _keep_aside(file: Path, content: bytes) -> None:
    """Give the file a second name, which needs no room on the disk; `save` replaces the first."""
    aside = file.with_name(f"{file.stem}.{hashlib.sha256(content).hexdigest()[:12]}.unreadable")
    try:
        aside.hardlink_to(file)
    except FileExistsError:
        return
    except OSError as error:
        log.error("%s cannot be read, and not be kept as %s: %s", file, aside, error)
        return
    log.error("%s cannot be read in whole: it is kept as %s", file, aside)
