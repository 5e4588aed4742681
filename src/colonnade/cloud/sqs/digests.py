"""The MD5s by which SQS's clients check that a message arrived whole, and the form in which attributes are kept."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any


def of_body(body: str) -> str:
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def of_attributes(attributes: Mapping[str, Mapping[str, Any]]) -> str:
    """Names, types and values in the order of names, each with its length before it."""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        _update(digest, name.encode())
        _update(digest, value["DataType"].encode())
        if value["DataType"].startswith("Binary"):
            digest.update(b"\x02")
            _update(digest, value["BinaryValue"])
        else:
            digest.update(b"\x01")
            _update(digest, value["StringValue"].encode())
    return digest.hexdigest()


def _update(digest: Any, value: bytes) -> None:
    digest.update(len(value).to_bytes(4, "big") + value)


def kept(attributes: Mapping[str, Mapping[str, Any]]) -> dict[str, list[str]]:
    """As documents can hold them: bytes in base 64."""
    return {
        name: [
            value["DataType"],
            base64.b64encode(value["BinaryValue"]).decode() if _is_binary(value) else value["StringValue"],
        ]
        for name, value in attributes.items()
    }


def shown(kept: Mapping[str, list[str]]) -> dict[str, dict[str, Any]]:
    """What `kept` was made of."""
    found: dict[str, dict[str, Any]] = {}
    for name, (data_type, value) in kept.items():
        if data_type.startswith("Binary"):
            found[name] = {"DataType": data_type, "BinaryValue": base64.b64decode(value)}
        else:
            found[name] = {"DataType": data_type, "StringValue": value}
    return found


def _is_binary(value: Mapping[str, Any]) -> bool:
    return str(value["DataType"]).startswith("Binary")
