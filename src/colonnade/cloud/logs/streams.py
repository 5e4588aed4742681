"""`FileLogStreams`: where groups and streams lie, and the port through which the platform's own parts write them.

    logs/<account>/<region>/<group>.group/group.json
                                         /<stream>.stream

Names hold slashes and colons, so they are percent-encoded; one too long for a file name is its digest, and the file
itself says the name. Any process may write and any may read at once: see `frames`.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import quote, unquote

from colonnade.cloud.logs import frames
from colonnade.kernel.clock import Clock
from colonnade.kernel.ports import LogEvent

_LONGEST = 200
"""Characters of an encoded name; file systems take 255 bytes, suffix included."""


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    created: int
    """Milliseconds."""
    tags: Mapping[str, str]
    size: int
    """Bytes of its streams."""


@dataclass(frozen=True, slots=True)
class Stream:
    name: str
    created: int
    state: frames.Trailer
    size: int


class FileLogStreams:
    """Implements `kernel.ports.LogStreams`."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        self._folder = folder
        self._clock = clock

    def append(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        events: Sequence[LogEvent],
        *,
        position: int | None = None,
    ) -> None:
        stamped = [(max(0, round(event.timestamp * 1000)), event.message) for event in events]
        path = self.path(account, region, group, stream)
        while not frames.append(path, stamped, position=position, now=self._now()):
            self.create_group(account, region, group)
            with suppress(FileNotFoundError):  # the group was deleted in this very moment: once more
                self.create_stream(account, region, group, stream)

    def position(self, account: str, region: str, group: str, stream: str) -> int:
        try:
            return frames.state(self.path(account, region, group, stream)).position
        except FileNotFoundError:
            return 0

    def create_group(
        self, account: str, region: str, group: str, tags: Mapping[str, str] = MappingProxyType({})
    ) -> bool:
        """False when there is one already."""
        folder = self._group_folder(account, region, group)
        if folder.exists():
            return False
        draft = folder.parent / f".{os.getpid()}-{os.urandom(6).hex()}.draft"
        draft.mkdir(mode=0o700, parents=True)
        _write_group(draft, {"name": group, "created": self._now(), "tags": dict(tags)})
        try:
            # Replaces an empty folder only, and a group's folder is never empty.
            draft.rename(folder)
        except OSError:
            shutil.rmtree(draft)
            if not folder.exists():
                raise
            return False
        return True

    def tag_group(self, account: str, region: str, group: str, tags: Mapping[str, str]) -> None:
        """These instead of those it has."""
        folder = self._group_folder(account, region, group)
        known = json.loads((folder / "group.json").read_text())
        _write_group(folder, {**known, "tags": dict(tags)})

    def delete_group(self, account: str, region: str, group: str) -> bool:
        folder = self._group_folder(account, region, group)
        doomed = folder.parent / f".{os.getpid()}-{os.urandom(6).hex()}.deleted"
        try:
            folder.rename(doomed)
        except FileNotFoundError:
            return False
        shutil.rmtree(doomed)
        return True

    def group(self, account: str, region: str, name: str) -> Group | None:
        return _group(self._group_folder(account, region, name))

    def groups(self, account: str, region: str) -> list[Group]:
        """By name."""
        folders = self._region_folder(account, region).glob("*.group")
        found = [group for folder in folders if (group := _group(folder)) is not None]
        return sorted(found, key=lambda group: group.name)

    def create_stream(self, account: str, region: str, group: str, stream: str) -> bool:
        """False when there is one already. The group must exist, or FileNotFoundError is raised."""
        head = frames.Head(group, stream, self._now())
        return frames.create(self.path(account, region, group, stream), head)

    def delete_stream(self, account: str, region: str, group: str, stream: str) -> bool:
        try:
            self.path(account, region, group, stream).unlink()
        except FileNotFoundError:
            return False
        return True

    def streams(self, account: str, region: str, group: str, prefix: str = "") -> Iterator[Stream]:
        """In no order. A stream deleted meanwhile is left out."""
        for path in self._group_folder(account, region, group).glob("*.stream"):
            if not path.name.startswith("~") and not unquote(path.stem).startswith(prefix):
                continue
            try:
                head, state, size = frames.head(path), frames.state(path), path.stat().st_size
            except FileNotFoundError:
                continue
            if head.stream.startswith(prefix):
                yield Stream(head.stream, head.created, state, size)

    def path(self, account: str, region: str, group: str, stream: str) -> Path:
        return self._group_folder(account, region, group) / f"{_file_name(stream)}.stream"

    def _region_folder(self, account: str, region: str) -> Path:
        return self._folder / _file_name(account) / _file_name(region)

    def _group_folder(self, account: str, region: str, group: str) -> Path:
        return self._region_folder(account, region) / f"{_file_name(group)}.group"

    def _now(self) -> int:
        return round(self._clock.now() * 1000)


def _group(folder: Path) -> Group | None:
    try:
        known = json.loads((folder / "group.json").read_text())
    except FileNotFoundError:
        return None
    size = sum(path.stat().st_size for path in folder.glob("*.stream"))
    return Group(known["name"], known["created"], known["tags"], size)


def _write_group(folder: Path, known: Mapping[str, Any]) -> None:
    draft = folder / f".{os.getpid()}-{os.urandom(6).hex()}.draft"
    with draft.open("w") as file:
        json.dump(known, file)
        file.flush()
        os.fsync(file.fileno())  # A group that a power cut left without a name would spoil every list.
    draft.replace(folder / "group.json")


def _file_name(name: str) -> str:
    # A leading dot or tilde would mean something else here; quote() leaves both as they are.
    encoded = quote(name, safe="")
    if encoded[:1] in (".", "~"):
        encoded = f"%{ord(encoded[0]):02X}{encoded[1:]}"
    if len(encoded) <= _LONGEST:
        return encoded
    return "~" + hashlib.sha256(name.encode()).hexdigest()
