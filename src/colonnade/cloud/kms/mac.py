"""GenerateMac, VerifyMac."""

from __future__ import annotations

import hashlib
import hmac

from colonnade.cloud.kms import material
from colonnade.cloud.kms.key import look_up
from colonnade.cloud.kms.keys import rehearsed, usable
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation


@operation("kms", "GenerateMac")
def generate(call: Call) -> Result:
    arn, mac = _mac(call)
    return {"Mac": mac, "MacAlgorithm": call.parameters["MacAlgorithm"], "KeyId": arn}


@operation("kms", "VerifyMac")
def verify(call: Call) -> Result:
    arn, mac = _mac(call)
    if not hmac.compare_digest(mac, call.parameters["Mac"]):
        raise ServiceError(
            "KMSInvalidMacException", "The MAC does not match the message, the key and the algorithm."
        )
    return {"KeyId": arn, "MacValid": True, "MacAlgorithm": call.parameters["MacAlgorithm"]}


def _mac(call: Call) -> tuple[str, bytes]:
    document = usable(look_up(call), "GENERATE_VERIFY_MAC")
    algorithm = call.parameters["MacAlgorithm"]
    if algorithm not in document["MacAlgorithms"]:
        raise ServiceError(
            "InvalidKeyUsageException",
            f"{document['Arn']} is of spec {document['KeySpec']} and does not support {algorithm}.",
        )
    rehearsed(call)
    digest = getattr(hashlib, algorithm.removeprefix("HMAC_").replace("_", "").lower())
    return document["Arn"], hmac.new(
        material.read(call.platform, document), call.parameters["Message"], digest
    ).digest()
