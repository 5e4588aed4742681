"""Expressions as trees. From loosest to tightest: OR, AND, comparisons, + -, * /, unary -, ^, and what is in parentheses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from colonnade.cloud.cloudwatch.math import ExpressionError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?|\.\d+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<text>\"[^\"]*\"|'[^']*')|(?P<mark>==|!=|<=|>=|&&|\|\||[-+*/^()<>,\[\]]))"
)
_DEEPEST = 60
"""Levels of nesting: enough for people, and no way to exhaust the stack."""
_SAME = {"&&": "AND", "||": "OR"}


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Name:
    """Of another query: these begin with a lower-case letter. Or a word that a function knows: REPEAT, LINEAR."""

    value: str


@dataclass(frozen=True, slots=True)
class Apply:
    """An operator, or a function by its name in capitals."""

    function: str
    arguments: tuple[Node, ...]


Node = Number | Text | Name | Apply


def parse(expression: str) -> Node:
    """Raises ExpressionError, which says where."""
    return _Parser(expression).whole()


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = _tokens(expression)
        self._at = 0
        self._depth = 0

    def whole(self) -> Node:
        node = self._either()
        if self._at < len(self._tokens):
            raise self._unexpected()
        return node

    def _either(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError(f"The expression is nested more than {_DEEPEST} levels deep.")
        node = self._left(("OR",), lambda: self._left(("AND",), self._comparison))
        self._depth -= 1
        return node

    def _comparison(self) -> Node:
        return self._left(("<", "<=", ">", ">=", "==", "!="), self._sum)

    def _sum(self) -> Node:
        return self._left(("+", "-"), lambda: self._left(("*", "/"), self._negation))

    def _negation(self) -> Node:
        signs = 0
        while self._take("-"):
            signs += 1
        node = self._power()
        return Apply("0-", (node,)) if signs % 2 else node

    def _power(self) -> Node:
        node = self._atom()
        if self._take("^"):
            return Apply("^", (node, self._exponent()))
        return node

    def _exponent(self) -> Node:
        """To the right: 2^3^2 is 2^9."""
        self._depth += 1
        if self._depth > _DEEPEST:
            raise ExpressionError(f"The expression is nested more than {_DEEPEST} levels deep.")
        node = self._negation()
        self._depth -= 1
        return node

    def _atom(self) -> Node:
        kind, text = self._tokens[self._at][:2] if self._at < len(self._tokens) else ("", "")
        if kind == "number":
            self._at += 1
            return Number(float(text))
        if kind == "text":
            self._at += 1
            return Text(text[1:-1])
        if kind == "name":
            self._at += 1
            return Apply(text.upper(), self._list(")")) if self._take("(") else Name(text)
        if self._take("("):
            node = self._either()
            self._want(")")
            return node
        if self._take("["):
            return Apply("[]", self._list("]"))
        raise self._unexpected()

    def _list(self, end: str) -> tuple[Node, ...]:
        found: list[Node] = []
        if not self._take(end):
            found.append(self._either())
            while self._take(","):
                found.append(self._either())
            self._want(end)
        return tuple(found)

    def _left(self, operators: Sequence[str], tighter: Callable[[], Node]) -> Node:
        node = tighter()
        while (operator := next((each for each in operators if self._take(each)), None)) is not None:
            node = Apply(operator, (node, tighter()))
        return node

    def _take(self, text: str) -> bool:
        if self._at < len(self._tokens):
            kind, found, _ = self._tokens[self._at]
            if kind in ("mark", "name") and _SAME.get(found, found) == text:
                self._at += 1
                return True
        return False

    def _want(self, text: str) -> None:
        if not self._take(text):
            raise self._unexpected()

    def _unexpected(self) -> ExpressionError:
        if self._at >= len(self._tokens):
            return ExpressionError(f"The expression {self._expression} ends too early.")
        _, text, place = self._tokens[self._at]
        return ExpressionError(
            f"{text} at position {place + 1} of the expression {self._expression} is not expected."
        )


def _tokens(expression: str) -> list[tuple[str, str, int]]:
    tokens: list[tuple[str, str, int]] = []
    at, text = 0, expression.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise ExpressionError(
                f"{text[at:].strip()[:1]} of the expression {expression} is not understood."
            )
        kind = str(match.lastgroup)
        tokens.append((kind, match[kind], match.start(kind)))
        at = match.end()
    return tokens
