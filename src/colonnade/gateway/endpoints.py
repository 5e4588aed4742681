"""`GET /_colonnade/endpoints`: how each variant of each endpoint is served, and why not otherwise. `colonnade status` shows it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from colonnade.gateway.exchange import Response
from colonnade.gateway.nearby import nearby
from colonnade.gateway.own import OwnRequest, json_response, own
from colonnade.kernel.platform import Platform


@own("GET", "/_colonnade/endpoints")
@nearby
async def endpoints(request: OwnRequest) -> Response:
    found = await asyncio.to_thread(lambda: list(_served(request.platform)))
    return json_response({"containers": found})


def _served(platform: Platform) -> Iterator[dict[str, Any]]:
    """A row for each container of what is served. `served` is `compiled` (inside the server), `native` (by the model's own library),
    `script` (the user's code) or `many` (multi-model), the last three in processes of their own."""
    with platform.store.read() as reader:
        rows = reader.scan_types("sagemaker", "Endpoint")
    for row in rows:
        for variant in row.document.get("_live", {}).get("variants", ()):
            for container in variant["containers"]:
                prepared = container.get("prepared", {})
                yield {
                    "account": row.key.account,
                    "region": row.key.region,
                    "endpoint": row.document["EndpointName"],
                    "variant": variant["VariantName"],
                    "container": container["hostname"],
                    "served": prepared.get("kind", ""),
                    "reason": prepared.get("reason", ""),
                }
