"""The software bill of materials."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]


def test_everything_that_is_locked_is_listed_once() -> None:
    """Each package and jar of the locks is a component with a version, hashes and a reference of its own."""
    command = [sys.executable, "locks/sbom.py"]
    bill = json.loads(subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True).stdout)
    components = bill["components"]
    lock = (REPOSITORY / "locks" / "python.lock").read_text()
    named = re.findall(r"^([A-Za-z0-9._-]+)==(.*)", lock, re.MULTILINE)
    pinned = [name for name, rest in named if "'never'" not in rest]
    jars = [line for line in (REPOSITORY / "locks" / "broker.lock").read_text().splitlines() if line.endswith(".jar")]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert len(components) == len(pinned) + len(jars)
    assert len({one["bom-ref"] for one in components}) == len(components)
    assert all(one["version"] and one["hashes"] for one in components)


def test_what_is_installed_is_listed() -> None:
    """No package of this environment but headrace itself and what brought it is missing from the locks."""
    lock = (REPOSITORY / "locks" / "python.lock").read_text().lower()
    known = set(re.findall(r"^([a-z0-9._-]+)==", lock, re.MULTILINE)) | {"headrace", "pip", "setuptools", "wheel", "uv"}
    installed = {re.sub(r"[-_.]+", "-", found.metadata["Name"].lower()) for found in distributions()}
    assert {name for name in installed if name not in {re.sub(r"[-_.]+", "-", one) for one in known}} == set()
