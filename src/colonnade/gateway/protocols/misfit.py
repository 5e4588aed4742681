"""A value that does not fit its shape, met while parsing. It gathers its place while the stack unwinds."""

from __future__ import annotations

from typing import Any

from colonnade.kernel.errors import ServiceError


class Misfit(Exception):  # noqa: N818 - it is turned into a ServiceError at the edge of parsing
    def __init__(self, wanted: str, found: Any) -> None:
        super().__init__(wanted)
        self.wanted = wanted
        self.found = found
        self.place: list[str] = []

    def within(self, name: str) -> Misfit:
        self.place.append(name)
        return self

    def refusal(self, code: str = "SerializationException") -> ServiceError:
        place = ".".join(reversed(self.place)) or "the request body"
        return ServiceError(code, f"{place} must be {self.wanted}, not {_described(self.found)}", status=400)


def _described(value: Any) -> str:
    if isinstance(value, dict):
        return "a structure"
    if isinstance(value, list):
        return "a list"
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = repr(value[:80] if isinstance(value, (str, bytes)) else value)
    return text if len(text) <= 80 else text[:77] + "..."
