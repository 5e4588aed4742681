"""Filter policies: what a subscriber wants to hear."""

from __future__ import annotations

import json
from typing import Any

import pytest

from colonnade.cloud.sns import filters
from colonnade.kernel.errors import ServiceError

GIVEN = {"color": ["String", "red"], "price": ["Number", "12.5"], "tags": ["String.Array", '["a", "b"]']}


@pytest.mark.parametrize(
    ("policy", "wants"),
    [
        ({"color": ["red", "blue"]}, True),
        ({"color": ["blue"]}, False),
        ({"color": [{"prefix": "r"}]}, True),
        ({"color": [{"suffix": "x"}]}, False),
        ({"color": [{"anything-but": ["blue"]}]}, True),
        ({"color": [{"anything-but": "red"}]}, False),
        ({"color": [{"equals-ignore-case": "RED"}]}, True),
        ({"price": [{"numeric": [">", 10, "<=", 12.5]}]}, True),
        ({"price": [{"numeric": [">", 12.5]}]}, False),
        ({"tags": ["b"]}, True),
        ({"size": [{"exists": False}]}, True),
        ({"color": [{"exists": False}]}, False),
        ({"color": ["red"], "size": ["large"]}, False),
        ({"$or": [{"size": ["large"]}, {"color": ["red"]}]}, True),
    ],
)
def test_a_policy_looks_at_the_attributes(policy: dict[str, Any], wants: bool) -> None:
    text = json.dumps(policy)
    filters.check(text)
    assert filters.wants({"FilterPolicy": text}, "hello", GIVEN) is wants


def test_a_policy_may_look_at_the_body() -> None:
    attributes = {
        "FilterPolicy": json.dumps({"detail": {"state": ["ALARM"]}}),
        "FilterPolicyScope": "MessageBody",
    }
    assert filters.wants(attributes, json.dumps({"detail": {"state": "ALARM"}}), {})
    assert not filters.wants(attributes, json.dumps({"detail": {"state": "OK"}}), {})
    assert not filters.wants(attributes, "no JSON", {})


def test_without_a_policy_everything_is_wanted() -> None:
    assert filters.wants({}, "hello", {})


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"a": "b"}', '{"a": [{"like": "b"}]}', '{"a": [{"numeric": ["~", 1]}]}']
)
def test_what_is_no_policy_is_refused(text: str) -> None:
    with pytest.raises(ServiceError):
        filters.check(text)
