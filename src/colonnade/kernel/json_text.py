"""JSON that a client wrote inside a text: policies, model cards, attributes, tokens.

Nesting is bounded, so that whoever reads on may do so by functions that call themselves.
"""

from __future__ import annotations

import json
from typing import Any

_DEEPEST = 100


def read(text: str | bytes) -> Any:
    """Raises ValueError for what is no JSON, and for what is nested too deeply."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise _too_deep() from None
    level = [value]
    for _ in range(_DEEPEST):
        level = [inner for outer in level for inner in _within(outer)]
        if not level:
            return value
    raise _too_deep()


def _within(value: Any) -> list[Any]:
    """The lists and objects in a list or an object."""
    held = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [each for each in held if isinstance(each, dict | list)]


def _too_deep() -> ValueError:
    return ValueError(f"it has more than {_DEEPEST} levels")
