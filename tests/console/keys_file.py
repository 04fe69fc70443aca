"""Keys for the tests: a file with a line `TEXT ID ROLES` for each, read again with each question."""

from __future__ import annotations

from pathlib import Path

from headrace.access.roles import Principal, roles_of


class KeysFile:
    """See console.access.Keys."""

    def __init__(self, file: Path) -> None:
        self._file = file

    @property
    def empty(self) -> bool:
        return not self._file.exists()

    def find(self, text: str) -> Principal | None:
        for line in self._file.read_text().splitlines() if not self.empty else ():
            key, key_id, roles = line.split()
            if key == text:
                return Principal("default", roles_of(roles.split(",")), key_id, name=f"holder of {key_id}")
        return None
