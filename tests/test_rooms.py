"""Each folder says what is in it: a package's docstring has one phrase for each of its files and folders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
ROOMS = ("headrace", "streams", "consumers", "trainer", "serving", "console", "simulation")
LINE = re.compile(r"^(\w+)  +\S.*$", re.MULTILINE)


def packages() -> Iterator[Path]:
    for room in ROOMS:
        yield from sorted(found.parent for found in (REPOSITORY / room).rglob("__init__.py"))


@pytest.mark.parametrize("package", packages(), ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_a_package_names_each_of_its_files(package: Path) -> None:
    """No file is without a phrase, no phrase without its file."""
    words = ast.get_docstring(ast.parse((package / "__init__.py").read_text("utf-8"))) or ""
    files = {path.stem for path in package.glob("*.py")} - {"__init__"}
    folders = {path.parent.name for path in package.glob("*/__init__.py")}
    assert sorted(LINE.findall(words)) == sorted(files | folders)


def test_the_javascript_client_names_each_of_its_files() -> None:
    """Its README has one phrase for each file of src, and its types belong to these."""
    client = REPOSITORY / "clients" / "javascript"
    drawn = (client / "README.md").read_text("utf-8").split("```\nsrc/")[1].split("\ntypes/")[0]
    files = sorted(path.stem for path in (client / "src").iterdir())
    assert sorted(re.findall(r"(?:^|\s{3}|; )([a-z]+)  +\S", drawn)) == files
    assert sorted(path.name.removesuffix(".d.ts") for path in (client / "types").iterdir()) == files


def tree() -> str:
    """The README's drawing of the folders."""
    return (
        (REPOSITORY / "README.md").read_text("utf-8").split("## Find your way\n\n```\n")[1].split("\nNot built yet")[0]
    )


def test_the_readme_shows_every_room() -> None:
    """Each package stands in the README's tree, under its part, and what stands there is a folder."""
    shown: set[str] = set()
    part = ""
    for line in tree().splitlines():
        names = re.match(r" *((?:[\w/]+/ ?)+)", line)
        assert names is not None, line
        found = [name.rstrip("/") for name in names[1].split()]
        if not line.startswith(" "):
            part = found[0]
            shown |= set(found)
        else:
            shown |= {f"{part}/{name}" for name in found}
    assert [name for name in sorted(shown) if not (REPOSITORY / name).is_dir()] == []
    rooms = {str(package.relative_to(REPOSITORY)) for package in packages()}
    assert sorted(rooms - shown) == []
