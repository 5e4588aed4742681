"""Access keys of users. The secret is answered once, at creation."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.iam.entities import KEYS, USER, changing, get, limit_exceeded, load
from colonnade.cloud.iam.pages import page
from colonnade.cloud.iam.users import of_caller
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Document, Stored, Transaction

_PER_USER = 2
_METADATA = ("UserName", "AccessKeyId", "Status", "CreateDate")


@operation("iam", "CreateAccessKey")
def create_access_key(call: Call) -> Result:
    call = of_caller(call)
    with changing(call) as transaction:
        user = load(transaction, call, USER, call.parameters["UserName"])
        ids: list[str] = user.document.setdefault("AccessKeyIds", [])
        if len(ids) >= _PER_USER:
            raise limit_exceeded(f"Cannot exceed quota for AccessKeysPerUser: {_PER_USER}")
        key = {
            "UserName": user.document["UserName"],
            "UserArn": user.document["Arn"],
            "AccessKeyId": "AKIA" + call.platform.ids.token(16),
            "Status": "Active",
            "SecretAccessKey": call.platform.ids.token(40),
            "CreateDate": call.now,
        }
        ids.append(key["AccessKeyId"])
        transaction.put(KEYS.key(key["AccessKeyId"]), key, expect=0, at=call.now)
        transaction.put(user.key, user.document, at=call.now)
    return {"AccessKey": {name: value for name, value in key.items() if name != "UserArn"}}


@operation("iam", "ListAccessKeys")
def list_access_keys(call: Call) -> Result:
    ids = sorted(get(of_caller(call), USER).get("AccessKeyIds", ()))
    with call.platform.store.read() as reader:
        found = [(key_id, stored.document) for key_id in ids if (stored := reader.get(KEYS.key(key_id)))]
    return page(call, "AccessKeyMetadata", found, _metadata)


@operation("iam", "UpdateAccessKey")
def update_access_key(call: Call) -> None:
    call = of_caller(call)
    with changing(call) as transaction:
        key = _load(transaction, call)
        document = {**key.document, "Status": call.parameters["Status"]}
        transaction.put(key.key, document, at=call.now)


@operation("iam", "DeleteAccessKey")
def delete_access_key(call: Call) -> None:
    call = of_caller(call)
    with changing(call) as transaction:
        key = _load(transaction, call)
        user = load(transaction, call, USER, call.parameters["UserName"])
        user.document["AccessKeyIds"].remove(call.parameters["AccessKeyId"])
        transaction.put(user.key, user.document, at=call.now)
        transaction.delete(key.key)


def _load(transaction: Transaction, call: Call) -> Stored:
    """The key that the call names, if it is the named user's."""
    user = load(transaction, call, USER, call.parameters["UserName"])
    key_id = call.parameters["AccessKeyId"]
    stored = transaction.get(KEYS.key(key_id)) if key_id in user.document.get("AccessKeyIds", ()) else None
    if stored is None:
        raise ServiceError("NoSuchEntity", f"The Access Key with id {key_id} cannot be found.", status=404)
    return stored


def _metadata(document: Document) -> dict[str, Any]:
    return {name: document[name] for name in _METADATA}
