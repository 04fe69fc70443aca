"""An institutional suite: questions with their right answers that every candidate is asked, as a folder.

    suite.json      SuiteManifest
    *.jsonl         a case a line: {"input": "Where is my payslip?", "label": "hr"}, and an "id" where it has one

The digest in the manifest is that of the cases' files, so a suite that was changed without a new version is noticed.
Lines that cannot be used are named and left out; they never cost the others. Of a suite's texts nothing is stored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from headrace.contract.events import Name, Record, sentence
from headrace.errors import SuiteError

MANIFEST = "suite.json"
MAX_BYTES = 256 * 1024 * 1024
MAX_LINE_BYTES = 256 * 1024


class SuiteManifest(Record):
    """What a suite says of itself.

    name, version: the same pair always means the same cases; licence: an SPDX identifier or words
    kind: of the tasks that it fits; digest: see `digest_of`
    """

    name: Name
    version: Annotated[str, Field(min_length=1, max_length=100)]
    kind: Literal["classify"] = "classify"
    licence: Annotated[str, Field(min_length=1, max_length=200)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    description: Annotated[str, Field(max_length=2000)] = ""


class Case(Record):
    """One question. label: its text or id in the plan"""

    id: Annotated[str, Field(max_length=200)] = ""
    input: Annotated[str, Field(min_length=1, max_length=200_000)]
    label: Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True, slots=True)
class Suite:
    """A suite that was read. cases: with the place of each, as `cases.jsonl:3`; bad: lines left out, each with why"""

    manifest: SuiteManifest
    cases: tuple[tuple[str, Case], ...]
    bad: tuple[str, ...]


def read(folder: Path) -> Suite:
    """Raises SuiteError in one sentence: no folder, no manifest, or not the cases that it was made for."""
    file = folder / MANIFEST
    try:
        manifest = SuiteManifest.model_validate_json(file.read_bytes())
        found = digest_of(folder)
        if found != manifest.digest:
            raise SuiteError(
                f"the suite at {folder} has digest {found[:12]}… and not {manifest.digest[:12]}… as its {MANIFEST}"
                f" says; give the changed suite a new version, and its digest {found}"
            )
        cases, bad = list[tuple[str, Case]](), list[str]()
        for place, line in _lines(folder):
            try:
                cases.append((place, _case(line)))
            except ValueError as error:
                bad.append(f"{place}: {error}")
    except FileNotFoundError:
        raise SuiteError(f"there is no {MANIFEST} in {folder}; a suite is a folder with one") from None
    except OSError as error:
        raise SuiteError(f"the suite at {folder} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise SuiteError(f"{file} is not a suite's manifest: {sentence('suite', error)}") from None
    return Suite(manifest, tuple(cases), tuple(bad))


def digest_of(folder: Path) -> str:
    """SHA-256 of the names and contents of the cases' files, hex. Raises SuiteError where they are too large."""
    sha = hashlib.sha256()
    for file in _files(folder):
        sha.update(file.name.encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return sha.hexdigest()


def _files(folder: Path) -> list[Path]:
    found = sorted(folder.glob("*.jsonl"), key=lambda file: file.name)
    if (size := sum(file.stat().st_size for file in found)) > MAX_BYTES:
        raise SuiteError(f"the suite at {folder} has {size:,} bytes of cases, more than {MAX_BYTES:,}; split it")
    return found


def _lines(folder: Path) -> Iterator[tuple[str, bytes]]:
    for file in _files(folder):
        for number, line in enumerate(file.read_bytes().removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
            if line.strip():
                yield f"{file.name}:{number}", line


def _case(line: bytes) -> Case:
    """Raises ValueError, whose text quotes nothing of the line."""
    if len(line) > MAX_LINE_BYTES:
        raise ValueError(f"longer than {MAX_LINE_BYTES:,} bytes")
    try:
        fields = json.loads(line)
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(fields, dict):
        raise ValueError("not a JSON object")
    try:
        return Case.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"{'.'.join(map(str, first['loc'])) or 'case'}: {first['msg']}") from None
