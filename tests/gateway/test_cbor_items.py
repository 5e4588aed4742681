"""CBOR's items: the examples of RFC 8949 (appendix A) that the protocol uses, its refusals, and whatever hypothesis finds."""

from __future__ import annotations

import math
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.gateway.protocols import cbor
from colonnade.gateway.protocols.cbor_items import Instant, decode, encode
from colonnade.kernel import models
from colonnade.kernel.errors import ServiceError


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("00", 0),
        ("17", 23),
        ("1818", 24),
        ("1903e8", 1000),
        ("1a000f4240", 1_000_000),
        ("1b000000e8d4a51000", 1_000_000_000_000),
        ("20", -1),
        ("3903e7", -1000),
        ("f90000", 0.0),
        ("f93e00", 1.5),
        ("f90001", 5.960464477539063e-8),
        ("fa47c35000", 100000.0),
        ("fb3ff199999999999a", 1.1),
        ("f97c00", math.inf),
        ("faff800000", -math.inf),
        ("f4", False),
        ("f5", True),
        ("f6", None),
        ("f7", None),
        ("c11a514b67b0", Instant(1363896240)),
        ("c1fb41d452d9ec200000", Instant(1363896240.5)),
        ("4401020304", b"\x01\x02\x03\x04"),
        ("62c3bc", "ü"),
        ("8301820203820405", [1, [2, 3], [4, 5]]),
        ("a26161016162820203", {"a": 1, "b": [2, 3]}),
        ("5f42010243030405ff", b"\x01\x02\x03\x04\x05"),
        ("7f657374726561646d696e67ff", "streaming"),
        ("9f018202039f0405ffff", [1, [2, 3], [4, 5]]),
        ("bf61610161629f0203ffff", {"a": 1, "b": [2, 3]}),
        ("80", []),
        ("a0", {}),
    ],
)
def test_the_examples_of_the_rfc_are_understood(text: str, value: Any) -> None:
    assert decode(bytes.fromhex(text)) == value


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "ends too early"),
        ("19", "ends too early"),
        ("1a0001", "ends too early"),
        ("43ffff", "ends too early"),
        ("5f4101", "ends too early"),
        ("5f6101ff", "no piece of it"),
        ("7f5f4101ffff", "no piece of it"),
        ("9bffffffffffffffff", "ends too early"),
        ("5bffffffffffffffff", "ends too early"),
        ("bf6161ff", "no beginning of an item"),
        ("a1", "ends too early"),
        ("a10102", "key is not text"),
        ("ff", "no beginning of an item"),
        ("1c", "no beginning of an item"),
        ("f800", "no beginning of an item"),
        ("0000", "bytes follow"),
        ("62ff80", "not UTF-8"),
        ("1bffffffffffffffff", "more than 64 bits"),
        ("3bffffffffffffffff", "more than 64 bits"),
        ("c249010000000000000000", "tags 2 and 3"),
        ("c0613a", "tag 0 is not supported"),
        ("c16161", "epoch seconds"),
        ("c1f97e00", "epoch seconds"),
        ("c1f5", "epoch seconds"),
        ("81" * 200 + "00", "levels deep"),
        ("9f" * 100_000, "levels deep"),
        ("c1" * 100_000, "levels deep"),
    ],
)
def test_what_cannot_be_is_refused_with_its_reason(text: str, why: str) -> None:
    with pytest.raises(ServiceError) as caught:
        decode(bytes.fromhex(text))

    assert (caught.value.code, caught.value.status) == ("SerializationException", 400)
    assert why in caught.value.message


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.binary()
    | st.builds(Instant, st.integers(0, 2**40))
)
ITEMS = st.recursive(
    SCALARS, lambda items: st.lists(items) | st.dictionaries(st.text(), items), max_leaves=30
)


@given(ITEMS)
def test_what_is_written_is_read_back(value: Any) -> None:
    assert decode(encode(value)) == value


def test_not_a_number_survives() -> None:
    assert math.isnan(decode(encode(math.nan)))


@given(st.binary(max_size=60))
def test_any_bytes_are_an_item_or_are_refused(data: bytes) -> None:
    # Any other error than the refusal fails the test.
    with suppress(ServiceError):
        decode(data)


def test_floats_take_four_bytes_only_where_nothing_is_lost() -> None:
    assert encode(1.5).hex() == "fa3fc00000"
    assert encode(1.1).hex() == "fb3ff199999999999a"
    assert len(encode(1e300)) == 9


METRIC_DATA = cbor.parser(models.operation("cloudwatch", "PutMetricData"))
MEMBERS = st.sampled_from(
    ["Namespace", "MetricData", "MetricName", "Timestamp", "Value", "Dimensions", "Name"]
)


@given(st.recursive(SCALARS, lambda items: st.lists(items) | st.dictionaries(MEMBERS, items), max_leaves=20))
def test_items_of_the_wrong_kind_are_refused_with_their_place(item: Any) -> None:
    exchange = SimpleNamespace(body=encode(item))

    # Any other error than the refusal fails the test.
    with suppress(ServiceError):
        assert isinstance(METRIC_DATA(exchange), dict)  # type: ignore[arg-type]


def test_a_refusal_says_where_and_what() -> None:
    body = encode({"MetricData": [{"MetricName": "m", "Timestamp": 12}]})

    with pytest.raises(ServiceError, match=r"MetricData\.1\.Timestamp must be a timestamp \(tag 1\), not 12"):
        METRIC_DATA(SimpleNamespace(body=body))  # type: ignore[arg-type]
