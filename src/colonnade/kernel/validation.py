"""The model's constraints, checked: botocore's clients check only `min` and what is missing, the server checks all.

`compiled` turns an input shape into one function, once; the gateway keeps it in the operation's plan. The texts are AWS's
own, since clients match them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.models import Shape
from colonnade.kernel.patterns import java_pattern

Problem = tuple[str, Any, str]
"""(path, value or None for null, constraint)"""
Check = Callable[[Any, str, list[Problem]], None]
Leaf = Callable[[Any], Sequence[str]]
"""The constraints that one value fails. Paths are made only for what failed: this runs for every request."""
MOST_PROBLEMS = 100
"""A request can be wrong in a million places: so many are looked for and told."""
_MOST_SHOWN = 1000
_LONGEST_SHOWN = 2048
NOT_NULL = "Member must not be null"


def validate(shape: Shape, parameters: Mapping[str, Any], *, code: str = "ValidationException") -> None:
    """Raises one ServiceError that lists all constraints which the parameters fail."""
    compiled(shape, code=code)(parameters)


def compiled(
    shape: Shape, *, code: str = "ValidationException", lenient: bool = False
) -> Callable[[Mapping[str, Any]], None]:
    """`lenient` checks only that required members are there: S3 judges values itself, with errors of its own."""
    check = _Checks(lenient).of(shape)

    def validate(parameters: Mapping[str, Any]) -> None:
        problems: list[Problem] = []
        if check is not None:
            check(parameters, "", problems)
        if problems:
            raise ServiceError(code, message(problems))

    return validate


def message(problems: list[Problem]) -> str:
    """`1 validation error detected: Value 'x' at 'productionVariants.1.member.modelName' failed to satisfy constraint: ...`"""
    plural = "error" if len(problems) == 1 else "errors"
    problems = problems[:MOST_PROBLEMS]
    texts = [
        f"Value {'null' if value is None else repr_java(value)} at '{path}' failed to satisfy constraint: {constraint}"
        for path, value, constraint in problems
    ]
    return f"{len(problems)} validation {plural} detected: {'; '.join(texts)}"


def repr_java(value: Any) -> str:
    text = _java(value)
    return f"'{text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + '...'}'"


def _java(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        items = islice(value.items(), _MOST_SHOWN)
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_java(item) for item in value[:_MOST_SHOWN]) + "]"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)[: _LONGEST_SHOWN + 1]


def member_path(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


class _Checks:
    """Builds checks. None means that nothing below can fail, so that plain members cost nothing."""

    def __init__(self, lenient: bool) -> None:
        self.lenient = lenient
        self.known: dict[str, Check | None] = {}

    def of(self, shape: Shape) -> Check | None:
        build = {"structure": self._structure, "list": self._list, "map": self._map}.get(shape.type_name)
        if build is None or getattr(shape, "is_document_type", False):
            return None
        if shape.name not in self.known:
            self.known[shape.name] = lambda value, path, problems: self._again(
                shape.name, value, path, problems
            )
            self.known[shape.name] = build(shape)
        return self.known[shape.name]

    def _again(self, name: str, value: Any, path: str, problems: list[Problem]) -> None:
        check = self.known[name]
        if check is not None:
            check(value, path, problems)

    def leaf(self, shape: Shape) -> Leaf | None:
        return None if self.lenient else scalar(shape)

    def item(self, shape: Shape) -> Check | None:
        """For what stands in a list or a map, aggregate or not."""
        leaf = self.leaf(shape)
        if leaf is None:
            return self.of(shape)

        def check_item(value: Any, path: str, problems: list[Problem]) -> None:
            failed = leaf(value)
            if failed:
                problems.extend((path, shown(shape, value), constraint) for constraint in failed)

        return check_item

    def _structure(self, shape: Shape) -> Check | None:
        required = shape.required_members
        below = {
            name: inner for name, member in shape.members.items() if (inner := self.of(member)) is not None
        }
        leaves = {
            name: leaf for name, member in shape.members.items() if (leaf := self.leaf(member)) is not None
        }
        if not (required or below or leaves):
            return None

        def check(value: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
            for name in required:
                if name not in value:
                    problems.append((member_path(path, name), None, NOT_NULL))
            for name, item in value.items():
                if name in leaves:
                    failed = leaves[name](item)
                    if failed:
                        at, seen = member_path(path, name), shown(shape.members[name], item)
                        problems.extend((at, seen, constraint) for constraint in failed)
                elif name in below:
                    below[name](item, member_path(path, name), problems)

        return check

    def _list(self, shape: Shape) -> Check | None:
        lengths = self._lengths(shape)
        below = self.item(shape.member)

        def check(value: list[Any], path: str, problems: list[Problem]) -> None:
            lengths(value, path, problems)
            for place, item in enumerate(value, 1):
                if len(problems) >= MOST_PROBLEMS:
                    return
                if item is None:
                    problems.append((f"{path}.{place}.member", None, NOT_NULL))
                elif below is not None:
                    below(item, f"{path}.{place}.member", problems)

        return check

    def _map(self, shape: Shape) -> Check | None:
        lengths = self._lengths(shape)
        keys = self.leaf(shape.key)
        below = self.item(shape.value)

        def check(value: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
            lengths(value, path, problems)
            for key, item in value.items():
                if len(problems) >= MOST_PROBLEMS:
                    return
                failed = keys(key) if keys is not None else None
                if failed:
                    constraints = ", ".join(failed)
                    problems.append((path, value, f"Map keys must satisfy constraint: [{constraints}]"))
                if item is None:
                    problems.append((f"{path}.{key}.member", None, NOT_NULL))
                elif below is not None:
                    below(item, f"{path}.{key}.member", problems)

        return check

    def _lengths(self, shape: Shape) -> Check:
        low, high = shape.metadata.get("min"), shape.metadata.get("max")
        if self.lenient or (not low and high is None):
            return lambda value, path, problems: None
        within = _range(len, low, high, "have length")
        return lambda value, path, problems: problems.extend(
            (path, value, failed) for failed in within(value)
        )


def shown(shape: Shape, value: Any) -> Any:
    """Refusals are logged and shown: a secret must not be in them."""
    return "***" if shape.metadata.get("sensitive") else value


def scalar(shape: Shape) -> Leaf | None:
    """The constraints that a value fails; None when there are none to fail."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("integer", "long", "float", "double"):
        return None if low is None and high is None else _range(_itself, low, high, "have value")
    limited = bool(low) or high is not None
    if shape.type_name == "blob":
        streaming = shape.serialization.get("streaming")
        return _range(len, low, high, "have length") if limited and not streaming else None
    if shape.type_name != "string":
        return None
    leaves = [_range(len, low, high, "have length")] if limited else []
    leaves.extend(_text_leaves(shape))
    leaf = _both(leaves)
    return None if leaf is None else _remembering(leaf)


