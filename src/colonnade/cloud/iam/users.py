"""IAM users."""

from __future__ import annotations

from colonnade.cloud.iam import boundaries, tags
from colonnade.cloud.iam.entities import (
    KEYS,
    USER,
    changing,
    conflict,
    create,
    get,
    load,
    refuse_if_held,
    rename,
    shown,
)
from colonnade.cloud.iam.pages import list_entities
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation, with_parameters


@operation("iam", "CreateUser")
def create_user(call: Call) -> Result:
    more = tags.given(call) | boundaries.given(call)
    with changing(call) as transaction:
        return {"User": shown(USER, create(transaction, call, USER, more))}


@operation("iam", "GetUser")
def get_user(call: Call) -> Result:
    """Without a name: whoever asks. Root is no user, but is answered."""
    if "UserName" not in call.parameters and call.principal.kind == "root":
        return {"User": {"UserId": call.principal.user_id, "Arn": call.principal.arn}}
    return {"User": shown(USER, get(of_caller(call), USER))}


@operation("iam", "ListUsers")
def list_users(call: Call) -> Result:
    return list_entities(call, USER, "Users")


@operation("iam", "UpdateUser")
def update_user(call: Call) -> None:
    with changing(call) as transaction:
        stored = load(transaction, call, USER, call.parameters["UserName"])
        name = call.parameters.get("NewUserName", stored.document["UserName"])
        document = rename(
            transaction, call, USER, stored, name, call.parameters.get("NewPath", stored.document["Path"])
        )
        for key_id in document.get("AccessKeyIds", ()):
            key = transaction.get(KEYS.key(key_id))
            if key is not None:
                owner = {"UserName": name, "UserArn": document["Arn"]}
                transaction.put(key.key, {**key.document, **owner}, at=call.now)


@operation("iam", "DeleteUser")
def delete_user(call: Call) -> None:
    with changing(call) as transaction:
        stored = load(transaction, call, USER, call.parameters["UserName"])
        refuse_if_held(stored.document)
        if stored.document.get("AccessKeyIds"):
            raise conflict("Cannot delete entity, must delete access keys first.")
        if stored.document.get("Groups"):
            raise conflict("Cannot delete entity, must remove users from group first.")
        transaction.delete(stored.key)


def of_caller(call: Call) -> Call:
    """A call that leaves `UserName` out means the caller's own."""
    if "UserName" in call.parameters:
        return call
    if call.principal.kind != "user":
        raise ServiceError(
            "ValidationError", "Must specify userName when calling with non-User credentials", status=400
        )
    return with_parameters(call, UserName=call.principal.identity_arn.rpartition("/")[2])
