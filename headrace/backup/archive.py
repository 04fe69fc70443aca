"""The file: a tar whose last member names every other with its digest, so that a cut or damaged one is told at once."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import Field, ValidationError

from headrace.contract.events import Moment, Name, Record, sentence
from headrace.errors import UserError

MANIFEST = "manifest.json"
VERSION = 1
MAX_MANIFEST_BYTES = 64 * 1024 * 1024
PIECE_BYTES = 1 << 20


class BackupError(UserError):
    """A backup cannot be written, or is not one, or is not whole."""


class Manifest(Record):
    """What the file holds.

    artifacts: where models were published, as control records name them
    files: sha256 by name, of every other member
    """

    version: int = VERSION
    made_at: Moment
    headrace: Name
    database: Name
    artifacts: Path
    files: dict[str, str] = Field(default_factory=dict)


class Writer:
    """Members one after the other.

    folder: where the file will stand, and so where there is room for what is on its way into it
    """

    def __init__(self, tar: tarfile.TarFile, folder: Path) -> None:
        self._tar = tar
        self.folder = folder
        self.files: dict[str, str] = {}

    def put(self, name: str, data: IO[bytes]) -> int:
        """Add a member from a file that can be read twice; its bytes."""
        data.seek(0)
        self.files[name] = _sha256(data)
        size = data.tell()
        data.seek(0)
        self._tar.addfile(_member(name, size), data)
        return size


@contextmanager
def writing(path: Path, manifest: Manifest) -> Iterator[Writer]:
    """A new file, mode 0600, that appears whole or not at all. Raises BackupError where it cannot be written."""
    if path.exists():
        raise BackupError(f"{path} is there already; name another file")
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as out, tarfile.open(fileobj=out, mode="w") as tar:
            writer = Writer(tar, path.parent)
            yield writer
            text = manifest.model_copy(update={"files": writer.files}).to_json()
            tar.addfile(_member(MANIFEST, len(text)), io.BytesIO(text))
        os.link(partial, path)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror or error}") from None
    finally:
        partial.unlink(missing_ok=True)


class ArchiveReader:
    """The members of a file that was found whole."""

    def __init__(self, tar: tarfile.TarFile, manifest: Manifest) -> None:
        self._tar = tar
        self.manifest = manifest

    def names(self, folder: str) -> list[str]:
        """Members below a folder, in order."""
        return sorted(name for name in self.manifest.files if name.startswith(f"{folder}/"))

    def open(self, name: str) -> IO[bytes]:
        """A member's bytes."""
        found = self._tar.extractfile(name)
        assert found is not None, "members are plain files"
        return found


@contextmanager
def reading(path: Path) -> Iterator[ArchiveReader]:
    """The file, checked whole before anything is taken from it. Raises BackupError."""
    try:
        with tarfile.open(path, mode="r:") as tar:
            manifest = _manifest(tar, path)
            _check(tar, manifest, path)
            yield ArchiveReader(tar, manifest)
    except (OSError, tarfile.TarError, EOFError) as error:
        raise BackupError(f"{path} is no backup, or not a whole one: {error}") from None


def _manifest(tar: tarfile.TarFile, path: Path) -> Manifest:
    try:
        member = tar.getmember(MANIFEST)
        if not member.isfile() or member.size > MAX_MANIFEST_BYTES:
            raise KeyError(MANIFEST)
        found = tar.extractfile(member)
        assert found is not None
        manifest = Manifest.model_validate_json(found.read())
    except KeyError:
        raise BackupError(f"{path} is no backup, or not a whole one: it has no {MANIFEST}") from None
    except ValidationError as error:
        raise BackupError(f"{path} is no backup that this version reads: {sentence('manifest', error)}") from None
    if manifest.version > VERSION:
        raise BackupError(f"{path} was made by a newer headrace ({manifest.headrace}); restore it with that one")
    return manifest


def _check(tar: tarfile.TarFile, manifest: Manifest, path: Path) -> None:
    members = {member.name: member for member in tar.getmembers() if member.name != MANIFEST}
    if members.keys() != manifest.files.keys():
        raise BackupError(f"{path} does not hold what its manifest names")
    for name, member in members.items():
        parts = PurePosixPath(name).parts
        if not member.isfile() or ".." in parts or name.startswith("/"):
            raise BackupError(f"{path} holds {name!r}, which no backup does")
        found = tar.extractfile(member)
        assert found is not None
        if _sha256(found) != manifest.files[name]:
            raise BackupError(f"{path}: {name} is damaged")


def _sha256(data: IO[bytes]) -> str:
    """Of what is left to read."""
    digest = hashlib.sha256()
    while piece := data.read(PIECE_BYTES):
        digest.update(piece)
    return digest.hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode = size, 0o600
    return member
