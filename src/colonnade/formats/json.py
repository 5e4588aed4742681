"""`application/json` requests of SageMaker's numeric algorithms: `{"instances": [{"features": [...]}, ...]}` and kin.

Accepted for each instance: `{"features": [...]}`, `{"data": {"features": {"values": [...]}}}`, the same with `keys` and
`shape` for sparse ones, or a bare array; around them `{"instances": [...]}` or a bare array. null is missing.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
import numpy as np

from colonnade.formats import FormatError, Matrix

Value: TypeAlias = "bool | int | float | str | list[Value] | dict[str, Value] | None"
_MAX_WIDTH = 10_000_000


def rows(body: bytes, source: str = "") -> Matrix:
    """The matrix in a request body.

    >>> rows(b'{"instances": [{"features": [1, 2]}, {"data": {"features": {"values": [3, null]}}}]}').tolist()
    [[1.0, 2.0], [3.0, nan]]
    """
    document = decode(body, source)
    if isinstance(document, dict) and "instances" in document:
        document = document["instances"]
    if isinstance(document, dict) or (isinstance(document, list) and document and _is_number(document[0])):
        document = [document]
    if not isinstance(document, list) or not document:
        raise FormatError('no instances. Send {"instances": [{"features": [...]}, ...]}.', source=source)
    return stack(
        [features(item, f"instance {number}", source) for number, item in enumerate(document)], source
    )


def write(matrix: Matrix) -> bytes:
    return msgspec.json.encode({"instances": [{"features": row} for row in matrix.tolist()]})


def decode(text: bytes, source: str = "", line: int | None = None) -> Value:
    try:
        value: Value = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise FormatError(f"not JSON: {error}.", source=source, line=line) from None
    return value


def features(item: Value, name: str, source: str = "", line: int | None = None) -> list[float]:
    """The numbers of one instance, missing ones as NaN."""
    found: Value = item
    if isinstance(found, dict) and "data" in found:
        found = found["data"]
    if isinstance(found, dict) and "features" in found:
        found = found["features"]
    if isinstance(found, dict) and "keys" in found:
        return _sparse(found, name, source, line)
    if isinstance(found, dict) and "values" in found:
        found = found["values"]
    return _numbers(found, name, source, line)


def stack(instances: list[list[float]], source: str = "") -> Matrix:
    width = len(instances[0])
    for number, instance in enumerate(instances):
        if len(instance) != width:
            raise FormatError(
                f"instance {number} has {len(instance)} features where instance 0 has {width}.", source=source
            )
    return np.array(instances, dtype=np.float32).reshape(len(instances), width)


def _sparse(tensor: dict[str, Value], name: str, source: str, line: int | None) -> list[float]:
    keys = _numbers(tensor["keys"], f"{name}, keys", source, line)
    values = _numbers(tensor.get("values"), f"{name}, values", source, line)
    shape = _numbers(tensor.get("shape"), f"{name}, shape", source, line)
    width = int(shape[0]) if len(shape) == 1 and 0 < shape[0] <= _MAX_WIDTH else 0
    if len(keys) != len(values) or not width or not all(key % 1 == 0 and 0 <= key < width for key in keys):
        raise FormatError(
            f"{name}: sparse features need as many keys as values and a shape [n] above every key.",
            source=source,
            line=line,
        )
    dense = [float("nan")] * width
    for key, value in zip(keys, values, strict=True):
        dense[int(key)] = value
    return dense


def _numbers(found: Value, name: str, source: str, line: int | None) -> list[float]:
    if not isinstance(found, list) or not all(item is None or _is_number(item) for item in found):
        shown = msgspec.json.encode(found).decode()[:80]
        raise FormatError(
            f'{name}: {shown} is not an array of numbers. Send {{"features": [1.5, 2, ...]}}.',
            source=source,
            line=line,
        )
    try:
        return [float("nan") if item is None else float(item) for item in found]  # type: ignore[arg-type]
    except OverflowError:
        raise FormatError(f"{name}: a number is larger than any float.", source=source, line=line) from None


def _is_number(value: Value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
