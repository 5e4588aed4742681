"""Implements `kernel.ports.Backlogs`: how the queues of asynchronous endpoints stand, as CloudWatch would tell it."""

from __future__ import annotations

from collections.abc import Sequence

from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Backlog
from colonnade.kernel.store import Key, Query, Reader, Stored
from colonnade.serving.asynchronous import queue


class StoredBacklogs:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    def now(self) -> Sequence[Backlog]:
        now = self._platform.clock.now()
        with self._platform.store.read() as reader:
            routes = [row for row in reader.scan_types("sagemaker", "route") if _terms(row)]
            return [_backlog(reader, row, now) for row in routes]


def _terms(row: Stored) -> list[dict[str, int]]:
    return [variant["asynchronous"] for variant in row.document["variants"] if variant.get("asynchronous")]


def _backlog(reader: Reader, row: Stored, now: float) -> Backlog:
    endpoint = Key(
        row.key.partition, row.key.account, row.key.region, row.key.service, "Endpoint", row.key.name
    )
    size = sum(1 for _ in queue.waiting(reader, endpoint))
    first = reader.scan(
        queue.scope_of(endpoint), Query(name_prefix=queue.prefix_of(endpoint), status=queue.QUEUED, limit=1)
    )
    instances = sum(terms["instances"] for terms in _terms(row))
    return Backlog(
        account=row.key.account,
        region=row.key.region,
        endpoint=row.document["EndpointName"],
        size=size,
        per_instance=size / instances if instances else float(size),
        oldest_seconds=max(0.0, now - first[0].document["accepted"]) if first else 0.0,
        without_capacity=bool(size) and not instances,
    )
