"""Sign, Verify, GetPublicKey."""

from __future__ import annotations

from colonnade.cloud.kms import material
from colonnade.cloud.kms.key import look_up
from colonnade.cloud.kms.keys import algorithms, rehearsed, usable
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Document


@operation("kms", "Sign")
def sign(call: Call) -> Result:
    from colonnade.kernel.asymmetric import sign as make

    document, secret = _signer(call)
    algorithm = call.parameters["SigningAlgorithm"]
    signature = make(secret, algorithm, call.parameters["Message"], digested=_digested(call))
    return {"KeyId": document["Arn"], "Signature": signature, "SigningAlgorithm": algorithm}


@operation("kms", "Verify")
def verify(call: Call) -> Result:
    from colonnade.kernel.asymmetric import verify as holds

    document, secret = _signer(call)
    parameters = call.parameters
    algorithm = parameters["SigningAlgorithm"]
    if not holds(secret, algorithm, parameters["Message"], parameters["Signature"], digested=_digested(call)):
        raise ServiceError(
            "KMSInvalidSignatureException",
            "The signature does not match the message, the key and the algorithm.",
        )
    return {"KeyId": document["Arn"], "SignatureValid": True, "SigningAlgorithm": algorithm}


def _signer(call: Call) -> tuple[Document, bytes]:
    document = usable(look_up(call), "SIGN_VERIFY")
    algorithm = call.parameters["SigningAlgorithm"]
    if algorithm not in document["SigningAlgorithms"]:
        raise ServiceError(
            "InvalidKeyUsageException",
            f"{document['Arn']} is of spec {document['KeySpec']} and does not support {algorithm}.",
        )
    rehearsed(call)
    return document, material.read(call.platform, document)


def _digested(call: Call) -> bool:
    kind = call.parameters.get("MessageType", "RAW")
    if kind not in ("RAW", "DIGEST"):
        raise ServiceError(
            "ValidationException", f"MessageType {kind} is not for this key: give RAW or DIGEST."
        )
    return bool(kind == "DIGEST")


@operation("kms", "GetPublicKey")
def get_public_key(call: Call) -> Result:
    from colonnade.kernel.asymmetric import public_key

    document = usable(look_up(call))
    if document["KeySpec"].startswith(("SYMMETRIC", "HMAC")):
        raise ServiceError(
            "UnsupportedOperationException",
            f"{document['Arn']} is of spec {document['KeySpec']}: it has no public key.",
        )
    member, able = algorithms(document["KeySpec"], document["KeyUsage"])
    return {
        "KeyId": document["Arn"],
        "PublicKey": public_key(material.read(call.platform, document)),
        "CustomerMasterKeySpec": document["KeySpec"],
        "KeySpec": document["KeySpec"],
        "KeyUsage": document["KeyUsage"],
        member: list(able),
    }
