"""What the two policies of a cluster have in common: an id of their own beside the name, and versions that stay readable.

An update names the version that it goes out from, so that two people do not overwrite each other. Records: clusters, which would
heed them, are absent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from colonnade.kernel import members
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.pages import Column, sorted_page
from colonnade.kernel.resources import Resource
from colonnade.kernel.store import Document, Key, Query, Stored, Transaction, each

_COLUMNS: Mapping[str, Column] = {
    "Name": lambda row: str(row.document["Name"]).lower(),
    "CreationTime": lambda row: row.created,
    "Status": lambda row: row.status,
    "ClusterArn": lambda row: str(row.document["ClusterArn"]),
}


def new_id(call: Call, document: Document) -> str:
    return call.platform.ids.token(12).lower()


def create(resource: Resource, call: Call) -> Result:
    """Raises ConflictException where the cluster has one of the same name."""

    def refuse_taken(transaction: Transaction, key: Key) -> None:
        name, cluster = call.parameters["Name"].lower(), call.parameters["ClusterArn"]
        for row in each(transaction, key.scope):
            same = (row.document["Name"].lower(), row.document["ClusterArn"]) == (name, cluster)
            if same and row.key != key:
                raise ServiceError(
                    "ConflictException",
                    f'Cannot create already existing {resource.words} "{resource.arn(row.key)}": the cluster {cluster} has '
                    f"one named {row.document['Name']}.",
                )

    return resource.create(call, {f"{resource.noun}Version": 1, "Status": "Created"}, also=refuse_taken)


def describe(resource: Resource, call: Call) -> Result:
    """As it is, or as it was in a version that is asked for."""
    member = f"{resource.noun}Version"
    stored = resource.find(call.platform, resource.key(call))
    wanted = call.parameters.get(member, stored.document[member])
    for document in (stored.document, *stored.document.get("_Earlier", [])):
        if document[member] == wanted:
            return resource.answer(call, replace(stored, document=document))
    raise ServiceError(
        "ResourceNotFound",
        f"{resource.arn(stored.key)} has no version {wanted}: the newest is {stored.document[member]}.",
    )


def update(resource: Resource, call: Call) -> Result:
    member = f"{resource.noun}Version"
    key = resource.key(call)
    given = {
        each: value
        for each, value in call.parameters.items()
        if each not in (*resource.named, "TargetVersion")
    }
    with call.write() as transaction:
        before = resource.get(transaction, key)
        if call.parameters["TargetVersion"] != before.document[member]:
            raise ServiceError(
                "ConflictException",
                f"TargetVersion {call.parameters['TargetVersion']} is not the current version of "
                f"{resource.arn(key)}: that is {before.document[member]}. Describe it, and give its version.",
            )

        def edit(document: Document) -> None:
            document.setdefault("_Earlier", []).append(_kept(before))
            members.update(document, given, ())
            document.update({member: before.document[member] + 1, "Status": "Updated"})

        stored = resource.change(transaction, key, edit, at=call.now)
    return resource.answer(call, stored)


def _kept(stored: Stored) -> dict[str, Any]:
    kept = {member: value for member, value in stored.document.items() if member not in ("_Earlier", "Tags")}
    return {**kept, "LastModifiedTime": stored.modified}


def list_all(resource: Resource, call: Call) -> Result:
    return sorted_page(call, _wanted(resource, call), resource.show, _COLUMNS)


def _wanted(resource: Resource, call: Call) -> Iterator[Stored]:
    wanted = call.parameters
    query = Query(
        created_after=wanted.get("CreatedAfter"),
        created_before=wanted.get("CreatedBefore"),
        status=wanted.get("Status"),
    )
    part, cluster = wanted.get("NameContains", "").lower(), wanted.get("ClusterArn")
    with call.platform.store.read() as reader:
        for row in each(reader, resource.scope(call.account, call.region), query):
            if part in row.document["Name"].lower() and cluster in (None, row.document["ClusterArn"]):
                yield row
