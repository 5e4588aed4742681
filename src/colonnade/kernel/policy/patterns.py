"""Wildcards and variables of policies: `arn:aws:s3:::home-${aws:username}/*`.

`*` is any text, `?` one character, `${key}` the request's value for that key, taken literally even where it holds
wildcards; `${*}`, `${?}` and `${$}` are the characters themselves. A variable without a value makes the pattern match
nothing, unless it brings a default: `${aws:PrincipalTag/team, 'none'}`.

Texts between stars are searched leftmost and never given back (atomic groups), which is correct because their lengths are
fixed, and keeps `*a*a*a*a*b` linear where a plain regular expression would take polynomial time.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

Context = Mapping[str, object]
"""The request's values by lower-cased condition key."""

_TOKENS = re.compile(r"\$\{([^{}]*)\}|(\*)|(\?)|([^*?$]+)|(\$)", re.DOTALL)
_DEFAULTED = re.compile(r"\s*([^,\s]+)\s*(?:,\s*'([^']*)'\s*)?")


@dataclass(frozen=True, slots=True)
class Variable:
    key: str
    default: str | None


Token = str | Variable
"""A piece of regular expression, or a variable whose value will be escaped into one."""


@dataclass(frozen=True, slots=True)
class Pattern:
    text: str
    segments: tuple[tuple[Token, ...], ...]
    """Split at the stars."""
    ignore_case: bool
    expression: re.Pattern[str] | None
    """None where variables must be filled in first."""

    @property
    def varies(self) -> bool:
        return self.expression is None

    def matches(self, value: str, context: Context) -> bool:
        expression = self.expression or self._filled(context)
        return expression is not None and expression.fullmatch(value) is not None

    def _filled(self, context: Context) -> re.Pattern[str] | None:
        filled = []
        for segment in self.segments:
            pieces = [token if isinstance(token, str) else _value(token, context) for token in segment]
            if None in pieces:
                return None
            filled.append("".join(piece for piece in pieces if piece is not None))
        return _compiled(tuple(filled), self.ignore_case)


@lru_cache(maxsize=8192)
def pattern(
    text: str, *, wildcards: bool = True, variables: bool = True, ignore_case: bool = False
) -> Pattern:
    segments: list[list[Token]] = [[]]
    for match in _TOKENS.finditer(text):
        inside, star, question, _, _ = match.groups()
        if star and wildcards:
            segments.append([])
        elif question and wildcards:
            segments[-1].append(".")
        elif inside is not None and variables:
            segments[-1].append(_token(inside, match.group()))
        else:
            segments[-1].append(re.escape(match.group()))
    frozen = tuple(tuple(segment) for segment in segments)
    fixed = tuple("".join(t for t in segment if isinstance(t, str)) for segment in frozen)
    varies = any(isinstance(token, Variable) for segment in frozen for token in segment)
    return Pattern(text, frozen, ignore_case, None if varies else _compiled(fixed, ignore_case))


def _token(inside: str, whole: str) -> Token:
    if inside in ("*", "?", "$"):
        return re.escape(inside)
    match = _DEFAULTED.fullmatch(inside)
    return Variable(match[1].lower(), match[2]) if match else re.escape(whole)


@lru_cache(maxsize=8192)
def _compiled(segments: tuple[str, ...], ignore_case: bool) -> re.Pattern[str]:
    first, *rest = segments
    expression = first
    if rest:
        *middle, last = rest
        expression += "".join(f"(?>.*?{segment})" for segment in middle if segment) + ".*" + last
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))


def _value(variable: Variable, context: Context) -> str | None:
    values = texts(context.get(variable.key))
    if values is None or len(values) != 1:
        return None if variable.default is None else re.escape(variable.default)
    return re.escape(values[0])


def texts(value: object) -> tuple[str, ...] | None:
    """A request's value as the texts that policies compare; None when the key is absent."""
    if value is None:
        return None
    if isinstance(value, (list, tuple, set, frozenset)):
        return tuple(text for item in value for text in texts(item) or ())
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (str(value),)
