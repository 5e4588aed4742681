"""AlarmRule of composite alarms: `ALARM("a") AND (OK(b) OR NOT INSUFFICIENT_DATA(c))`, TRUE, FALSE."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from colonnade.kernel.errors import ServiceError

_TOKEN = re.compile(
    r'\s*(?:(?P<mark>[()])|(?P<word>AND|OR|NOT|TRUE|FALSE|ALARM|OK|INSUFFICIENT_DATA)(?![^\s()"\'])'
    r'|"(?P<double>[^"]+)"|\'(?P<single>[^\']+)\'|(?P<bare>[^\s()"\']+))'
)
_STATES = ("ALARM", "OK", "INSUFFICIENT_DATA")
_DEEPEST = 100
Test = Callable[[Callable[[str], str]], bool]
"""Given what tells an alarm's state by its name."""


@dataclass
class Rule:
    holds: Test
    names: set[str] = field(default_factory=set)


def parse(text: str) -> Rule:
    """Raises ValidationError, which says where."""
    parser = _Parser(text)
    test = parser.either(0)
    parser.end()
    return Rule(test, parser.names)


class _Parser:
    def __init__(self, text: str) -> None:
        self.names: set[str] = set()
        self._text = text
        self._tokens: list[tuple[str, str]] = []
        at, text = 0, text.rstrip()
        while at < len(text):
            match = _TOKEN.match(text, at)
            if match is None:
                raise self._wrong(text[at:].strip()[:10])
            kind = str(match.lastgroup)
            self._tokens.append(("name" if kind in ("double", "single", "bare") else kind, match[kind]))
            at = match.end()

    def either(self, depth: int) -> Test:
        if depth > _DEEPEST:
            raise self._wrong(f"more than {_DEEPEST} levels")
        tests = [self._all(depth)]
        while self._take("OR"):
            tests.append(self._all(depth))
        return lambda state: any(test(state) for test in tests)

    def _all(self, depth: int) -> Test:
        tests = [self._one(depth)]
        while self._take("AND"):
            tests.append(self._one(depth))
        return lambda state: all(test(state) for test in tests)

    def _one(self, depth: int) -> Test:
        if self._take("NOT"):
            if depth > _DEEPEST:
                raise self._wrong(f"more than {_DEEPEST} levels")
            negated = self._one(depth + 1)
            return lambda state: not negated(state)
        if self._take("("):
            test = self.either(depth + 1)
            self._want(")")
            return test
        for word in ("TRUE", "FALSE"):
            if self._take(word):
                return partial(_constant, word == "TRUE")
        for wanted in _STATES:
            if self._take(wanted):
                self._want("(")
                name = self._name()
                self._want(")")
                return partial(_is_in, name, wanted)
        raise self._wrong(self._tokens[0][1] if self._tokens else "the end")

    def _name(self) -> str:
        """Of an alarm, or its ARN."""
        if not self._tokens or self._tokens[0][0] == "mark":
            raise self._wrong(self._tokens[0][1] if self._tokens else "the end")
        name = self._tokens.pop(0)[1]
        if name.startswith("arn:"):
            name = name.partition(":alarm:")[2]
        self.names.add(name)
        return name

    def end(self) -> None:
        if self._tokens:
            raise self._wrong(self._tokens[0][1])

    def _take(self, text: str) -> bool:
        if self._tokens and self._tokens[0][0] != "name" and self._tokens[0][1] == text:
            self._tokens.pop(0)
            return True
        return False

    def _want(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(self._tokens[0][1] if self._tokens else "the end")

    def _wrong(self, at: str) -> ServiceError:
        return ServiceError(
            "ValidationError",
            f"AlarmRule must not contain an invalid expression: not understood at {at} of {self._text}",
        )


def _constant(value: bool, state: Callable[[str], str]) -> bool:
    return value


def _is_in(name: str, wanted: str, state: Callable[[str], str]) -> bool:
    return state(name) == wanted
