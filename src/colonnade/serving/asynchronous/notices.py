"""What topics are told of an asynchronous request, in SageMaker's form."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from colonnade.kernel.store import Stored

_LONGEST = 128_000
"""Bytes of an answer that a notification takes along; a longer one is only in S3."""


def succeeded(request: Stored, region: str, now: float, content_type: str, answer: bytes | None) -> str:
    """`answer` where the endpoint wants it in the notification."""
    notice = _notice(request, region, now, "Completed")
    notice["responseParameters"] = {
        "contentType": content_type,
        "outputLocation": request.document["output"],
    }
    if answer is not None and len(answer) <= _LONGEST:
        notice["responseBody"] = _body(answer)
    return json.dumps(notice)


def failed(request: Stored, region: str, now: float, reason: str, answer: bytes | None) -> str:
    notice = _notice(request, region, now, "Failed")
    notice["failureReason"] = reason
    if request.document["failure"]:
        notice["responseParameters"] = {
            "contentType": "text/plain",
            "outputLocation": request.document["failure"],
        }
    if answer is not None and len(answer) <= _LONGEST:
        notice["responseBody"] = _body(answer)
    return json.dumps(notice)


def probe(region: str, endpoint: str, now: float) -> str:
    """What both topics get when an endpoint is made or changed: so that a mistake is seen at once."""
    return json.dumps(
        {
            "awsRegion": region,
            "eventTime": _instant(now),
            "requestParameters": {"endpointName": endpoint},
            "eventVersion": "1.0",
            "eventSource": "aws:sagemaker",
            "eventName": "TestNotification",
        }
    )


def _notice(request: Stored, region: str, now: float, status: str) -> dict[str, Any]:
    asked = request.document
    parameters: dict[str, Any] = {"contentType": asked["content_type"], "endpointName": asked["endpoint"]}
    if asked["accept"]:
        parameters["accept"] = asked["accept"]
    if asked["input"]:
        parameters["inputLocation"] = asked["input"]
    return {
        "awsRegion": region,
        "eventTime": _instant(now),
        "receivedTime": _instant(asked["accepted"]),
        "invocationStatus": status,
        "requestParameters": parameters,
        "inferenceId": asked["id"],
        "eventVersion": "1.0",
        "eventSource": "aws:sagemaker",
        "eventName": "InferenceResult",
    }


def _body(answer: bytes) -> Mapping[str, str]:
    try:
        return {"content": answer.decode(), "encoding": "UTF-8"}
    except UnicodeDecodeError:
        return {"content": base64.b64encode(answer).decode(), "encoding": "BASE64"}


def _instant(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
