"""`GET /_colonnade/work-credentials/<work>`: where the AWS SDKs inside a job or replica fetch their role's credentials.

The SDKs' container provider asks with the token of AWS_CONTAINER_AUTHORIZATION_TOKEN; without it nobody is told anything.
"""

from __future__ import annotations

import asyncio

from colonnade.gateway.exchange import Response
from colonnade.gateway.own import OwnRequest, json_response, own
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ports import WorkCredentials


@own("GET", "/_colonnade/work-credentials/*")
async def work_credentials(request: OwnRequest) -> Response:
    work_id = request.path.rpartition("/")[2]
    token = request.headers.get(b"authorization", b"").decode("latin-1")
    try:
        given = await asyncio.to_thread(request.platform.the(WorkCredentials).fetch, work_id, token)
    except ServiceError as error:
        return json_response({"code": error.code, "message": error.message}, error.status or 400)
    return json_response(given)
