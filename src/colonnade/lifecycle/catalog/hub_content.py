"""What is in a private hub: models, notebooks and data sets as documents, each in versions that stay side by side.

References to the public hub are absent, since there is none here.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel import members
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.operations import Call, Effect, Result, operation
from colonnade.kernel.pages import Column, sorted_page
from colonnade.kernel.resources import Refusal, Resource
from colonnade.kernel.store import Document, Query, Reader, Stored, each
from colonnade.lifecycle.catalog.hub import HUBS


def _told(document: Document) -> Mapping[str, Any]:
    """Clients take these ARNs apart and know the kinds of content in this spelling only."""
    hub, kind = document["HubName"], document["HubContentType"]
    arn = document["HubContentArn"]
    return {
        "HubContentArn": f"{arn.partition('/')[0]}/{hub}/{kind}/{document['HubContentName']}/{document['HubContentVersion']}"
    }


HUB_CONTENTS = Resource(
    "sagemaker",
    "HubContent",
    named=["HubName", "HubContentType", "HubContentName", "HubContentVersion"],
    within={"HubName": HUBS},
    derived=_told,
    missing=Refusal("ResourceNotFound", "Hub content {arn} does not exist."),
    duplicate=Refusal(
        "ResourceInUse", "Hub content already exists: {arn}. Import it with another HubContentVersion."
    ),
    status_member="HubContentStatus",
    effect=Effect.STORED,
)
HUB_CONTENTS.serve("Delete")
_COLUMNS: Mapping[str, Column] = {
    "HubContentName": lambda row: str(row.document["HubContentName"]).lower(),
    "CreationTime": lambda row: row.created,
    "HubContentStatus": lambda row: row.status,
}
_FIRST = "1.0.0"


def _into_hub(call: Call) -> Sequence[tuple[str, str]]:
    return [("sagemaker:ImportHubContent", HUBS.arn(HUBS.key(call, call.parameters["HubName"])))]


@operation("sagemaker", "ImportHubContent", effect=Effect.STORED, demand=_into_hub)
def import_hub_content(call: Call) -> Result:
    if call.parameters["HubContentType"] == "ModelReference":
        raise validation("References to the public hub are not imported: give another HubContentType.")
    hub = HUBS.find(call.platform, HUBS.key(call, call.parameters["HubName"]))
    return HUB_CONTENTS.create(
        call,
        {
            "HubArn": hub.document["HubArn"],
            "HubContentVersion": call.parameters.get("HubContentVersion") or _next_version(call),
            "HubContentStatus": "Available",
            "SupportStatus": call.parameters.get("SupportStatus", "Supported"),
        },
    )


@operation("sagemaker", "DescribeHubContent", effect=Effect.STORED)
def describe_hub_content(call: Call) -> Result:
    """Without a version, the newest."""
    with call.platform.store.read() as reader:
        if "HubContentVersion" in call.parameters:
            return HUB_CONTENTS.answer(call, HUB_CONTENTS.get(reader, HUB_CONTENTS.key(call)))
        found = _versions(call, reader)
    if not found:
        raise HUB_CONTENTS.missing(
            HUB_CONTENTS.scope(call.account, call.region).key(_prefix(call, "HubContentName").rstrip("/"))
        )
    return HUB_CONTENTS.answer(call, max(found, key=_version))


@operation("sagemaker", "UpdateHubContent", effect=Effect.STORED)
def update_hub_content(call: Call) -> Result:
    given = {member: value for member, value in call.parameters.items() if member not in HUB_CONTENTS.named}
    if not given:
        raise validation(
            "Give at least one of HubContentDisplayName, HubContentDescription, HubContentMarkdown, "
            "HubContentSearchKeywords and SupportStatus."
        )
    with call.write() as transaction:
        stored = HUB_CONTENTS.change(
            transaction,
            HUB_CONTENTS.key(call),
            lambda document: members.update(document, given, ()),
            at=call.now,
        )
    return HUB_CONTENTS.answer(call, stored)


@operation("sagemaker", "ListHubContents", effect=Effect.STORED)
def list_hub_contents(call: Call) -> Result:
    """Of each content the newest version that the filters leave."""
    newest: dict[str, Stored] = {}
    part = call.parameters.get("NameContains", "").lower()
    for row in _filtered(call, ""):
        name = str(row.document["HubContentName"]).lower()
        if part in name and (name not in newest or _version(row) > _version(newest[name])):
            newest[name] = row
    return sorted_page(call, newest.values(), HUB_CONTENTS.show, _COLUMNS)


@operation("sagemaker", "ListHubContentVersions", effect=Effect.STORED)
def list_hub_content_versions(call: Call) -> Result:
    rows = _filtered(call, "HubContentName")
    least = call.parameters.get("MinVersion")
    if least is not None:
        rows = [row for row in rows if _version(row) >= _numbers(least)]
    return sorted_page(call, rows, HUB_CONTENTS.show, _COLUMNS)


def _filtered(call: Call, last: str) -> Sequence[Stored]:
    wanted = call.parameters
    with call.platform.store.read() as reader:
        HUBS.get(reader, HUBS.key(call, wanted["HubName"]))
        query = Query(
            name_prefix=_prefix(call, last),
            created_after=wanted.get("CreationTimeAfter"),
            created_before=wanted.get("CreationTimeBefore"),
        )
        rows = list(each(reader, HUB_CONTENTS.scope(call.account, call.region), query))
    most = wanted.get("MaxSchemaVersion")
    return [
        row
        for row in rows
        if most is None or _numbers(row.document["DocumentSchemaVersion"]) <= _numbers(most)
    ]


def _versions(call: Call, reader: Reader) -> Sequence[Stored]:
    query = Query(name_prefix=_prefix(call, "HubContentName"))
    return list(each(reader, HUB_CONTENTS.scope(call.account, call.region), query))


def _prefix(call: Call, last: str) -> str:
    hub = HUBS.key(call, call.parameters["HubName"]).name
    inner = [call.parameters["HubContentType"], *([call.parameters[last]] if last else [])]
    return "/".join([hub, *(part.lower() for part in inner), ""])


def _next_version(call: Call) -> str:
    """The first, or the one after the newest."""
    with call.platform.store.read() as reader:
        found = [_version(row) for row in _versions(call, reader)]
    if not found:
        return _FIRST
    *before, last = max(found)
    if last == 9999:
        raise ServiceError("ResourceLimitExceeded", "The last version is 9999: give a HubContentVersion.")
    return ".".join(str(number) for number in (*before, last + 1))


def _version(row: Stored) -> tuple[int, ...]:
    return _numbers(row.document["HubContentVersion"])


def _numbers(text: str) -> tuple[int, ...]:
    """1.10.0 is more than 1.9.0. The model's pattern lets any character stand between the numbers."""
    return tuple(int(number) for number in re.findall(r"\d+", text))
