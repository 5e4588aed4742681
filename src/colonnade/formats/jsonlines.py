"""`application/jsonlines`: one JSON instance a line, in the forms that `formats.json` knows."""

from __future__ import annotations

import msgspec

from colonnade.formats import FormatError, Matrix, json


def objects(body: bytes, source: str = "") -> list[tuple[int, json.Value]]:
    """Line number and value of every line that is not blank."""
    return [
        (number, json.decode(line, source, number))
        for number, line in enumerate(body.split(b"\n"), start=1)
        if line.strip()
    ]


def rows(body: bytes, source: str = "") -> Matrix:
    """The matrix in a request body.

    >>> rows(b'{"features": [1, 2]}\\n{"features": [3, 4]}\\n').tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """
    instances: list[list[float]] = []
    for number, item in objects(body, source):
        instance = json.features(item, "features", source, number)
        if instances and len(instance) != len(instances[0]):
            raise FormatError(
                f"{len(instance)} features where the first line has {len(instances[0])}.",
                source=source,
                line=number,
            )
        instances.append(instance)
    if not instances:
        raise FormatError('no lines. Send one {"features": [...]} a line.', source=source)
    return json.stack(instances, source)


def write(matrix: Matrix) -> bytes:
    return b"".join(msgspec.json.encode({"features": row}) + b"\n" for row in matrix.tolist())
