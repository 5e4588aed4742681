"""Model archives as endpoints use them: fetched once, kept by what they hold, with whatever was compiled from them beside.

    <data>/models/<sha256>/model.tar.gz
                          /compiled-<runtime>/compiled.json, model.onnx     the latter when it compiled
                          /refused-<runtime>                                why it is no model of the runtime's at all

The S3 object may be overwritten or deleted while an endpoint serves it; a replacement instance must still hold the same model.
The composition root provides one `Artifacts` to the process that reconciles.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.ports import ObjectContent, ObjectInfo

_PIECE = 1 << 20
_LONGEST_TEXT = 1 << 20
_DRAFT = "tmp"


def s3_place(url: str) -> tuple[str, str]:
    """Bucket and key. Raises ValidationException for what is not the URL of an object."""
    parts = urlsplit(url)
    key = url.partition("://")[2].partition("/")[2]
    if parts.scheme != "s3" or not parts.netloc or not key:
        raise validation(f"{url!r} is not the S3 URL of an object: give s3://<bucket>/<key>.")
    return parts.netloc, key


@dataclass(frozen=True, slots=True)
class KeptContent:
    """An archive in the cache, as the executor takes it."""

    info: ObjectInfo
    local_path: Path

    def open(self) -> BinaryIO:
        return self.local_path.open("rb")


class Artifacts:
    def __init__(self, folder: Path) -> None:
        self._folder = folder.absolute()
        for draft in self._folder.glob(f"{_DRAFT}*"):  # of a process that was killed
            shutil.rmtree(draft) if draft.is_dir() else draft.unlink()

    def keep(self, content: ObjectContent, *, seconds: float = inf) -> str:
        """The digest under which the archive's bytes are kept from now on. Raises ValidationException when it takes longer than
        `seconds` to fetch them."""
        until = time.monotonic() + seconds
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        digest = hashlib.sha256()
        with (
            content.open() as source,
            tempfile.NamedTemporaryFile(dir=self._folder, prefix=_DRAFT, delete=False) as copy,
        ):
            temporary = Path(copy.name)
            try:
                while piece := source.read(_PIECE):
                    digest.update(piece)
                    copy.write(piece)
                    if time.monotonic() > until:
                        raise validation(f"It took longer than {seconds:g} seconds")
                copy.flush()
                os.fsync(copy.fileno())
                folder = self.folder(digest.hexdigest())
                folder.mkdir(exist_ok=True)
                temporary.replace(folder / "model.tar.gz")
                _sync(folder)
                _sync(self._folder)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise
        return digest.hexdigest()

    def folder(self, digest: str) -> Path:
        return self._folder / digest

    def archive(self, digest: str) -> Path:
        return self.folder(digest) / "model.tar.gz"

    def content(self, digest: str) -> ObjectContent:
        path = self.archive(digest)
        status = path.stat()
        return KeptContent(ObjectInfo("", path.name, status.st_size, digest, status.st_mtime), path)

    def text(self, digest: str, member: str) -> str:
        """A small text file inside the archive; empty where there is none. Raises ValidationException for what is no archive."""
        try:
            with tarfile.open(self.folder(digest) / "model.tar.gz") as archive:
                for entry in archive:
                    if entry.isfile() and entry.name.removeprefix("./") == member:
                        file = archive.extractfile(entry)
                        return file.read(_LONGEST_TEXT).decode("utf-8", "replace") if file else ""
        except (tarfile.TarError, EOFError, OSError) as error:
            raise _no_archive(error) from error
        return ""

    def names(self, digest: str) -> list[str]:
        """Of the archive's files. Raises ValidationException for what is no archive."""
        try:
            with tarfile.open(self.folder(digest) / "model.tar.gz") as archive:
                return [entry.name.removeprefix("./") for entry in archive if entry.isfile()]
        except (tarfile.TarError, EOFError, OSError) as error:
            raise _no_archive(error) from error

    def older_than(self, instant: float) -> list[str]:
        """Digests of the archives that were last kept before."""
        return [
            path.name
            for path in sorted(self._folder.glob("*"))
            if not path.name.startswith(_DRAFT) and path.is_dir() and path.stat().st_mtime < instant
        ]

    def remove(self, digest: str) -> None:
        """With whatever was compiled from it. It goes at once, so that nobody finds half of it."""
        draft = Path(tempfile.mkdtemp(dir=self._folder, prefix=_DRAFT))
        with suppress(FileNotFoundError):
            self.folder(digest).replace(draft / digest)
        shutil.rmtree(draft)

    # What was compiled

    def compiled(self, digest: str, runtime: str) -> Path | None:
        folder = self.folder(digest) / f"compiled-{runtime}"
        return folder if folder.is_dir() else None

    def refusal(self, digest: str, runtime: str) -> str:
        """Why the archive holds nothing to serve; empty where that is not known."""
        path = self.folder(digest) / f"refused-{runtime}"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def keep_compiled(self, digest: str, runtime: str, files: dict[str, BinaryIO]) -> Path:
        """All of the files or none; a second time is a no-op."""
        folder = self.folder(digest) / f"compiled-{runtime}"
        temporary = Path(tempfile.mkdtemp(dir=self._folder, prefix=_DRAFT))
        for name, source in files.items():
            with source, (temporary / name).open("wb") as target:
                shutil.copyfileobj(source, target)
                target.flush()
                os.fsync(target.fileno())
        _sync(temporary)
        with suppress(FileExistsError):
            if not folder.exists():
                temporary.replace(folder)
                _sync(folder.parent)
        shutil.rmtree(temporary, ignore_errors=True)
        return folder

    def keep_refusal(self, digest: str, runtime: str, reason: str) -> None:
        draft = self._folder / f"{_DRAFT}{digest}"
        draft.write_text(reason, encoding="utf-8")
        _sync(draft)
        draft.replace(self.folder(digest) / f"refused-{runtime}")


def _no_archive(error: Exception) -> ServiceError:
    return validation(f"The model data is not a tar archive ({error}). Give a .tar.gz of the model's files.")


def _sync(path: Path) -> None:
    """A file's bytes, or a folder's names, onto the disk: what was compiled is trusted as it lies there, also after a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
