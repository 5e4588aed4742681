"""A channel's training data as numbers, whatever its content type, in File or Pipe mode. All numeric algorithms call it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from colonnade.algorithms.contract import UserError
from colonnade.algorithms.contract.channels import ChannelConfig, content_type, label_size
from colonnade.algorithms.contract.folder import Folder
from colonnade.formats import Examples, FormatError, Sparse, csv, libsvm, parquet, recordio

CSV = ("text/csv", "csv")
LIBSVM = ("text/libsvm", "text/x-libsvm", "libsvm")
PARQUET = ("application/x-parquet", "parquet")
RECORDIO = ("application/x-recordio-protobuf", "recordio-protobuf")


def read(
    folder: Folder, channel: str, config: ChannelConfig, *, default: str, csv_weights: bool = False
) -> Examples:
    """All files of the channel together. UserError when there are none, FormatError naming the file that is wrong."""
    parse = _parser(content_type(config, default), label_size(config), csv_weights)
    parts = [(name, parse(data, source=name)) for name, data in _files(folder, channel, config) if data]
    if not parts:
        raise UserError(
            f"No data in {'training' if channel == 'train' else channel} channel path {folder.data(channel)}. "
            "Please check your input data settings: the S3 prefix may match no object, or only empty ones."
        )
    return _together(parts)


def _parser(kind: str, labels: int, weights: bool) -> Callable[..., Examples]:
    parsers: Mapping[tuple[str, ...], Callable[..., Examples]] = {
        CSV: partial(csv.examples, label_size=labels, weights=weights),
        LIBSVM: libsvm.examples,
        PARQUET: partial(parquet.examples, label_size=labels),
        RECORDIO: recordio.examples,
    }
    return next(parser for kinds, parser in parsers.items() if kind in kinds)


def _files(folder: Folder, channel: str, config: ChannelConfig) -> Iterator[tuple[str, bytes]]:
    if config.get("TrainingInputMode") == "Pipe":
        yield channel, _piped(folder.pipe(channel, 0), config)
        return
    root = folder.data(channel)
    for path in sorted(root.rglob("*")) if root.is_dir() else []:
        if path.is_file() and not path.name.startswith((".", "_")):
            yield str(path.relative_to(root)), path.read_bytes()


def _piped(fifo: Path, config: ChannelConfig) -> bytes:
    data = fifo.read_bytes()
    if config.get("RecordWrapperType") == "RecordIO" and content_type(config, "") not in RECORDIO:
        # Each object was wrapped whole; a line must not run into the next object's first.
        return b"\n".join(payload.rstrip(b"\n") for payload in recordio.frames(data, fifo.name))
    return data


def _together(parts: list[tuple[str, Examples]]) -> Examples:
    if len(parts) == 1:
        return parts[0][1]
    first_name, first = parts[0]
    for name, part in parts:
        for what in ("labels", "weights", "queries"):
            if (getattr(part, what) is None) != (getattr(first, what) is None):
                raise FormatError(f"{what} in one of this file and {first_name}, not in both.", source=name)
    every = [part for _, part in parts]
    return Examples(
        features=_features(parts),
        labels=None
        if first.labels is None
        else np.concatenate([p.labels for p in every if p.labels is not None]),
        weights=None
        if first.weights is None
        else np.concatenate([p.weights for p in every if p.weights is not None]),
        queries=None
        if first.queries is None
        else np.concatenate([p.queries for p in every if p.queries is not None]),
    )


def _features(parts: list[tuple[str, Examples]]) -> np.typing.NDArray[np.float32] | Sparse:
    dense = [part.features for _, part in parts if not isinstance(part.features, Sparse)]
    sparse = [part.features for _, part in parts if isinstance(part.features, Sparse)]
    if dense and sparse:
        raise FormatError("some records are sparse, others dense. Write all in one way.", source=parts[0][0])
    if sparse:
        counts = np.concatenate([np.diff(part.starts) for part in sparse])
        return Sparse(
            starts=np.concatenate(([0], np.cumsum(counts))),
            columns=np.concatenate([part.columns for part in sparse]),
            values=np.concatenate([part.values for part in sparse]),
            width=max(part.width for part in sparse),
        )
    width = dense[0].shape[1]
    for (name, _), matrix in zip(parts, dense, strict=True):
        if matrix.shape[1] != width:
            raise FormatError(f"{matrix.shape[1]} features where {parts[0][0]} has {width}.", source=name)
    return np.concatenate(dense)
