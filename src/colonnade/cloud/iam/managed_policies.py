"""Managed policies: the account's own, with up to five versions, and those that AWS brings."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from colonnade.cloud.iam import aws_managed
from colonnade.cloud.iam.entities import (
    ENTITY_TYPES,
    POLICY,
    by_arn,
    changing,
    conflict,
    encoded,
    key,
    limit_exceeded,
    path_of,
    scope,
    shown,
)
from colonnade.cloud.iam.pages import page
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.policy import parse
from colonnade.kernel.store import Document, Reader, Stored, Transaction, each

_VERSIONS = 5
_SIZE = 6144


@operation("iam", "CreatePolicy")
def create_policy(call: Call) -> Result:
    name, path = call.parameters["PolicyName"], path_of(call)
    _check(call.parameters["PolicyDocument"])
    document = {
        "PolicyName": name,
        "PolicyId": POLICY.id_prefix + call.platform.ids.token(17),
        "Arn": f"arn:{call.partition}:iam::{call.account}:policy{path}{name}",
        "Path": path,
        "DefaultVersionId": "v1",
        "IsAttachable": True,
        "CreateDate": call.now,
        "UpdateDate": call.now,
        "Versions": {"v1": {"Document": call.parameters["PolicyDocument"], "CreateDate": call.now}},
        "LastVersion": 1,
        **{
            member: call.parameters[member] for member in ("Description", "Tags") if member in call.parameters
        },
    }
    with changing(call) as transaction:
        where = key(call, POLICY, name)
        if transaction.get(where) is not None:
            raise ServiceError(
                "EntityAlreadyExists",
                f"A policy called {name} already exists. Duplicate names are not allowed.",
                status=409,
            )
        transaction.put(where, document, expect=0, at=call.now)
    return {"Policy": {**shown(POLICY, document, listed=True), "AttachmentCount": 0, **_tags(document)}}


@operation("iam", "GetPolicy")
def get_policy(call: Call) -> Result:
    document = get(call)
    with call.platform.store.read() as reader:
        return {"Policy": _counted(document, *_uses(reader, call))}


@operation("iam", "ListPolicies")
def list_policies(call: Call) -> Result:
    which = call.parameters.get("Scope", "All")
    prefix = call.parameters.get("PathPrefix", "/")
    with call.platform.store.read() as reader:
        attached, bounding = _uses(reader, call)
        own = [row.document for row in each(reader, scope(call, POLICY))] if which != "AWS" else []
        brought = map(aws_managed.policy, aws_managed.arns(call.partition)) if which != "Local" else ()
    found = [document for document in (*own, *brought) if document and document["Path"].startswith(prefix)]
    used = bounding if call.parameters.get("PolicyUsageFilter") == "PermissionsBoundary" else attached
    if call.parameters.get("OnlyAttached"):
        found = [document for document in found if used[document["Arn"]]]
    # An own policy may bear the name of one of AWS's; the ARN tells them apart.
    rows = sorted(
        ((f"{document['PolicyName'].lower()} {document['Arn']}", document) for document in found), key=_first
    )
    return page(call, "Policies", rows, lambda document: _counted(document, attached, bounding, listed=True))


@operation("iam", "DeletePolicy")
def delete_policy(call: Call) -> None:
    with changing(call) as transaction:
        stored = _load(transaction, call)
        attached, bounding = _uses(transaction, call)
        if attached[stored.document["Arn"]] or bounding[stored.document["Arn"]]:
            raise conflict("Cannot delete a policy attached to entities.")
        if len(stored.document["Versions"]) > 1:
            raise conflict(
                "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
                "The default version is deleted with the policy."
            )
        transaction.delete(stored.key)


@operation("iam", "CreatePolicyVersion")
def create_policy_version(call: Call) -> Result:
    _check(call.parameters["PolicyDocument"])
    with editing(call) as document:
        if len(document["Versions"]) >= _VERSIONS:
            raise limit_exceeded(
                f"A managed policy can have up to {_VERSIONS} versions. Before you create a new version, you must delete an "
                "existing version."
            )
        document["LastVersion"] += 1
        version = f"v{document['LastVersion']}"
        document["Versions"][version] = {
            "Document": call.parameters["PolicyDocument"],
            "CreateDate": call.now,
        }
        document["UpdateDate"] = call.now
        if call.parameters.get("SetAsDefault"):
            document["DefaultVersionId"] = version
    answer = _version(document, version)
    del answer["Document"]
    return {"PolicyVersion": answer}


@operation("iam", "GetPolicyVersion")
def get_policy_version(call: Call) -> Result:
    document = get(call)
    return {"PolicyVersion": _version(document, _known_version(call, document))}


@operation("iam", "ListPolicyVersions")
def list_policy_versions(call: Call) -> Result:
    document = get(call)
    newest_first = sorted(document["Versions"], key=lambda version: -int(version[1:]))
    rows = ((f"{place:06d}", version) for place, version in enumerate(newest_first))
    return page(call, "Versions", rows, lambda version: _version(document, version))


@operation("iam", "SetDefaultPolicyVersion")
def set_default_policy_version(call: Call) -> None:
    with editing(call) as document:
        document["DefaultVersionId"] = _known_version(call, document)
        document["UpdateDate"] = call.now


@operation("iam", "DeletePolicyVersion")
def delete_policy_version(call: Call) -> None:
    with editing(call) as document:
        version = _known_version(call, document)
        if version == document["DefaultVersionId"]:
            raise conflict("Cannot delete the default version of a policy.")
        del document["Versions"][version]


def get(call: Call) -> Document:
    """The policy that the call names by its ARN, AWS's or the account's own."""
    arn = call.parameters["PolicyArn"]
    brought = aws_managed.policy(arn)
    if brought is not None:
        return brought
    with call.platform.store.read() as reader:
        return _load(reader, call).document


@contextmanager
def editing(call: Call) -> Iterator[Document]:
    with changing(call) as transaction:
        stored = _load(transaction, call)
        yield stored.document
        transaction.put(stored.key, stored.document, at=call.now)


def exists(reader: Reader, arn: str) -> bool:
    if aws_managed.is_aws_managed(arn):
        return aws_managed.policy(arn) is not None
    stored = by_arn(reader, arn)
    return stored is not None and stored.key.type == "policy"


def _load(reader: Reader | Transaction, call: Call) -> Stored:
    arn = call.parameters["PolicyArn"]
    if aws_managed.policy(arn) is not None:
        raise ServiceError(
            "AccessDenied", f"{arn} is AWS's own and cannot be changed: create a copy", status=403
        )
    stored = by_arn(reader, arn)
    if stored is None or stored.key.type != "policy" or stored.key.account != call.account:
        raise ServiceError("NoSuchEntity", f"Policy {arn} was not found.", status=404)
    return stored


def _known_version(call: Call, document: Document) -> str:
    version: str = call.parameters["VersionId"]
    if version not in document["Versions"]:
        raise ServiceError(
            "NoSuchEntity",
            f"Policy {document['Arn']} version {version} does not exist or is not attachable.",
            status=404,
        )
    return version


def _version(document: Document, version: str) -> dict[str, Any]:
    return {
        "Document": encoded(document["Versions"][version]["Document"]),
        "VersionId": version,
        "IsDefaultVersion": version == document["DefaultVersionId"],
        "CreateDate": document["Versions"][version]["CreateDate"],
    }


def _uses(reader: Reader, call: Call) -> tuple[Counter[str], Counter[str]]:
    """How often each policy is attached, and how often it is a boundary."""
    attached: Counter[str] = Counter()
    bounding: Counter[str] = Counter()
    for kind in ENTITY_TYPES.values():
        for row in each(reader, scope(call, kind)):
            attached.update(row.document.get("AttachedPolicies", ()))
            if "PermissionsBoundary" in row.document:
                bounding[row.document["PermissionsBoundary"]["PermissionsBoundaryArn"]] += 1
    return attached, bounding


def _counted(
    document: Document, attached: Counter[str], bounding: Counter[str], *, listed: bool = False
) -> dict[str, Any]:
    return {
        **shown(POLICY, document, listed=True),
        "AttachmentCount": attached[document["Arn"]],
        "PermissionsBoundaryUsageCount": bounding[document["Arn"]],
        **({} if listed else _tags(document)),
    }


def _tags(document: Document) -> dict[str, Any]:
    return {"Tags": document["Tags"]} if document.get("Tags") else {}


def _check(text: str) -> None:
    parse(text)
    if len(re.sub(r"\s", "", text)) > _SIZE:
        raise limit_exceeded(f"Cannot exceed quota for PolicySize: {_SIZE}")


def _first(row: tuple[str, Document]) -> str:
    return row[0]
