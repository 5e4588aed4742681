"""What a request asks for and Colonnade does not do yet is refused by name, never accepted and ignored."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.errors import ServiceError


def not_yet(member: str, remedy: str = "") -> ServiceError:
    text = f"Colonnade does not implement {member} yet."
    return ServiceError("NotImplementedException", f"{text} {remedy}".rstrip(), status=501)


def refuse(parameters: Mapping[str, Any], remedies: Mapping[str, str]) -> None:
    """Raises for the first member of `remedies` that the parameters give: something other than empty, false or absent."""
    for member, remedy in remedies.items():
        if parameters.get(member):
            raise not_yet(member, remedy)
