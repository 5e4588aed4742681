"""What holds for every format: what is written is read back, and no bytes raise anything but FormatError."""

from __future__ import annotations

import contextlib
import doctest
import gzip
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from colonnade.formats import FormatError, Sparse, csv, json, jsonlines, libsvm, npy, parquet, recordio

MATRICES = arrays.arrays(
    np.float32,
    st.tuples(st.integers(1, 6), st.integers(2, 6)),
    elements=st.floats(width=32, allow_infinity=False),
)
PARSERS: dict[str, Callable[[bytes], Any]] = {
    "csv": csv.rows,
    "csv examples": csv.examples,
    "libsvm": libsvm.rows,
    "libsvm examples": libsvm.examples,
    "json": json.rows,
    "jsonlines": jsonlines.rows,
    "npy": npy.rows,
    "recordio": recordio.rows,
    "parquet": parquet.examples,
}
ALPHABETS = {
    "anything": st.binary(max_size=80),
    "numbers": st.text('0123456789.,:-+e \t\r\nnaifqd#"[]{}x_', max_size=80).map(str.encode),
    "frames": st.binary(max_size=40).map(recordio.frame),
    "records": st.binary(max_size=20).map(lambda b: recordio.frame(b"\n" + bytes([len(b)]) + b)),
    "npy": st.binary(max_size=60).map(lambda b: b"\x93NUMPY\x01\x00" + b),
}


@settings(deadline=None, derandomize=True)
@given(MATRICES)
def test_csv_reads_back_what_it_wrote(matrix: np.ndarray) -> None:
    np.testing.assert_array_equal(csv.rows(csv.write(matrix)), matrix)


@settings(deadline=None, derandomize=True)
@given(MATRICES)
def test_json_reads_back_what_it_wrote(matrix: np.ndarray) -> None:
    np.testing.assert_array_equal(json.rows(json.write(matrix)), matrix)


@settings(deadline=None, derandomize=True)
@given(MATRICES)
def test_json_lines_read_back_what_they_wrote(matrix: np.ndarray) -> None:
    np.testing.assert_array_equal(jsonlines.rows(jsonlines.write(matrix)), matrix)


@settings(deadline=None, derandomize=True)
@given(MATRICES)
def test_npy_reads_back_what_it_wrote(matrix: np.ndarray) -> None:
    np.testing.assert_array_equal(npy.rows(npy.write(matrix)), matrix)


@settings(deadline=None, derandomize=True)
@given(MATRICES)
def test_libsvm_reads_back_what_it_wrote(matrix: np.ndarray) -> None:
    labels = np.arange(len(matrix), dtype=np.float32)[:, None]
    found = libsvm.examples(libsvm.write(matrix, labels))
    assert isinstance(found.features, Sparse)
    np.testing.assert_array_equal(found.features.dense(matrix.shape[1]), matrix)
    np.testing.assert_array_equal(found.labels, labels)


@settings(deadline=None, derandomize=True)
@given(MATRICES)
def test_recordio_reads_back_what_it_wrote(matrix: np.ndarray) -> None:
    labels = matrix[:, :1].copy()
    found = recordio.examples(recordio.write(matrix, labels))
    np.testing.assert_array_equal(found.features, matrix)
    np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("alphabet", ALPHABETS)
def test_no_bytes_raise_anything_but_a_format_error(parser: str, alphabet: str) -> None:
    @settings(deadline=None, derandomize=True, max_examples=80)
    @given(ALPHABETS[alphabet])
    def attempt(body: bytes) -> None:
        with contextlib.suppress(FormatError):
            assert len(PARSERS[parser](body)) > 0

    attempt()


def test_an_empty_csv_cell_is_missing() -> None:
    np.testing.assert_array_equal(csv.rows(b"1,,3\n,5,\n"), [[1, np.nan, 3], [np.nan, 5, np.nan]])
    np.testing.assert_array_equal(csv.rows(b",2, "), [[np.nan, 2, np.nan]])


