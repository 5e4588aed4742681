"""What subscribers of topics open without a signature: the certificate that their messages are signed by, and the links in those
messages. Whoever has a link's token has had the message: that is what a confirmation proves.
"""

from __future__ import annotations

import asyncio

from colonnade.cloud.sns.envelopes import CERTIFICATE, CONFIRM, UNSUBSCRIBE
from colonnade.cloud.sns.signing import certificate
from colonnade.cloud.sns.subscriptions import confirm_by_token, unsubscribe_by_token
from colonnade.gateway.exchange import Response
from colonnade.gateway.own import OwnRequest, json_response, own
from colonnade.kernel.errors import ServiceError


@own("GET", CERTIFICATE)
async def signing_certificate(request: OwnRequest) -> Response:
    pem = await asyncio.to_thread(certificate, request.platform)
    return Response(200, [(b"content-type", b"application/x-pem-file")], pem)


@own("GET", CONFIRM)
async def confirm(request: OwnRequest) -> Response:
    topic, token = request.query.get("TopicArn", ""), request.query.get("Token", "")
    try:
        arn = await asyncio.to_thread(confirm_by_token, request.platform, topic, token)
    except ServiceError as error:
        return json_response({"code": error.code, "message": error.message}, error.status or 400)
    return json_response({"SubscriptionArn": arn})


@own("GET", UNSUBSCRIBE)
async def unsubscribe(request: OwnRequest) -> Response:
    arn, token = request.query.get("SubscriptionArn", ""), request.query.get("Token", "")
    try:
        await asyncio.to_thread(unsubscribe_by_token, request.platform, arn, token)
    except ServiceError as error:
        return json_response({"code": error.code, "message": error.message}, error.status or 400)
    return json_response({})
