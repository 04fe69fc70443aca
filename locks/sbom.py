"""The software bill of materials, from the locks: CycloneDX 1.6 as JSON on standard output.

    python locks/sbom.py > sbom.json

Every package of locks/python.lock with the hashes that an install accepts, and every jar of locks/broker.lock. What it
lists is what `make install` and the broker's first start take, and nothing else.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

LOCKS = Path(__file__).parent
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)(?:\s*;\s*(.*?))?\s*\\?$")
NOWHERE = "sys_platform == 'never'"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_JAR = re.compile(r"^(.+?)-(\d[\w.+-]*)\.jar$")


def packages(lock: str) -> Iterator[dict[str, Any]]:
    """The components of a pip lock with hashes; a marker says where a package is installed at all.

    What pyproject.toml overrides with a system that there is not is installed nowhere, and no component.
    """
    lock = re.sub(rf"^.*{NOWHERE}.*\n(?:    .*\n)*", "", lock, flags=re.MULTILINE)
    component: dict[str, Any] = {}
    for line in lock.splitlines():
        if found := _PINNED.match(line):
            if component:
                yield component
            name, version, marker = found.groups()
            component = _component(name, version, f"pkg:pypi/{name.lower()}@{version}")
            if marker:
                component["properties"] = [{"name": "pip:marker", "value": marker}]
        component.setdefault("hashes", []).extend(_digest(digest) for digest in _HASH.findall(line))
    if component:
        yield component


def jars(lock: str) -> Iterator[dict[str, Any]]:
    """The components of the broker's lock, a digest and a file name a line."""
    for line in lock.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        digest, file = line.split()
        found = _JAR.match(file)
        name, version = found.groups() if found else (file, "")
        yield _component(name, version, f"pkg:generic/{name}@{version}") | {"hashes": [_digest(digest)]}


def bill() -> dict[str, Any]:
    """The whole document. The same locks give the same document, so it can be compared."""
    components = [
        *packages((LOCKS / "python.lock").read_text("utf-8")),
        *jars((LOCKS / "broker.lock").read_text("utf-8")),
    ]
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "version": 1, "components": components}


def _component(name: str, version: str, purl: str) -> dict[str, Any]:
    return {"type": "library", "bom-ref": purl, "name": name, "version": version, "purl": purl}


def _digest(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": digest}


if __name__ == "__main__":
    json.dump(bill(), sys.stdout, indent=1)
    sys.stdout.write("\n")