def test_blank_lines_and_carriage_returns_in_csv_are_no_rows() -> None:
    np.testing.assert_array_equal(csv.rows(b"1,2\r\n\r\n3,4\r\n\r\n"), [[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (
            b"age,income\n1,2\n",
            "data.csv, line 1, column 1: 'age' is not a number. Is it a header? Remove it",
        ),
        (b"1,2\n3,4\n5,six\n", "data.csv, line 3, column 2: 'six' is not a number. Send numbers only"),
        (b"1,2\n\n3\n", "data.csv, line 3: 1 columns where the first line has 2"),
        (b"\n", "data.csv: no rows"),
        (b"1\n2\n", "data.csv, line 1: 1 columns leave no feature after 1 label column"),
        (b"\x1f\x8bnot gzip", "data.csv: broken gzip data"),
    ],
)
def test_a_broken_csv_names_file_line_value_and_remedy(body: bytes, text: str) -> None:
    with pytest.raises(FormatError) as caught:
        csv.examples(body, source="data.csv")
    assert str(caught.value).startswith(text)


def test_training_csv_splits_label_weight_and_features() -> None:
    found = csv.examples(gzip.compress(b"1,0.5,7,8\n0,2,9,\n"), weights=True)
    np.testing.assert_array_equal(found.labels, [[1], [0]])
    np.testing.assert_array_equal(found.weights, [0.5, 2])
    np.testing.assert_array_equal(found.features, [[7, 8], [9, np.nan]])


def test_label_size_counts_the_label_columns() -> None:
    assert csv.examples(b"1,2,3\n", label_size=0).labels is None
    np.testing.assert_array_equal(csv.examples(b"1,2,3\n", label_size=2).labels, [[1, 2]])


def test_libsvm_knows_weights_queries_and_comments() -> None:
    found = libsvm.examples(b"1:0.5 qid:3 1:2.5 # first\n\n0:2 qid:4 0:1 2:8\n")
    assert isinstance(found.features, Sparse)
    np.testing.assert_array_equal(found.features.dense(), [[np.nan, 2.5, np.nan], [1, np.nan, 8]])
    np.testing.assert_array_equal(found.weights, [0.5, 2])
    assert found.queries is not None
    assert found.queries.tolist() == [3, 4]


def test_a_libsvm_request_may_carry_a_label_or_none() -> None:
    for body in (b"0:1 2:3\n1:4", b"1 0:1 2:3\n0 1:4"):
        np.testing.assert_array_equal(libsvm.rows(body).dense(), [[1, np.nan, 3], [np.nan, 4, np.nan]])


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"1 0:1\n0 a:1\n", "f, line 2: 'a:1' is not 'index:value'"),
        (b"1 0:1\nx 0:1\n", "f, line 2: 'x' is not a label"),
        (b"1 0:1\n1 0:1:2 4\n", "f, line 2: '0:1:2' is not 'index:value'"),
        (b"1 0:1\n1:2 0:1\n", "f, line 2: '1:2' is not like the labels above it"),
        (b"1 qid:1 0:1\n1 0:1\n", "f, line 2: '1 0:1' is not a line with 'qid:n'"),
        (b"1 -1:4\n", "f, line 1: '-1:4' is not 'index:value'"),
    ],
)
def test_a_broken_libsvm_names_line_and_token(body: bytes, text: str) -> None:
    with pytest.raises(FormatError) as caught:
        libsvm.examples(body, source="f")
    assert str(caught.value).startswith(text)


def test_json_takes_the_forms_of_the_algorithms() -> None:
    sparse = b'{"instances":[{"data":{"features":{"keys":[0,2],"shape":[3],"values":[1,3]}}}]}'
    np.testing.assert_array_equal(json.rows(sparse), [[1, np.nan, 3]])
    for body in (
        b"[[1,2],[3,4]]",
        b'{"instances":[[1,2],[3,4]]}',
        b'[{"features":[1,2]},{"features":[3,4]}]',
    ):
        np.testing.assert_array_equal(json.rows(body), [[1, 2], [3, 4]])
    np.testing.assert_array_equal(json.rows(b"[1, 2]"), [[1, 2]])


def test_json_lines_name_the_line_that_is_wrong() -> None:
    with pytest.raises(FormatError, match=r"b, line 3: 1 features where the first line has 2"):
        jsonlines.rows(b'{"features":[1,2]}\n\n{"features":[1]}\n', "b")
    with pytest.raises(FormatError, match=r"b, line 2: not JSON"):
        jsonlines.rows(b'{"features":[1,2]}\n{"features":\n', "b")


def test_a_pickled_npy_is_refused() -> None:
    with pytest.raises(FormatError, match="an array of object"):
        npy.rows(_pickled())


def _pickled() -> bytes:
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


def test_a_npy_header_that_claims_too_much_reserves_nothing() -> None:
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,), }"
    with pytest.raises(FormatError, match="does not fit the 0 bytes"):
        npy.rows(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)


def test_recordio_joins_parts_around_the_magic_number() -> None:
    magic = (0xCED7230A).to_bytes(4, "little")
    parts = [(1, b"abcd"), (2, b"ef"), (3, b"g")]
    data = b"".join(
        magic + (kind << 29 | len(part)).to_bytes(4, "little") + part + b"\0" * (-len(part) % 4)
        for kind, part in parts
    )
    assert list(recordio.frames(data)) == [b"abcd" + magic + b"ef" + magic + b"g"]


def test_sparse_double_and_integer_records_are_read() -> None:
    keys, shape = b"\x12\x02\x01\x03", b"\x1a\x01\x05"
    double = b"\x0a\x10" + np.array([1.5, 2.5]).tobytes() + keys + shape
    features = (
        b"\x0a\x06values" + b"\x12" + bytes([len(double) + 2]) + b"\x1a" + bytes([len(double)]) + double
    )
    integers = b"\x0a\x0b\x07" + b"\xff" * 9 + b"\x01"  # 7 and -1
    label = (
        b"\x0a\x06values" + b"\x12" + bytes([len(integers) + 2]) + b"\x3a" + bytes([len(integers)]) + integers
    )
    record = b"\x0a" + bytes([len(features)]) + features + b"\x12" + bytes([len(label)]) + label
    found = recordio.examples(recordio.frame(record))
    assert isinstance(found.features, Sparse)
    np.testing.assert_array_equal(found.features.dense(), [[np.nan, 1.5, np.nan, 2.5, np.nan]])
    np.testing.assert_array_equal(found.labels, [[7, -1]])


@pytest.mark.parametrize("module", [csv, json, jsonlines, libsvm], ids=lambda module: module.__name__)
def test_the_examples_in_the_docstrings_hold(module: ModuleType) -> None:
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
