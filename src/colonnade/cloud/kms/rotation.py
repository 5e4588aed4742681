"""Rotation: fresh material for what is encrypted from now on; what was encrypted before stays readable."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.kms import material
from colonnade.cloud.kms.key import look_up
from colonnade.cloud.kms.keys import alive, change, find, own, usable
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token
from colonnade.kernel.platform import Platform
from colonnade.kernel.reconcile import wake
from colonnade.kernel.store import Document, Stored, Transaction

_DAY = 86_400.0
_MOST_ON_DEMAND = 25


@operation("kms", "EnableKeyRotation")
def enable(call: Call) -> Result:
    days = int(call.parameters.get("RotationPeriodInDays", 365))
    if not 90 <= days <= 2560:
        raise ServiceError(
            "ValidationException", f"RotationPeriodInDays must be from 90 to 2560, not {days}."
        )
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = _rotating(own(stored))
        usable(stored)
        document["_Rotation"] = {"Days": days, "Next": call.now + days * _DAY}
        change(transaction, stored, document, at=call.now)
    wake(call.platform, stored.key)
    return {}


@operation("kms", "DisableKeyRotation")
def disable(call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = _rotating(own(stored))
        usable(stored)
        document.pop("_Rotation", None)
        change(transaction, stored, document, at=call.now)
    return {}


def _rotating(document: Document) -> Document:
    if document["KeySpec"] != "SYMMETRIC_DEFAULT":
        raise ServiceError(
            "UnsupportedOperationException",
            f"{document['Arn']} is of spec {document['KeySpec']}: only symmetric keys rotate.",
        )
    return document


@operation("kms", "GetKeyRotationStatus")
def status(call: Call) -> Result:
    document = _rotating(look_up(call).document)
    told: dict[str, Any] = {"KeyId": document["Arn"], "KeyRotationEnabled": "_Rotation" in document}
    if "_Rotation" in document:
        told["RotationPeriodInDays"] = document["_Rotation"]["Days"]
        told["NextRotationDate"] = document["_Rotation"]["Next"]
    return told


@operation("kms", "RotateKeyOnDemand")
def rotate(call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = _rotating(own(stored))
        usable(stored)
        if sum(each["Kind"] == "ON_DEMAND" for each in document["_Material"]) >= _MOST_ON_DEMAND:
            raise ServiceError(
                "LimitExceededException",
                f"{document['Arn']} was rotated on demand {_MOST_ON_DEMAND} times: create a new key.",
            )
        fresh = material.make(document["KeySpec"])
        material.add(call.platform, document, fresh, at=call.now, kind="ON_DEMAND")
        change(transaction, stored, document, at=call.now)
    return {"KeyId": document["Arn"]}


def rotate_if_due(platform: Platform, transaction: Transaction, stored: Stored, now: float) -> float:
    """When it is due next. A disabled key waits until it is enabled."""
    document = stored.document
    rotation = document["_Rotation"]
    if rotation["Next"] > now or document["KeyState"] != "Enabled":
        return float(max(rotation["Next"], now + 60.0))
    material.add(platform, document, material.make(document["KeySpec"]), at=now, kind="AUTOMATIC")
    rotation["Next"] = now + rotation["Days"] * _DAY
    change(transaction, stored, document, at=now)
    return float(rotation["Next"])


@operation("kms", "ListKeyRotations")
def rotations(call: Call) -> Result:
    stored = look_up(call)
    document = _rotating(alive(stored))
    listed = [
        {
            "KeyId": document["Arn"],
            "KeyMaterialId": each["Id"],
            "RotationDate": each["Since"],
            "RotationType": each["Kind"],
        }
        for each in document["_Material"]
        if each["Kind"]
    ]
    after = decode_token(call.parameters["Marker"]) if "Marker" in call.parameters else [0]
    if not (isinstance(after, list) and len(after) == 1 and isinstance(after[0], int)):
        raise ServiceError("InvalidMarkerException", "The marker is not one that this list gave out.")
    end = after[0] + int(call.parameters.get("Limit", 100))
    more = {"NextMarker": encode_token([end])} if end < len(listed) else {}
    return {"Rotations": listed[after[0] : end], "Truncated": bool(more), **more}
