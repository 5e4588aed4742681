"""CloudWatch's filter patterns for plain text: words, "quoted phrases", -without, ?either ?or.

All terms must be in the message, in any order, and none of those with a minus. Terms with a question mark are alternatives;
beside other terms they are ignored, as at AWS. Case counts. Patterns for JSON, `{ $.level = "ERROR" }`, for columns, `[ip, user]`,
and regular expressions, `%a.c%`, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from colonnade.cloud.logs.named import invalid

_TERM = re.compile(r'\s*([-?]?)(?:"((?:[^"\\]|\\.)*)"|([^\s"]+))(?=\s|$)')


def compile_pattern(pattern: str) -> Callable[[str], bool]:
    """Raises InvalidParameterException for a pattern that cannot be read."""
    if pattern.strip()[:1] in ("{", "["):
        raise invalid(
            f"Colonnade does not support JSON and space-delimited filter patterns yet: {pattern!r}. Use words, "
            '"quoted phrases", -exclusions and ?alternatives.'
        )
    wanted, unwanted, either = _terms(pattern)
    alternatives = [] if wanted or unwanted else either

    def matches(message: str) -> bool:
        return (
            all(term in message for term in wanted)
            and not any(term in message for term in unwanted)
            and (not alternatives or any(term in message for term in alternatives))
        )

    return matches


def _terms(pattern: str) -> tuple[list[str], list[str], list[str]]:
    terms: dict[str, list[str]] = {"": [], "-": [], "?": []}
    text = pattern.rstrip()
    place = 0
    while place < len(text):
        match = _TERM.match(text, place)
        if match is None:
            raise invalid(f"Invalid filter pattern: {pattern!r} (an unclosed quote?)")
        sign, quoted, word = match.groups()
        if word is not None and word.startswith("%"):
            raise invalid(f"Colonnade does not support regular expressions in filter patterns yet: {word!r}")
        if word is not None and not re.fullmatch(r"[\w.:/@=,*+#()&;!<>|~^$-]+", word):
            raise invalid(f"Invalid filter pattern: put {word!r} in double quotes")
        terms[sign].append(word if word is not None else re.sub(r"\\(.)", r"\1", quoted))
        place = match.end()
    return terms[""], terms["-"], terms["?"]
