"""What users, roles and groups have in common: where they are kept, how they are found, how a change becomes known.

IAM's names are unique whatever their case, and global: keys hold the name in lower case and no region.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from colonnade.kernel import models
from colonnade.kernel.arns import Arn
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.store import Document, Key, Reader, Scope, Stored, Transaction

KEYS = Scope("", "", "", "iam", "access-key")
"""Access keys of all accounts: a request names nothing but the key's id."""


@dataclass(frozen=True, slots=True)
class EntityType:
    noun: str
    """`User`: the shape's name, and part of operations' and members' names."""
    id_prefix: str

    @property
    def type(self) -> str:
        return self.noun.lower()

    @property
    def name_member(self) -> str:
        return f"{self.noun}Name"

    @property
    def id_member(self) -> str:
        return f"{self.noun}Id"


USER = EntityType("User", "AIDA")
ROLE = EntityType("Role", "AROA")
GROUP = EntityType("Group", "AGPA")
POLICY = EntityType("Policy", "ANPA")
ENTITY_TYPES = {each.type: each for each in (USER, ROLE, GROUP)}


def scope(call: Call, kind: EntityType) -> Scope:
    return call.scope(kind.type, service="iam", regional=False)


def key(call: Call, kind: EntityType, name: str) -> Key:
    return scope(call, kind).key(name.lower())


def key_of_arn(text: str) -> Key | None:
    """Where the entity or managed policy with this ARN is kept, if there is one; None for what cannot be an IAM ARN."""
    try:
        arn = Arn.parse(text)
    except ValueError:
        return None
    name = arn.resource.rpartition("/")[2]
    if arn.service != "iam" or not arn.kind:
        return None
    return Scope(arn.partition, arn.account, "", "iam", arn.kind).key(name.lower())


def by_arn(reader: Reader, arn: str) -> Stored | None:
    """The ARN's path counts: `role/a/x` does not find `role/b/x`."""
    found_key = key_of_arn(arn)
    found = reader.get(found_key) if found_key else None
    return found if found and found.document["Arn"] == arn else None


def load(reader: Reader, call: Call, kind: EntityType, name: str) -> Stored:
    found = reader.get(key(call, kind, name))
    if found is None:
        raise no_such(kind, name)
    return found


def no_such(kind: EntityType, name: str) -> ServiceError:
    return ServiceError("NoSuchEntity", f"The {kind.type} with name {name} cannot be found.", status=404)


def create(transaction: Transaction, call: Call, kind: EntityType, more: Mapping[str, Any]) -> Document:
    name = call.parameters[kind.name_member]
    where = key(call, kind, name)
    if transaction.get(where) is not None:
        raise ServiceError("EntityAlreadyExists", f"{kind.noun} with name {name} already exists.", status=409)
    path = path_of(call)
    document = {
        "Path": path,
        kind.name_member: name,
        kind.id_member: kind.id_prefix + call.platform.ids.token(17),
        "Arn": f"arn:{call.partition}:iam::{call.account}:{kind.type}{path}{name}",
        "CreateDate": call.now,
        **more,
    }
    transaction.put(where, document, expect=0, at=call.now)
    return document


def path_of(call: Call) -> str:
    path: str = call.parameters.get("Path", "/")
    if not (path.startswith("/") and path.endswith("/")):
        raise ServiceError(
            "ValidationError", f"The specified value for path is invalid: {path!r} (want /some/path/)"
        )
    return path


def rename(
    transaction: Transaction, call: Call, kind: EntityType, stored: Stored, name: str, path: str
) -> Document:
    """Give an entity another name or path, hence another ARN; its id stays."""
    where = key(call, kind, name)
    if where != stored.key and transaction.get(where) is not None:
        raise ServiceError("EntityAlreadyExists", f"{kind.noun} with name {name} already exists.", status=409)
    arn = f"arn:{call.partition}:iam::{call.account}:{kind.type}{path}{name}"
    document = {**stored.document, kind.name_member: name, "Path": path, "Arn": arn}
    transaction.delete(stored.key)
    transaction.put(where, document, at=call.now)
    return document


def shown(kind: EntityType, document: Mapping[str, Any], *, listed: bool = False) -> Document:
    """The members that the wire's shape has. Lists leave out tags and boundaries, as AWS's do."""
    members = models.service("iam").shape_for(kind.noun).members
    hidden = ("Tags", "PermissionsBoundary") if listed else ()
    return {
        name: encoded(document[name]) if shape.name == "policyDocumentType" else document[name]
        for name, shape in members.items()
        if name in document and name not in hidden
    }


def encoded(document: str) -> str:
    """As IAM answers policy documents: percent-encoded. botocore decodes them again."""
    return quote(document, safe="")


@contextmanager
def editing(call: Call, kind: EntityType) -> Iterator[Document]:
    """The entity that the call names, to be changed in place."""
    with changing(call) as transaction:
        stored = load(transaction, call, kind, call.parameters[kind.name_member])
        yield stored.document
        transaction.put(stored.key, stored.document, at=call.now)


def get(call: Call, kind: EntityType) -> Document:
    with call.platform.store.read() as reader:
        return load(reader, call, kind, call.parameters[kind.name_member]).document


def refuse_if_held(document: Mapping[str, Any]) -> None:
    """What must go before its entity may."""
    if document.get("InlinePolicies"):
        raise conflict("Cannot delete entity, must delete policies first.")
    if document.get("AttachedPolicies"):
        raise conflict("Cannot delete entity, must detach all policies first.")


def conflict(message: str) -> ServiceError:
    return ServiceError("DeleteConflict", message, status=409)


def limit_exceeded(message: str) -> ServiceError:
    return ServiceError("LimitExceeded", message, status=409)


@contextmanager
def changing(call: Call) -> Iterator[Transaction]:
    """Write, then wait until every process decides by what was written: a right taken away is gone when the call
    returns."""
    with call.write() as transaction:
        yield transaction
    refusals = call.platform.signals.publish("identity")
    if refusals:
        said = "; ".join(f"{refusal.process}: {refusal.reason}" for refusal in refusals)
        raise ServiceError(
            "ServiceFailure",
            f"The change is stored, but not every process has taken it in yet ({said}). Repeat the call or restart them.",
            status=500,
        )