def _remembering(leaf: Leaf) -> Leaf:
    """Names and types come again and again: short texts that passed are not looked at twice."""
    passed: set[str] = set()

    def check(value: str) -> Sequence[str]:
        if value in passed:
            return ()
        failed = leaf(value)
        if not failed and len(value) <= 64:
            if len(passed) >= 128:
                passed.clear()
            passed.add(value)
        return failed

    return check


def _both(leaves: list[Leaf]) -> Leaf | None:
    if not leaves:
        return None
    if len(leaves) == 1:
        return leaves[0]
    first, *rest = leaves
    second = _both(rest)
    assert second is not None
    # Empty answers are the rule: `or` keeps them cheap, addition joins the rest.
    return lambda value: (*failed, *second(value)) if (failed := first(value)) else second(value)


def _itself(value: Any) -> Any:
    return value


def _range(measure: Callable[[Any], Any], low: Any, high: Any, what: str) -> Leaf:
    def check(value: Any) -> Sequence[str]:
        size = measure(value)
        if high is not None and size > high:
            return (f"Member must {what} less than or equal to {high}",)
        if low is not None and size < low:
            return (f"Member must {what} greater than or equal to {low}",)
        return ()

    return check


def _text_leaves(shape: Shape) -> list[Leaf]:
    leaves: list[Leaf] = []
    pattern = shape.metadata.get("pattern") or ""
    regex = java_pattern(pattern) if pattern else None
    if regex is not None:
        leaves.append(_matches(regex.fullmatch, pattern, shape.metadata.get("max")))
    if getattr(shape, "enum", None):
        leaves.append(_one_of(shape.enum))
    return leaves


def _matches(fullmatch: Callable[[str], Any], pattern: str, longest: int | None) -> Leaf:
    failed = (f"Member must satisfy regular expression pattern: {pattern}",)

    def check(value: str) -> Sequence[str]:
        # A value that is too long has failed already; matching it could take long.
        if (longest is not None and len(value) > max(longest, 1024)) or fullmatch(value):
            return ()
        return failed

    return check


def _one_of(values: list[str]) -> Leaf:
    allowed = frozenset(values)
    failed = (f"Member must satisfy enum value set: [{', '.join(values)}]",)
    return lambda value: () if value in allowed else failed
