"""`application/x-parquet` training files: label first, then features. pyarrow is imported here alone, when asked."""

from __future__ import annotations

import io

import numpy as np

from colonnade.formats import Examples, FormatError


def examples(data: bytes, *, label_size: int = 1, source: str = "") -> Examples:
    """All columns become float32; null is missing."""
    try:
        import pyarrow  # type: ignore[import-untyped]
        import pyarrow.parquet  # type: ignore[import-untyped]
    except ImportError:
        raise FormatError(
            "Parquet needs pyarrow, which this runtime lacks. Add pyarrow to it, or send CSV.", source=source
        ) from None
    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        columns = [
            column.cast(pyarrow.float64()).to_numpy().astype(np.float32) for column in table.itercolumns()
        ]
    except (pyarrow.ArrowException, OSError) as error:
        raise FormatError(f"not a Parquet file of numeric columns ({error}).", source=source) from None
    if len(columns) <= label_size:
        raise FormatError(f"{len(columns)} columns leave no feature after the label.", source=source)
    matrix = np.column_stack(columns)
    return Examples(features=matrix[:, label_size:], labels=matrix[:, :label_size] if label_size else None)
