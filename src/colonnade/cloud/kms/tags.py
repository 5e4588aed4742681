"""TagResource, UntagResource, ListResourceTags."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from colonnade.cloud.kms.keys import change, find, own
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation

_MOST = 50


def checked_tags(given: Iterable[Mapping[str, str]], before: Mapping[str, str]) -> dict[str, str]:
    """What there is with those added. Raises TagException, LimitExceededException."""
    listed = list(given)
    names = [tag["TagKey"] for tag in listed]
    if len(names) != len(set(names)):
        raise ServiceError("TagException", "Duplicate tag keys")
    if any(name.lower().startswith("aws:") for name in names):
        raise ServiceError("TagException", "Tag keys must not begin with aws:")
    tags = {**before, **{tag["TagKey"]: tag["TagValue"] for tag in listed}}
    if len(tags) > _MOST:
        raise ServiceError("LimitExceededException", f"A key has {_MOST} tags at most, not {len(tags)}.")
    return tags


@operation("kms", "TagResource")
def tag(call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = own(stored)
        document["_Tags"] = checked_tags(call.parameters["Tags"], document.get("_Tags", {}))
        change(transaction, stored, document, at=call.now)
    return {}


@operation("kms", "UntagResource")
def untag(call: Call) -> Result:
    with call.write() as transaction:
        stored = find(transaction, call, call.parameters["KeyId"])
        document = own(stored)
        gone = set(call.parameters["TagKeys"])
        document["_Tags"] = {
            name: value for name, value in document.get("_Tags", {}).items() if name not in gone
        }
        change(transaction, stored, document, at=call.now)
    return {}


@operation("kms", "ListResourceTags")
def list_all(call: Call) -> Result:
    with call.platform.store.read() as reader:
        tags = find(reader, call, call.parameters["KeyId"]).document.get("_Tags", {})
    return {"Tags": [{"TagKey": name, "TagValue": value} for name, value in tags.items()], "Truncated": False}
