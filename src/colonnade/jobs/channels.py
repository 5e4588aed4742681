"""Input channels: from a request's InputDataConfig to files and FIFOs in the work's folder (semantics 1.12).

What is listed is read as the job's role, at the moment the job starts; objects written later do not come in.
"""

from __future__ import annotations

import io
import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from colonnade.executors import Input, Pipe
from colonnade.jobs.locations import Location
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.ports import ObjectContent, ObjectInfo, Principal, Storage

Channel = Mapping[str, Any]
"""An item of InputDataConfig."""
DATA = "input/data"


class DownloadFailed(Exception):  # noqa: N818 - an outcome
    """A channel's data cannot be had; the text is for the user."""


@dataclass(frozen=True, slots=True)
class Staged:
    inputs: list[Input] = field(default_factory=list)
    pipes: list[Pipe] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)


def mode_of(channel: Channel, default: str) -> str:
    return str(channel.get("InputMode") or default)


def stage(storage: Storage, role: Principal, channels: Sequence[Channel], default_mode: str) -> Staged:
    """Raises DownloadFailed."""
    staged = Staged()
    for channel in channels:
        try:
            _stage(storage, role, channel, mode_of(channel, default_mode), staged)
        except (ServiceError, ValueError) as error:
            name, uri = channel["ChannelName"], _source(channel)["S3Uri"]
            raise DownloadFailed(f"channel {name}, {uri}: {error}") from error
    return staged


def _stage(storage: Storage, role: Principal, channel: Channel, mode: str, staged: Staged) -> None:
    path = f"{DATA}/{channel['ChannelName']}"
    if mode == "Pipe":
        staged.pipes.append(_pipe(storage, role, channel, path))
        return
    staged.folders.append(path)
    # A manifest may name an object twice; there is one file of a name.
    for name, location in dict(_shuffled(channel, objects_of(storage, role, channel))).items():
        staged.inputs.append(Input(f"{path}/{name}", storage.read(role, location.bucket, location.key)))


def _source(channel: Channel) -> Mapping[str, Any]:
    source: Mapping[str, Any] = channel["DataSource"]["S3DataSource"]
    return source


def _shuffled(channel: Channel, files: Iterator[tuple[str, Location]]) -> list[tuple[str, Location]]:
    found = list(files)
    if "ShuffleConfig" in channel:
        random.Random(channel["ShuffleConfig"]["Seed"]).shuffle(found)
    return found


def objects_of(storage: Storage, role: Principal, channel: Channel) -> Iterator[tuple[str, Location]]:
    """(name below the channel's folder, object) of a channel, in key order or the manifest's. One host gets them all,
    ShardedByS3Key or not."""
    location = Location.parse(_source(channel)["S3Uri"])
    if _source(channel)["S3DataType"] == "ManifestFile":
        yield from _of_manifest(storage, role, location)
        return
    for found in storage.list(role, location.bucket, location.key):
        name = local_name(location.key, found.key)
        if name:
            yield name, Location(found.bucket, found.key)


def local_name(prefix: str, key: str) -> str:
    """How an object of a prefix is called on disk; empty for what is no file (a key that ends with a slash).

    >>> local_name("data/train", "data/train/a/b.csv"), local_name("data/train", "data/train2/c.csv")
    ('a/b.csv', 'train2/c.csv')
    >>> local_name("data/train.csv", "data/train.csv"), local_name("data/", "data/a/")
    ('train.csv', '')
    """
    if key.endswith("/"):
        return ""
    rest = key[len(prefix) :]
    if prefix.endswith("/") or not prefix:
        return rest.lstrip("/")
    if rest.startswith("/"):
        return rest.lstrip("/")
    return prefix.rpartition("/")[2] + rest


def _of_manifest(storage: Storage, role: Principal, manifest: Location) -> Iterator[tuple[str, Location]]:
    for name, uri in manifest_entries(_text(storage, role, manifest), str(manifest)):
        yield name, Location.parse(uri)


