"""Spaces: shared or private places in a domain, owned by a user profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Query, Reader, Stored, each
from colonnade.lifecycle.workbench.domain import DOMAINS
from colonnade.lifecycle.workbench.user_profile import USER_PROFILES


def _summary(space: Document) -> Mapping[str, Any]:
    settings = ("SpaceSettings", "SpaceSharingSettings", "OwnershipSettings")
    return {f"{member}Summary": space[member] for member in settings if member in space}


SPACES = Resource(
    "sagemaker",
    "Space",
    named=["DomainId", "SpaceName"],
    within={"DomainId": DOMAINS},
    born={"Status": "InService"},
    merged=["SpaceSettings"],
    derived=_summary,
    missing=Refusal("ValidationException", 'RecordNotFound: could not find space "{arn}".'),
    status_member="Status",
    effect=Effect.STORED,
)
SPACES.serve("Describe", "List", "Update", "Delete")


@operation("sagemaker", "CreateSpace", effect=Effect.STORED)
def create_space(call: Call) -> Result:
    owner = _owner(call.parameters)
    if owner:
        profile = USER_PROFILES.key(call, f"{call.parameters['DomainId']}/{owner}")
        USER_PROFILES.find(call.platform, profile)
    return SPACES.create(call)


@USER_PROFILES.holds
def _owned_space(reader: Reader, profile: Stored) -> str:
    domain, _, name = profile.key.name.partition("/")
    scope = SPACES.scope(profile.key.account, profile.key.region)
    for space in each(reader, scope, Query(name_prefix=f"{domain}/")):
        if _owner(space.document).lower() == name:
            return f"it owns the space {space.document['SpaceName']}. Delete that first."
    return ""


def _owner(space: Mapping[str, Any]) -> str:
    return str(space.get("OwnershipSettings", {}).get("OwnerUserProfileName", ""))
