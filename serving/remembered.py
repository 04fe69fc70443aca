"""The last promotions this gateway saw, in a file: what it serves when it starts and Kafka does not answer."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from pathlib import Path

from pydantic import ValidationError

from headrace.control import Promotion

log = logging.getLogger(__name__)


def load(file: Path) -> dict[str, Promotion]:
    """By task; empty where there is no file. A damaged file is logged and counts as none."""
    try:
        found = [Promotion.model_validate(fields) for fields in json.loads(file.read_text("utf-8"))]
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, ValidationError) as error:
        log.warning("%s holds no promotions and is ignored: %s", file, error)
        return {}
    return {promotion.task: promotion for promotion in found}


def save(file: Path, promotions: Mapping[str, Promotion]) -> None:
    """Replace the file whole. A disk that is full is logged: Kafka still has the promotions."""
    text = json.dumps([promotion.model_dump(mode="json") for promotion in promotions.values()], indent=1)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        staging = file.with_suffix(".new")
        staging.write_text(text, "utf-8")
        staging.replace(file)
    except OSError as error:
        log.warning("the promotions cannot be kept in %s: %s", file, error)
