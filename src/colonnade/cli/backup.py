"""`colonnade backup FILE`: all that a data folder must not lose, as one .tar.gz, while the server goes on.

Order is the idea. The bytes of objects are written once and never changed, but deleted; so they get a second name (a hard link)
before anybody can delete them: most at leisure, the rest while nobody writes for the moment in which the store's snapshot is
taken. What the snapshot names is then certain to be there. Logs only grow, so they are read after it.

    manifest.json      what this is, first, so that a restore can refuse early
    store.db           the snapshot
    objects/, logs/, models/, credentials.json, master.key and its fingerprint, colonnade.toml
    checksums.json     SHA-256 of each file above, last, since it is known last

Not in it: what runs (work/), which a restored server does not find, and reports as failed or starts anew; and a master key that lies
elsewhere (master_key_file), which is the point of keeping it there.
"""

from __future__ import annotations

import argparse
import fcntl
import gzip
import hashlib
import io
import json
import os
import shutil
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from colonnade import __version__, credentials
from colonnade.cli import server
from colonnade.cli.terminal import CommandError, print_json
from colonnade.credentials import master_key

FORMAT = 1
MANIFEST, CHECKSUMS, STORE = "manifest.json", "checksums.json", "store.db"
_AS_THEY_ARE = (credentials.FILE, master_key.FILE, master_key.FINGERPRINT, "colonnade.toml")
_FAST = 1
"""Of gzip: models are compressed already, and a backup should not keep a core from the server."""


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="where to write it: a new file, like colonnade.tar.gz")
    server.add_folder(parser)
    parser.add_argument("--json", action="store_true", help="for machines")


def run(arguments: argparse.Namespace) -> int:
    data, target = server.chosen(arguments).data, Path(arguments.file)
    if not (data / STORE).exists():
        raise CommandError(f"{data} holds no data of a server: name the right folder with --data")
    if target.exists():
        raise CommandError(f"{target} exists already: remove it, or choose another name")
    began = time.time()
    with _alone(data) as staging, _appearing(target) as file:
        _take_snapshot(data, staging)
        count = _write(data, staging, file, began)
    size = target.stat().st_size
    if arguments.json:
        print_json({"file": str(target), "bytes": size, "files": count, "of": began})
    else:
        print(
            f"{target}: {count} files of {data}, {size / 2**20:.1f} MiB. It holds secret keys: keep it safe."
        )
    return 0


@contextmanager
def _alone(data: Path) -> Iterator[Path]:
    """A folder on the disk of the objects, so that links to them can be made; what a killed backup left there goes."""
    lock = os.open(data / "backup.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise CommandError(f"another backup of {data} is being made: wait until it is done") from None
        staging = data / "backup"
        shutil.rmtree(staging, ignore_errors=True)
        staging.mkdir(mode=0o700)
        try:
            yield staging
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    finally:
        os.close(lock)


@contextmanager
def _appearing(target: Path) -> Iterator[IO[bytes]]:
    """A file that is there when it is whole, and on the disk; for its owner only."""
    draft = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.rename(target)
    except OSError as error:
        raise CommandError(f"the backup {target} was not made: {error}") from error
    finally:
        with suppress(OSError):
            draft.unlink()


def _take_snapshot(data: Path, staging: Path) -> None:
    from colonnade.kernel.store.sqlite import backup

    kept = staging / "objects"
    kept.mkdir(mode=0o700)
    seen: set[str] = set()
    _link(data / "objects", kept, seen)
    backup.copy(data / STORE, staging / STORE, lambda: _link(data / "objects", kept, seen))


def _link(objects: Path, kept: Path, seen: set[str]) -> None:
    """A second name for each blob that has none yet. Those that vanish meanwhile were named by nobody any more."""
    for folder in objects.iterdir() if objects.exists() else ():
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name not in seen:
                    with suppress(FileNotFoundError):
                        os.link(entry.path, kept / entry.name)
                        seen.add(entry.name)


def _write(data: Path, staging: Path, file: IO[bytes], began: float) -> int:
    checksums: dict[str, str] = {}
    with (
        gzip.GzipFile(fileobj=file, mode="wb", compresslevel=_FAST) as packed,
        tarfile.open(fileobj=packed, mode="w|") as archive,
    ):
        manifest = {"format": FORMAT, "version": __version__, "began": began, "data": str(data)}
        _add_text(archive, MANIFEST, manifest)
        archive.dereference = True  # Each name is a file of its own, however many names lead to its bytes.
        for path, name in _files(data, staging):
            try:
                checksums[name] = _add(archive, path, name)
            except FileNotFoundError:
                if name.startswith("objects/"):
                    raise CommandError(
                        f"the bytes {name} of an object are missing in {data}: GetObject says which; put or delete it"
                    ) from None
                # A log that was deleted since it was listed.
        _add_text(archive, CHECKSUMS, checksums)
    return len(checksums)


def _files(data: Path, staging: Path) -> Iterator[tuple[Path, str]]:
    yield staging / STORE, STORE
    for blob in _named(staging / STORE):
        yield staging / "objects" / blob, f"objects/{blob[:2]}/{blob}"
    for name in ("logs", "models"):
        for path in sorted((data / name).rglob("*")):
            # What begins with a dot or "tmp" is somebody's draft, and nobody's after a restore.
            drafted = any(part.startswith((".", "tmp")) for part in path.relative_to(data / name).parts)
            if path.is_file() and not drafted:
                yield path, str(path.relative_to(data))
    for name in _AS_THEY_ARE:
        if (data / name).exists():
            yield data / name, name


def _named(store: Path) -> list[str]:
    """The blobs that the snapshot names: each must be there."""
    from colonnade.cloud.s3.orphans import named_blobs
    from colonnade.kernel.store.sqlite import SqliteStore

    opened = SqliteStore(store)
    try:
        with opened.read() as reader:
            return sorted(named_blobs(reader))
    finally:
        opened.close()


def _add(archive: tarfile.TarFile, path: Path, name: str) -> str:
    """As many bytes as it has now, though it may grow; answers their SHA-256."""
    with path.open("rb") as source:
        member = archive.gettarinfo(arcname=name, fileobj=source)
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        digest = hashlib.sha256()
        archive.addfile(member, Hashed(source, digest.update))
    return digest.hexdigest()


def _add_text(archive: tarfile.TarFile, name: str, value: object) -> None:
    data = json.dumps(value).encode()
    member = tarfile.TarInfo(name)
    member.size, member.mtime, member.mode = len(data), int(time.time()), 0o600
    archive.addfile(member, io.BytesIO(data))


class Hashed:
    """A file to read from that shows each piece to a digest."""

    def __init__(self, source: IO[bytes], update: Callable[[bytes], object]) -> None:
        self._source = source
        self._update = update

    def read(self, size: int = -1, /) -> bytes:
        piece = self._source.read(size)
        self._update(piece)
        return piece