def manifest_entries(text: str, source: str) -> list[tuple[str, str]]:
    """(local path, URI) of a manifest's entries. Raises ValueError.

    >>> manifest_entries('[{"prefix": "s3://b/some/"}, "a.csv", "deep/b.csv"]', "m")
    [('a.csv', 's3://b/some/a.csv'), ('deep/b.csv', 's3://b/some/deep/b.csv')]
    """
    try:
        head, *names = json.loads(text)
        prefix = head["prefix"]
        if not prefix or not all(isinstance(name, str) for name in names):
            raise TypeError
    except (ValueError, TypeError, KeyError):
        raise ValueError(
            f'{source} is not a manifest: want a JSON array of {{"prefix": "s3://bucket/some/"}} and then strings'
        ) from None
    return [(name.lstrip("/"), prefix + name) for name in names]


def _text(storage: Storage, role: Principal, location: Location) -> str:
    with storage.read(role, location.bucket, location.key).open() as file:
        return file.read().decode("utf-8")


# Pipe mode


def _pipe(storage: Storage, role: Principal, channel: Channel, path: str) -> Pipe:
    source = _source(channel)
    attributes: Sequence[str] = source.get("AttributeNames", ())
    if source["S3DataType"] == "AugmentedManifestFile":
        text = _text(storage, role, Location.parse(source["S3Uri"]))
        contents = list(_augmented(storage, role, text, attributes))
    else:
        files = [location for _, location in objects_of(storage, role, channel)]
        contents = [storage.read(role, location.bucket, location.key) for location in files]
    return Pipe(
        path,
        contents,
        gunzip=channel.get("CompressionType") == "Gzip",
        record_io=channel.get("RecordWrapperType") == "RecordIO",
        shuffle_seed=channel["ShuffleConfig"]["Seed"] if "ShuffleConfig" in channel else None,
        group=len(attributes) or 1,
    )


def _augmented(
    storage: Storage, role: Principal, text: str, attributes: Sequence[str]
) -> Iterator[ObjectContent]:
    """Each line's attributes in the order asked for: objects for names that end with `-ref`, values for the others."""
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        row = json.loads(line)
        for attribute in attributes:
            if attribute not in row:
                raise ValueError(f"line {number} of the augmented manifest has no attribute {attribute!r}")
            value = row[attribute]
            if attribute.endswith("-ref"):
                location = Location.parse(value)
                yield storage.read(role, location.bucket, location.key)
            else:
                yield Literal(value if isinstance(value, str) else json.dumps(value))


@dataclass(frozen=True, slots=True)
class Literal:
    """A value of a manifest's line, as content."""

    text: str
    local_path: Path | None = None

    @property
    def info(self) -> ObjectInfo:
        return ObjectInfo("", "", len(self.text.encode()), "", 0.0)

    def open(self) -> BinaryIO:
        return io.BytesIO(self.text.encode())


# At creation


def check(storage: Storage, role: Principal, role_arn: str, region: str, channels: Sequence[Channel]) -> None:
    """Raises SageMaker's ValidationException for a channel without data, or data that the role may not list."""
    for channel in channels:
        uri = _source(channel)["S3Uri"]
        location = Location.parse(uri)
        try:
            found = next(iter(storage.list(role, location.bucket, location.key)), None)
        except ServiceError as error:
            if error.code not in ("AccessDenied", "NoSuchBucket", "NoSuchKey"):
                raise
            found = None
        if found is None:
            raise validation(
                f'No S3 objects found under S3 URL "{uri}" given in input data source. Please ensure that the bucket exists in '
                f"the selected region ({region}), that objects exist under that S3 prefix, and that the role "
                f'"{role_arn}" has "s3:ListBucket" permissions on bucket "{location.bucket}".'
            )


def configuration(channels: Sequence[Channel], default_mode: str) -> dict[str, dict[str, str]]:
    """inputdataconfig.json (semantics 1.3)."""
    described = {}
    for channel in channels:
        entry = {"ContentType": channel["ContentType"]} if channel.get("ContentType") else {}
        described[channel["ChannelName"]] = entry | {
            "TrainingInputMode": mode_of(channel, default_mode),
            "S3DistributionType": _source(channel).get("S3DataDistributionType", "FullyReplicated"),
            "RecordWrapperType": channel.get("RecordWrapperType", "None"),
        }
    return described
