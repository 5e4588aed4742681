"""Filter policies: which messages a subscriber wants, by the message's attributes or by members of its JSON body."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from colonnade.cloud.sns.named import invalid
from colonnade.kernel import json_text

_COMPARED: Mapping[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OPERATORS = ("prefix", "suffix", "anything-but", "numeric", "exists", "equals-ignore-case")


def check(text: str) -> None:
    """Raises InvalidParameter for what is no filter policy."""
    try:
        policy = json_text.read(text)
    except ValueError:
        raise invalid("Invalid parameter: FilterPolicy: failed to parse JSON.") from None
    if not isinstance(policy, dict):
        raise invalid("Invalid parameter: FilterPolicy: Filter policy must be a JSON object")
    _check_object(policy)


def _check_object(policy: Mapping[str, Any]) -> None:
    for name, wanted in policy.items():
        if name == "$or":
            for each in wanted if isinstance(wanted, list) else []:
                _check_object(each)
        elif isinstance(wanted, dict):
            _check_object(wanted)
        elif not isinstance(wanted, list) or not wanted:
            raise invalid(f'Invalid parameter: FilterPolicy: "{name}" must be an object or an array')
        else:
            _check_rules(name, wanted)


def _check_rules(name: str, rules: Sequence[Any]) -> None:
    for rule in rules:
        if isinstance(rule, dict) and (len(rule) != 1 or next(iter(rule)) not in _OPERATORS):
            raise invalid(
                f"Invalid parameter: FilterPolicy: Unrecognized match type of {name}; the known are {', '.join(_OPERATORS)}"
            )
        if isinstance(rule, dict) and "numeric" in rule:
            terms = rule["numeric"]
            pairs = list(zip(terms[::2], terms[1::2], strict=False)) if isinstance(terms, list) else []
            if (
                not pairs
                or len(terms) % 2
                or not all(sign in _COMPARED and _is_number(value) for sign, value in pairs)
            ):
                raise invalid(f"Invalid parameter: FilterPolicy: Invalid numeric rule of {name}")


def wants(attributes: Mapping[str, str], message: str, given: Mapping[str, Sequence[str]]) -> bool:
    """Whether a subscription with these attributes wants the message; `given` are the message's own, as (type, value)."""
    text = attributes.get("FilterPolicy")
    if not text:
        return True
    policy = json_text.read(text)
    if attributes.get("FilterPolicyScope") == "MessageBody":
        try:
            body = json_text.read(message)
        except ValueError:
            return False
        return isinstance(body, dict) and _matches(policy, body)
    return _matches(policy, {name: _value(kind, value) for name, (kind, value) in given.items()})


def _value(kind: str, value: str) -> Any:
    if kind in ("String.Array", "Number"):
        try:
            return json_text.read(value)
        except ValueError:
            return value
    return value


def _matches(policy: Mapping[str, Any], values: Mapping[str, Any]) -> bool:
    for name, wanted in policy.items():
        if name == "$or":
            if not any(_matches(each, values) for each in wanted):
                return False
        elif isinstance(wanted, dict):
            inner = values.get(name)
            if not isinstance(inner, Mapping) or not _matches(wanted, inner):
                return False
        elif not _any(wanted, name in values, values.get(name)):
            return False
    return True


def _any(rules: Sequence[Any], there: bool, value: Any) -> bool:
    values = value if isinstance(value, list) else [value]
    for rule in rules:
        if isinstance(rule, dict) and "exists" in rule:
            if bool(rule["exists"]) == there:
                return True
        elif there and any(_is(rule, each) for each in values):
            return True
    return False


def _is(rule: Any, value: Any) -> bool:
    if not isinstance(rule, dict):
        return bool(rule == value) and isinstance(rule, bool) == isinstance(value, bool)
    ((kind, operand),) = rule.items()
    text = value if isinstance(value, str) else None
    if kind == "prefix":
        return text is not None and text.startswith(operand)
    if kind == "suffix":
        return text is not None and text.endswith(operand)
    if kind == "equals-ignore-case":
        return text is not None and text.lower() == operand.lower()
    if kind == "anything-but":
        excluded = operand if isinstance(operand, list) else [operand]
        return not any(_is(each, value) for each in excluded)
    terms = zip(operand[::2], operand[1::2], strict=True)
    return _is_number(value) and all(_COMPARED[sign](value, bound) for sign, bound in terms)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
