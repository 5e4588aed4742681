"""CreateAlias, UpdateAlias, DeleteAlias, ListAliases."""

from __future__ import annotations

from colonnade.cloud.kms.access import anywhere, on_alias_and_key
from colonnade.cloud.kms.keys import alias_arn, aliases, alive, find, page
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Document, Key, Query, Reader, Stored, each


def _key(call: Call, name: str) -> Key:
    if not name.startswith("alias/") or len(name) == len("alias/"):
        raise ServiceError("ValidationException", f'Alias must start with the prefix "alias/": {name}')
    return aliases(call.partition, call.account, call.region).key(name)


def _check_own(name: str) -> None:
    if name.startswith("alias/aws/"):
        raise ServiceError("NotAuthorizedException", f"{name}: aliases below alias/aws/ are AWS's own.")


@operation("kms", "CreateAlias", demand=on_alias_and_key)
def create(call: Call) -> Result:
    name = call.parameters["AliasName"]
    key = _key(call, name)
    _check_own(name)
    with call.write() as transaction:
        target = alive(find(transaction, call, _no_alias(call)))
        if transaction.get(key) is not None:
            raise ServiceError(
                "AlreadyExistsException", f"An alias with the name {alias_arn(call, name)} already exists"
            )
        document = entry(key, target["KeyId"], call.now)
        transaction.put(key, document, expect=0, at=call.now)
    return {}


def entry(key: Key, target: str, at: float) -> Document:
    arn = f"arn:{key.partition}:kms:{key.region}:{key.account}:{key.name}"
    return {
        "AliasName": key.name,
        "AliasArn": arn,
        "TargetKeyId": target,
        "CreationDate": at,
        "LastUpdatedDate": at,
    }


def _no_alias(call: Call) -> str:
    target: str = call.parameters["TargetKeyId"]
    if "alias/" in target:
        raise ServiceError("ValidationException", "Aliases must refer to keys. Not aliases")
    return target


def _find(reader: Reader, call: Call) -> Stored:
    name = call.parameters["AliasName"]
    stored = reader.get(_key(call, name))
    if stored is None:
        raise ServiceError("NotFoundException", f"Alias {alias_arn(call, name)} is not found.")
    return stored


@operation("kms", "UpdateAlias", demand=on_alias_and_key)
def update(call: Call) -> Result:
    _check_own(call.parameters["AliasName"])
    with call.write() as transaction:
        stored = _find(transaction, call)
        target = alive(find(transaction, call, _no_alias(call)))
        before = find(transaction, call, stored.document["TargetKeyId"]).document
        if (before["KeyUsage"], before["KeySpec"]) != (target["KeyUsage"], target["KeySpec"]):
            what = f"Alias {stored.key.name} cannot be changed from a key of {before['KeySpec']} to one of {target['KeySpec']}."
            raise ServiceError("ValidationException", what)
        document = {**stored.document, "TargetKeyId": target["KeyId"], "LastUpdatedDate": call.now}
        transaction.put(stored.key, document, expect=stored.version, at=call.now)
    return {}


@operation(
    "kms",
    "DeleteAlias",
    demand=lambda call: [("kms:DeleteAlias", alias_arn(call, call.parameters["AliasName"]))],
)
def delete(call: Call) -> Result:
    _check_own(call.parameters["AliasName"])
    with call.write() as transaction:
        transaction.delete(_find(transaction, call).key)
    return {}


@operation("kms", "ListAliases", demand=anywhere("ListAliases"))
def list_all(call: Call) -> Result:
    scope = aliases(call.partition, call.account, call.region)
    with call.platform.store.read() as reader:
        if "KeyId" not in call.parameters:
            rows, more = page(call, reader, scope)
            return {"Aliases": [row.document for row in rows], **more}
        target = find(reader, call, call.parameters["KeyId"]).key.name
        found = [
            row.document for row in each(reader, scope, Query()) if row.document["TargetKeyId"] == target
        ]
    return {"Aliases": found, "Truncated": False}
