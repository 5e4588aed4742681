"""The policies that AWS brings, by ARN: `arn:aws:iam::aws:policy/AmazonS3FullAccess`. Documents of our own writing, in
`aws_managed.json`, with the names that people's scripts attach."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from colonnade.kernel.store import Document

_ARN = re.compile(r"arn:([a-z-]+):iam::aws:policy/(.+)")


@cache
def _library() -> Mapping[str, Mapping[str, Any]]:
    text = files(__package__).joinpath("aws_managed.json").read_text(encoding="utf-8")
    library: Mapping[str, Mapping[str, Any]] = json.loads(text)
    return library


def is_aws_managed(arn: str) -> bool:
    return _ARN.fullmatch(arn) is not None


def document_text(arn: str) -> str | None:
    match = _ARN.fullmatch(arn)
    entry = _library().get(match[2]) if match else None
    return None if entry is None else json.dumps(entry["Document"])


def policy(arn: str) -> Document | None:
    """As a stored policy's document, so that Get and List treat both alike."""
    match = _ARN.fullmatch(arn)
    entry = _library().get(match[2]) if match else None
    if entry is None or match is None:
        return None
    path, _, name = f"/{match[2]}".rpartition("/")
    # AWS's ids are its own; ours only have to be stable and different.
    policy_id = "ANPA" + base64.b32encode(hashlib.sha256(name.encode()).digest()).decode()[:17]
    return {
        "PolicyName": name,
        "PolicyId": policy_id,
        "Arn": arn,
        "Path": f"{path}/",
        "DefaultVersionId": "v1",
        "IsAttachable": True,
        "Description": entry["Description"],
        "CreateDate": _WRITTEN,
        "UpdateDate": _WRITTEN,
        "Versions": {"v1": {"Document": document_text(arn), "CreateDate": _WRITTEN}},
    }


_WRITTEN = 1_767_225_600.0
"""2026-01-01: when these documents were written."""


def arns(partition: str) -> list[str]:
    return [f"arn:{partition}:iam::aws:policy/{name}" for name in _library()]


def is_named(name: str) -> bool:
    return any(known.rpartition("/")[2] == name for known in _library())
