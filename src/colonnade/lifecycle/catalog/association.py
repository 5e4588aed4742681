"""Associations: what contributed to what. An edge between two lineage entities, which it holds: neither can be deleted before it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.members import visible
from colonnade.kernel.models import Shape
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.pages import list_page
from colonnade.kernel.resources import Resource, by_arn
from colonnade.kernel.store import Key, Reader, Scope, Stored, each
from colonnade.lifecycle.catalog.experiment import EXPERIMENTS
from colonnade.lifecycle.catalog.lineage import ACTIONS, ARTIFACTS, CONTEXTS
from colonnade.lifecycle.catalog.trial_component import TRIAL_COMPONENTS

_ENTITIES = (EXPERIMENTS, TRIAL_COMPONENTS, ARTIFACTS, ACTIONS, CONTEXTS)
_FILTERS = ("SourceArn", "DestinationArn", "SourceType", "DestinationType", "AssociationType")


def _ends(call: Call) -> Sequence[tuple[str, str]]:
    return [(f"sagemaker:{call.operation}", call.parameters[end]) for end in ("SourceArn", "DestinationArn")]


@operation("sagemaker", "AddAssociation", effect=Effect.STORED, demand=_ends)
def add_association(call: Call) -> Result:
    key = _key(call)
    with call.write() as transaction:
        source, destination = (_entity(transaction, call, end) for end in ("Source", "Destination"))
        if transaction.get(key) is not None:
            raise validation(
                f'An association from "{_arn(call, "Source")}" to "{_arn(call, "Destination")}" already exists.'
            )
        transaction.put(key, {**call.parameters, **source, **destination}, expect=0, at=call.now)
    return _both(call)


@operation("sagemaker", "DeleteAssociation", effect=Effect.STORED, demand=_ends)
def delete_association(call: Call) -> Result:
    with call.write() as transaction:
        if not transaction.delete(_key(call)):
            raise ServiceError(
                "ResourceNotFound",
                f'Association from "{_arn(call, "Source")}" to "{_arn(call, "Destination")}" does not exist.',
            )
    return _both(call)


@operation("sagemaker", "ListAssociations", effect=Effect.STORED)
def list_associations(call: Call) -> Result:
    wanted = {member: call.parameters[member] for member in _FILTERS if member in call.parameters}

    def keep(association: Stored) -> bool:
        return all(association.document.get(member) == value for member, value in wanted.items())

    return list_page(call, _scope(call.account, call.region), _show, keep=keep)


def _show(shape: Shape, association: Stored) -> Mapping[str, Any]:
    return visible(shape, association)


def _entity(reader: Reader, call: Call, end: str) -> dict[str, Any]:
    """What an association tells of one of its ends. Raises the entity's own missing error."""
    found = by_arn(_arn(call, end))
    if found is None or found[1].account != call.account:
        raise ServiceError("ResourceNotFound", f'Could not find lineage entity "{_arn(call, end)}".')
    resource, key = found
    document = resource.get(reader, key).document
    told = {
        f"{end}Name": document.get(f"{resource.noun}Name"),
        f"{end}Type": document.get(f"{resource.noun}Type"),
    }
    return {member: value for member, value in told.items() if value is not None}


def _held(resource: Resource, reader: Reader, entity: Stored) -> str:
    arn = resource.arn(entity.key)
    for association in each(reader, _scope(entity.key.account, entity.key.region)):
        ends = [association.document["SourceArn"], association.document["DestinationArn"]]
        if arn in (end.lower() for end in ends):
            return f"it is associated: {ends[0]} to {ends[1]}. Delete that association first."
    return ""


for _resource in _ENTITIES:
    _resource.holds(partial(_held, _resource))


def _scope(account: str, region: str) -> Scope:
    return replace(EXPERIMENTS.scope(account, region), type="Association")


def _key(call: Call) -> Key:
    return _scope(call.account, call.region).key(
        f"{_arn(call, 'Source')} {_arn(call, 'Destination')}".lower()
    )


def _arn(call: Call, end: str) -> str:
    return str(call.parameters[f"{end}Arn"])


def _both(call: Call) -> Result:
    return {f"{end}Arn": _arn(call, end) for end in ("Source", "Destination")}
