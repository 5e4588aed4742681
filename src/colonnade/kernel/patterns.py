"""Java regular expressions, as AWS's models write them, made into Python's.

Java's `matches` wants the whole text, its `\\w` and `\\d` mean ASCII, its `\\p{L}` a Unicode category. What Python cannot say
(class intersections, a few scripts) gives None and is not checked; tests/gateway/test_patterns.py counts those.
"""

from __future__ import annotations

import re
import unicodedata
import warnings
from functools import cache

_POSIX = {
    "Alpha": "a-zA-Z",
    "Digit": "0-9",
    "Alnum": "a-zA-Z0-9",
    "Upper": "A-Z",
    "Lower": "a-z",
    "ASCII": "\\x00-\\x7f",
    "Graph": "\\x21-\\x7e",
    "Print": "\\x20-\\x7e",
    "Punct": "!-/:-@\\[-`{-~",
    "Space": " \\t\\n\\x0b\\f\\r",
    "Blank": " \\t",
    "Cntrl": "\\x00-\\x1f\\x7f",
    "XDigit": "0-9a-fA-F",
}
_SAME_LANGUAGE = {
    r"[a-z0-9]([-a-z0-9]*[a-z0-9]){0,39}?": r"[a-z0-9]([-a-z0-9]*[a-z0-9])?",
    r"^[a-z0-9*](?:[._\-/a-z0-9*]?[a-z0-9*]+)*$": r"^[a-z0-9*](?:[._\-/]?[a-z0-9*])*$",
    r"^[ \t]*[\x20-\x7E]+([ \t]+[\x20-\x7E]+)*[ \t]*$": r"^[ \t]*[\x20-\x7E][\t\x20-\x7E]*$",
    r"^[ \t]*[^\x00-\x1F:\x7F]+([ \t]+[^\x00-\x1F:\x7F]+)*[ \t]*$": r"^[ \t]*[^\x00-\x1F:\x7F][^\x00-\x08\x0A-\x1F:\x7F]*$",
}
"""Patterns over which a matcher that goes back on its steps takes for ever, and others that match the same texts."""
_LAST_ASSIGNED = 0x323B0
_PROPERTY = re.compile(r"\\[pP]\{(\w+)\}|\\[pP]([LMNPSZC])")
_TOKEN = re.compile(r"\\[pP]\{\w+\}|\\[pP][LMNPSZC]|\\.|\[|\]", re.DOTALL)


@cache
def java_pattern(pattern: str) -> re.Pattern[str] | None:
    """To be used with `fullmatch`. None when Python cannot express it."""
    translated = _translated(_SAME_LANGUAGE.get(pattern, pattern))
    if translated is None:
        return None
    with warnings.catch_warnings():
        # Nested sets compile with a FutureWarning and mean something else.
        warnings.simplefilter("error")
        try:
            return re.compile(translated, re.ASCII)
        except (re.error, FutureWarning, DeprecationWarning, OverflowError, RecursionError):
            return None


def _translated(pattern: str) -> str | None:
    if "&&" in pattern:
        return None
    text = pattern.replace(r"\uD800\uDC00-\uDBFF\uDFFF", r"\U00010000-\U0010FFFF")
    text = text.replace(r"\ud800\udc00-\udbff\udfff", r"\U00010000-\U0010FFFF")
    text = re.sub(r"\\x\{([0-9a-fA-F]+)\}", lambda found: f"\\U{int(found.group(1), 16):08x}", text)
    text = text.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!").replace(r"\z", r"\Z")
    # Java takes the dash after a class as itself.
    text = re.sub(r"(\\[wWdDsS])-(?=[^\]])", r"\1\\-", text)
    return _with_properties(text) if "\\p" in text or "\\P" in text else text


def _with_properties(text: str) -> str | None:
    """Every `\\p{..}` as ranges; with brackets of its own where it does not stand inside some."""
    parts = []
    inside = False
    end = 0
    for token in _TOKEN.finditer(text):
        parts.append(text[end : token.start()])
        end = token.end()
        word = token.group()
        if word in "[]":
            inside = word == "["
        elif word.startswith(("\\p", "\\P")):
            ranges = _ranges_of(word)
            if ranges is None:
                return None
            word = ranges if inside else f"[{ranges}]"
        parts.append(word)
    return "".join(parts) + text[end:]


def _ranges_of(word: str) -> str | None:
    found = _PROPERTY.fullmatch(word)
    if found is None:
        return None
    name = found.group(1) or found.group(2)
    negated = word.startswith("\\P")
    if name in _POSIX:
        return None if negated else _POSIX[name]
    name = name.removeprefix("Is") if len(name) <= 4 else name
    return _category(name, not negated) if re.fullmatch("[LMNPSZC][a-z]?", name) else None


@cache
def _category(name: str, wanted: bool) -> str:
    """Ranges of all characters whose general category begins with the name, or of all others."""
    ranges: list[str] = []
    start = None
    for code in range(_LAST_ASSIGNED + 1):
        belongs = code < _LAST_ASSIGNED and unicodedata.category(chr(code)).startswith(name) is wanted
        if belongs and start is None:
            start = code
        elif not belongs and start is not None:
            ranges.append(f"\\U{start:08x}-\\U{code - 1:08x}")
            start = None
    return "".join(ranges)
