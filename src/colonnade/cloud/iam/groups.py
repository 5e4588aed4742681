"""IAM groups. A membership is kept with its user, so that one read tells what a user may do."""

from __future__ import annotations

from colonnade.cloud.iam.entities import (
    GROUP,
    USER,
    changing,
    conflict,
    create,
    get,
    load,
    refuse_if_held,
    rename,
    scope,
    shown,
)
from colonnade.cloud.iam.pages import entities as all_entities
from colonnade.cloud.iam.pages import list_entities, page
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.store import Reader, Stored, each


@operation("iam", "CreateGroup")
def create_group(call: Call) -> Result:
    with changing(call) as transaction:
        return {"Group": shown(GROUP, create(transaction, call, GROUP, {}))}


@operation("iam", "GetGroup")
def get_group(call: Call) -> Result:
    group = get(call, GROUP)
    with call.platform.store.read() as reader:
        users = ((row.key.name, row.document) for row in _members(reader, call, group["GroupName"]))
        members = page(call, "Users", users, lambda document: shown(USER, document, listed=True))
    return {"Group": shown(GROUP, group), **members}


@operation("iam", "ListGroups")
def list_groups(call: Call) -> Result:
    return list_entities(call, GROUP, "Groups")


@operation("iam", "ListGroupsForUser")
def list_groups_for_user(call: Call) -> Result:
    names = get(call, USER).get("Groups", ())
    with call.platform.store.read() as reader:
        mine = (
            (key, document)
            for key, document in all_entities(call, reader, GROUP)
            if document["GroupName"] in names
        )
        return page(call, "Groups", mine, lambda document: shown(GROUP, document))


@operation("iam", "UpdateGroup")
def update_group(call: Call) -> None:
    with changing(call) as transaction:
        stored = load(transaction, call, GROUP, call.parameters["GroupName"])
        old = stored.document["GroupName"]
        new = call.parameters.get("NewGroupName", old)
        rename(transaction, call, GROUP, stored, new, call.parameters.get("NewPath", stored.document["Path"]))
        for user in _members(transaction, call, old):
            groups = [new if name == old else name for name in user.document["Groups"]]
            transaction.put(user.key, {**user.document, "Groups": groups}, at=call.now)


@operation("iam", "DeleteGroup")
def delete_group(call: Call) -> None:
    with changing(call) as transaction:
        stored = load(transaction, call, GROUP, call.parameters["GroupName"])
        refuse_if_held(stored.document)
        if _members(transaction, call, stored.document["GroupName"]):
            raise conflict("Cannot delete entity, must remove users from group first.")
        transaction.delete(stored.key)


@operation("iam", "AddUserToGroup")
def add_user_to_group(call: Call) -> None:
    with changing(call) as transaction:
        group = load(transaction, call, GROUP, call.parameters["GroupName"]).document["GroupName"]
        user = load(transaction, call, USER, call.parameters["UserName"])
        groups = user.document.get("Groups", [])
        if group not in groups:
            transaction.put(user.key, {**user.document, "Groups": [*groups, group]}, at=call.now)


@operation("iam", "RemoveUserFromGroup")
def remove_user_from_group(call: Call) -> None:
    with changing(call) as transaction:
        group = load(transaction, call, GROUP, call.parameters["GroupName"]).document["GroupName"]
        user = load(transaction, call, USER, call.parameters["UserName"])
        groups = [name for name in user.document.get("Groups", ()) if name != group]
        transaction.put(user.key, {**user.document, "Groups": groups}, at=call.now)


def _members(reader: Reader, call: Call, group: str) -> list[Stored]:
    return [row for row in each(reader, scope(call, USER)) if group in row.document.get("Groups", ())]
