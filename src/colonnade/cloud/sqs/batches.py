"""What all batches of SQS share: at most ten entries, each with an id of its own, each with a fate of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call

_MOST = 10


def checked_entries(call: Call) -> Sequence[Mapping[str, Any]]:
    entries: Sequence[Mapping[str, Any]] = call.parameters["Entries"]
    ids = [entry["Id"] for entry in entries]
    if not entries:
        raise ServiceError("EmptyBatchRequest", "There should be at least one entry in the request.")
    if len(entries) > _MOST:
        raise ServiceError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are {_MOST}. You have sent {len(entries)}.",
        )
    for id in ids:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", id):
            raise ServiceError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                f"It can be at most 80 letters long: {id!r}.",
            )
    if len(set(ids)) != len(ids):
        raise ServiceError(
            "BatchEntryIdsNotDistinct", "Two or more batch entries in the request have the same Id."
        )
    return entries


def failed(entry: Mapping[str, Any], error: ServiceError) -> dict[str, Any]:
    return {"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message}
