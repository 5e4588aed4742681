"""The model's constraints, checked: botocore's clients check only `min` and what is missing, the server checks all.

`compiled` turns an input shape into one function, once; the gateway keeps it in the operation's plan. The texts are AWS's
own, since clients match them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.models import Shape
from colonnade.kernel.patterns import java_pattern

Problem = tuple[str, Any, str]
"""(path, value or None for null, constraint)"""
Check = Callable[[Any, str, list[Problem]], None]
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
    texts = [
        f"Value {'null' if value is None else repr_java(value)} at '{path}' failed to satisfy constraint: {constraint}"
        for path, value, constraint in problems
    ]
    return f"{len(problems)} validation {plural} detected: {'; '.join(texts)}"


def repr_java(value: Any) -> str:
    return f"'{_java(value)}'"


def _java(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_java(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_java(item) for item in value) + "]"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)


def member_path(path: str, name: str) -> str:
    lowered = name[:1].lower() + name[1:]
    return f"{path}.{lowered}" if path else lowered


class _Checks:
    """Builds checks. None means that nothing below can fail, so that plain members cost nothing."""

    def __init__(self, lenient: bool) -> None:
        self.lenient = lenient
        self.known: dict[str, Check | None] = {}

    def of(self, shape: Shape) -> Check | None:
        if getattr(shape, "is_document_type", False):
            return None
        build = {"structure": self._structure, "list": self._list, "map": self._map}.get(shape.type_name)
        if build is None:
            return None if self.lenient else _scalar(shape)
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

    def _structure(self, shape: Shape) -> Check | None:
        required = shape.required_members
        checks = {
            name: check for name, member in shape.members.items() if (check := self.of(member)) is not None
        }
        if not required and not checks:
            return None

        def check(value: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
            for name in required:
                if name not in value:
                    problems.append((member_path(path, name), None, NOT_NULL))
            for name, item in value.items():
                below = checks.get(name)
                if below is not None:
                    below(item, member_path(path, name), problems)

        return check

    def _list(self, shape: Shape) -> Check | None:
        lengths = None if self.lenient else _lengths(shape)
        below = self.of(shape.member)

        def check(value: list[Any], path: str, problems: list[Problem]) -> None:
            if lengths is not None:
                lengths(value, path, problems)
            for place, item in enumerate(value, 1):
                if item is None:
                    problems.append((f"{path}.{place}.member", None, NOT_NULL))
                elif below is not None:
                    below(item, f"{path}.{place}.member", problems)

        return check

    def _map(self, shape: Shape) -> Check | None:
        lengths = None if self.lenient else _lengths(shape)
        keys = self.of(shape.key)
        below = self.of(shape.value)

        def check(value: Mapping[str, Any], path: str, problems: list[Problem]) -> None:
            if lengths is not None:
                lengths(value, path, problems)
            for key, item in value.items():
                if keys is not None:
                    _check_key(keys, key, value, path, problems)
                if item is None:
                    problems.append((f"{path}.{key}.member", None, NOT_NULL))
                elif below is not None:
                    below(item, f"{path}.{key}.member", problems)

        return check


def _check_key(check: Check, key: str, whole: Any, path: str, problems: list[Problem]) -> None:
    found: list[Problem] = []
    check(key, path, found)
    if found:
        constraints = ", ".join(constraint for _, _, constraint in found)
        problems.append((path, whole, f"Map keys must satisfy constraint: [{constraints}]"))


def _lengths(shape: Shape) -> Check | None:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if not low and high is None:
        return None
    return _range(len, low, high, "have length")


def _range(measure: Callable[[Any], Any], low: Any, high: Any, what: str) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> None:
        size = measure(value)
        if high is not None and size > high:
            problems.append((path, value, f"Member must {what} less than or equal to {high}"))
        if low is not None and size < low:
            problems.append((path, value, f"Member must {what} greater than or equal to {low}"))

    return check


def _scalar(shape: Shape) -> Check | None:
    checks: list[Check] = []
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("integer", "long", "float", "double"):
        if low is not None or high is not None:
            checks.append(_range(lambda value: value, low, high, "have value"))
    elif shape.type_name in ("string", "blob"):
        lengths = _lengths(shape)
        if lengths is not None and hasattr(shape, "metadata") and not shape.serialization.get("streaming"):
            checks.append(lengths)
        checks.extend(_string_checks(shape))
    if not checks:
        return None
    check = checks[0] if len(checks) == 1 else _all(checks)
    return _masked(check) if shape.metadata.get("sensitive") else check


def _string_checks(shape: Shape) -> list[Check]:
    if shape.type_name != "string":
        return []
    checks: list[Check] = []
    pattern = shape.metadata.get("pattern")
    regex = java_pattern(pattern) if pattern else None
    if regex is not None:
        checks.append(_matches(regex.fullmatch, pattern, shape.metadata.get("max")))
    if shape.enum:
        checks.append(_one_of(shape.enum))
    return checks


def _matches(fullmatch: Callable[[str], Any], pattern: str, longest: int | None) -> Check:
    def check(value: str, path: str, problems: list[Problem]) -> None:
        # A value that is too long has failed already; matching it could take long.
        if longest is not None and len(value) > max(longest, 1024):
            return
        if not fullmatch(value):
            problems.append((path, value, f"Member must satisfy regular expression pattern: {pattern}"))

    return check


def _one_of(values: list[str]) -> Check:
    allowed = frozenset(values)

    def check(value: str, path: str, problems: list[Problem]) -> None:
        if value not in allowed:
            problems.append((path, value, f"Member must satisfy enum value set: [{', '.join(values)}]"))

    return check


def _all(checks: list[Check]) -> Check:
    def check(value: Any, path: str, problems: list[Problem]) -> None:
        for each in checks:
            each(value, path, problems)

    return check


def _masked(check: Check) -> Check:
    """Refusals are logged and shown: a secret must not be in them."""

    def masked(value: Any, path: str, problems: list[Problem]) -> None:
        found: list[Problem] = []
        check(value, path, found)
        problems.extend((at, "***", constraint) for at, _, constraint in found)

    return masked
