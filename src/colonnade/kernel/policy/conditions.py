"""The Condition block: operators, set qualifiers, IfExists and Null.

A condition holds when the request's value meets any of the policy's values; a negated operator (StringNotEquals) holds
when it meets none. Without a value in the request, plain operators do not hold, negated ones, `...IfExists` and
ForAllValues do. All conditions of a statement must hold.
"""

from __future__ import annotations

import ipaddress
import operator
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from colonnade.kernel.policy.patterns import Context, pattern, texts

Test = Callable[[str, Context], bool]
"""Does the request's value meet one value of the policy?"""


@dataclass(frozen=True, slots=True)
class Condition:
    name: str
    """The key as the policy spells it."""
    key: str
    """Lower-cased."""
    tests: tuple[Test, ...]
    negated: bool
    qualifier: str
    """"ForAnyValue", "ForAllValues" or empty."""
    if_exists: bool

    def holds(self, context: Context) -> bool:
        values = texts(context.get(self.key))
        if values is None or (not values and not self.qualifier):
            return self.if_exists or self.qualifier == "ForAllValues" or (self.negated and not self.qualifier)
        met = (any(test(value, context) for test in self.tests) != self.negated for value in values)
        wants_all = self.qualifier == "ForAllValues" or (self.negated and not self.qualifier)
        return all(met) if wants_all else any(met)


@dataclass(frozen=True, slots=True)
class Presence:
    """The Null operator: "true" wants the key absent."""

    name: str
    key: str
    absent: frozenset[bool]

    def holds(self, context: Context) -> bool:
        return (not texts(context.get(self.key))) in self.absent


def conditions(block: object, *, variables: bool) -> tuple[Condition | Presence, ...]:
    """Compile a Condition block. Raises ValueError, saying what is wrong."""
    if not isinstance(block, dict):
        raise ValueError(f"Condition must be an object of operators, not {block!r}")
    compiled: list[Condition | Presence] = []
    for name, keys in block.items():
        if not isinstance(keys, dict):
            raise ValueError(f"Condition operator {name} must hold an object of keys, not {keys!r}")
        compiled += [_condition(name, key, _values(key, value), variables) for key, value in keys.items()]
    return tuple(compiled)


def _values(key: str, value: object) -> list[str]:
    listed = value if isinstance(value, list) else [value]
    for item in listed:
        if not isinstance(item, (str, int, float, bool)):
            raise ValueError(f"Condition values must be strings, numbers or booleans: {key} has {item!r}")
    return [text for item in listed for text in texts(item) or ()]


def _condition(name: str, key: str, values: list[str], variables: bool) -> Condition | Presence:
    if name == "Null":
        return Presence(key, key.lower(), frozenset(_truth(value) for value in values))
    qualifier, colon, bare = name.rpartition(":")
    if colon and qualifier not in ("ForAnyValue", "ForAllValues"):
        raise ValueError(f"Invalid Condition type : {name}")
    if_exists = bare.endswith("IfExists")
    bare = bare.removesuffix("IfExists")
    negated = bare in _NEGATIONS
    compile_test = _OPERATORS.get(_NEGATIONS.get(bare, bare))
    if compile_test is None:
        raise ValueError(f"Invalid Condition type : {name}")
    tests = tuple(compile_test(value, variables) for value in values)
    return Condition(key, key.lower(), tests, negated, qualifier, if_exists)


def _equals(wanted: str, variables: bool) -> Test:
    return pattern(wanted, wildcards=False, variables=variables).matches


def _equals_ignoring_case(wanted: str, variables: bool) -> Test:
    return pattern(wanted, wildcards=False, variables=variables, ignore_case=True).matches


def _like(wanted: str, variables: bool) -> Test:
    return pattern(wanted, variables=variables).matches


def _arn(wanted: str, variables: bool) -> Test:
    """Each of the six parts matches by itself: a star does not reach over a colon, but in the last part."""
    parts = [pattern(part, variables=variables) for part in _split_arn(wanted)]

    def test(value: str, context: Context) -> bool:
        asked = value.split(":", 5)
        return len(asked) == len(parts) and all(
            part.matches(text, context) for part, text in zip(parts, asked, strict=True)
        )

    return test


def _split_arn(text: str) -> list[str]:
    """Split at colons outside of variables: `${aws:username}` is one piece."""
    hidden = text.replace("${aws:", "${aws\0").replace("${s3:", "${s3\0")
    return [part.replace("\0", ":") for part in hidden.split(":", 5)]


def _compared(
    read: Callable[[str], float], compare: Callable[[float, float], bool]
) -> Callable[[str, bool], Test]:
    def compile_test(wanted: str, variables: bool) -> Test:
        limit = read(wanted)

        def test(value: str, context: Context) -> bool:
            try:
                return compare(read(value), limit)
            except ValueError:
                return False

        return test

    return compile_test


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"not a number: {text!r}") from None


def _instant(text: str) -> float:
    """ISO 8601 (without a zone: UTC) or epoch seconds."""
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise ValueError(f"not a date: {text!r} (want 2026-01-31T12:00:00Z or epoch seconds)") from None


def _bool(wanted: str, variables: bool) -> Test:
    truth = _truth(wanted)
    return lambda value, context: value.lower() == ("true" if truth else "false")


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(f'not a boolean: {text!r} (want "true" or "false")')
    return text.lower() == "true"


def _address(wanted: str, variables: bool) -> Test:
    try:
        network = ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        raise ValueError(f"not an IP address or CIDR range: {wanted!r}") from None

    def test(value: str, context: Context) -> bool:
        try:
            return ipaddress.ip_address(value) in network
        except ValueError:
            return False

    return test


def _binary(wanted: str, variables: bool) -> Test:
    return lambda value, context: value == wanted


_OPERATORS: dict[str, Any] = {
    "StringEquals": _equals,
    "StringEqualsIgnoreCase": _equals_ignoring_case,
    "StringLike": _like,
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "NumericEquals": _compared(_number, operator.eq),
    "NumericLessThan": _compared(_number, operator.lt),
    "NumericLessThanEquals": _compared(_number, operator.le),
    "NumericGreaterThan": _compared(_number, operator.gt),
    "NumericGreaterThanEquals": _compared(_number, operator.ge),
    "DateEquals": _compared(_instant, operator.eq),
    "DateLessThan": _compared(_instant, operator.lt),
    "DateLessThanEquals": _compared(_instant, operator.le),
    "DateGreaterThan": _compared(_instant, operator.gt),
    "DateGreaterThanEquals": _compared(_instant, operator.ge),
    "Bool": _bool,
    "BinaryEquals": _binary,
    "IpAddress": _address,
}

_NEGATIONS = {
    "StringNotEquals": "StringEquals",
    "StringNotEqualsIgnoreCase": "StringEqualsIgnoreCase",
    "StringNotLike": "StringLike",
    "ArnNotEquals": "ArnEquals",
    "ArnNotLike": "ArnLike",
    "NumericNotEquals": "NumericEquals",
    "DateNotEquals": "DateEquals",
    "NotIpAddress": "IpAddress",
}
