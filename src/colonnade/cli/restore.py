"""`colonnade restore FILE --data FOLDER`: a data folder from what `colonnade backup` wrote, whole or not at all.

Everything is laid down beside the folder, compared with its checksums, looked through for bytes that are named and not there, and
only then becomes the folder by one rename.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from colonnade.cli import server
from colonnade.cli.backup import CHECKSUMS, FORMAT, MANIFEST, STORE
from colonnade.cli.terminal import CommandError, print_json

_PIECE = 1 << 20
_BLOB_MODE = 0o444
"""As the object store makes them: jobs of other users may read what is shown to them."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `colonnade backup` wrote")
    server.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    data, source = server.chosen(arguments).data.absolute(), Path(arguments.file)
    if data.exists() and (not data.is_dir() or any(data.iterdir())):
        raise CommandError(f"{data} is not empty, and nothing is overwritten: name a new folder with --data")
    with _appearing(data) as draft:
        try:
            manifest, checksums = _unpack(source, draft)
        except (OSError, EOFError, zlib.error, tarfile.TarError, ValueError) as error:
            raise CommandError(f"{source} cannot be restored: {error}") from error
        _see_that_nothing_lacks(source, draft, checksums)
    if arguments.json:
        print_json({"data": str(data), "files": len(checksums), **manifest})
    else:
        print(
            f"{data}: {len(checksums)} files as of {_instant(manifest)}. Start it: colonnade up --data {data}"
        )
    return 0


@contextmanager
def _appearing(data: Path) -> Iterator[Path]:
    """A folder that takes the place of `data` when it is complete, and goes when it will not be."""
    draft = data.with_name(f".{data.name}.restoring-{os.getpid()}")
    try:
        draft.mkdir(mode=0o700, parents=True)
        yield draft
        os.sync()  # Thousands of files at once: cheaper than each by itself.
        draft.rename(data)  # Replaces an empty folder, and no other.
        os.sync()
    except OSError as error:
        raise CommandError(f"{data} cannot be made: {error}") from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _unpack(source: Path, draft: Path) -> tuple[dict[str, Any], dict[str, str]]:
    found: dict[str, str] = {}
    with tarfile.open(source, "r|gz") as archive:
        manifest = _manifest(source, archive)
        while (member := archive.next()) is not None:
            if member.name == CHECKSUMS:
                told: dict[str, str] = _json(archive, member)
                _compare(source, told, found)
                return manifest, told
            found[member.name] = _lay(archive, member, draft)
    raise ValueError("its end is missing: it was cut short")


def _manifest(source: Path, archive: tarfile.TarFile) -> dict[str, Any]:
    first = archive.next()
    if first is None or first.name != MANIFEST:
        raise ValueError("it was not written by `colonnade backup`")
    manifest: dict[str, Any] = _json(archive, first)
    if manifest["format"] > FORMAT:
        raise ValueError(
            f"Colonnade {manifest['version']} wrote it: restore it with that release or a newer one"
        )
    return manifest


def _json(archive: tarfile.TarFile, member: tarfile.TarInfo) -> Any:
    file = archive.extractfile(member)
    if file is None:
        raise ValueError(f"{member.name} in it is no file")
    return json.load(file)


def _lay(archive: tarfile.TarFile, member: tarfile.TarInfo, draft: Path) -> str:
    """Write one file; answers its SHA-256. Refuses whatever would lie elsewhere or be something else than a file."""
    parts = PurePosixPath(member.name).parts
    content = archive.extractfile(member) if member.isreg() else None
    if content is None or not parts or member.name.startswith("/") or ".." in parts:
        raise ValueError(f"{member.name!r} in it has no place in a data folder")
    path = draft.joinpath(*parts)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256()
    mode = _BLOB_MODE if parts[0] == "objects" else member.mode & 0o777
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        while piece := content.read(_PIECE):
            digest.update(piece)
            file.write(piece)
    path.chmod(mode)
    os.utime(path, (member.mtime, member.mtime))
    return digest.hexdigest()


def _compare(source: Path, told: dict[str, str], found: dict[str, str]) -> None:
    wrong = sorted(name for name in told.keys() | found.keys() if told.get(name) != found.get(name))
    if wrong:
        raise ValueError(
            f"{len(wrong)} of its files are damaged or missing, the first is {wrong[0]}: use another backup"
        )


def _see_that_nothing_lacks(source: Path, draft: Path, checksums: dict[str, str]) -> None:
    """Opens the store, so that one of a newer format or with a damaged row is refused here and not at the next start."""
    from colonnade.cloud.s3.orphans import named_blobs
    from colonnade.kernel.store import Corrupt, WrongFormat
    from colonnade.kernel.store.sqlite import SqliteStore

    try:
        store = SqliteStore(draft / STORE)
        try:
            with store.read() as reader:
                lacking = [
                    blob for blob in named_blobs(reader) if f"objects/{blob[:2]}/{blob}" not in checksums
                ]
        finally:
            store.close()
    except (Corrupt, WrongFormat) as error:
        raise CommandError(f"{source} cannot be restored: {error}") from error
    if lacking:
        raise CommandError(f"{source} lacks the bytes of {len(lacking)} objects, the first are {lacking[0]}")


def _instant(manifest: dict[str, Any]) -> str:
    from datetime import datetime

    return datetime.fromtimestamp(manifest["began"]).astimezone().isoformat(timespec="seconds")
