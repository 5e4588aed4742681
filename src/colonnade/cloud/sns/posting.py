"""Deliveries over HTTP, to whatever address subscribed."""

from __future__ import annotations

import urllib.error
import urllib.request

_PATIENCE = 15.0


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        """What answers by another address has not taken the message."""


_opener = urllib.request.build_opener(_NoRedirects, urllib.request.ProxyHandler({}))


def post(
    url: str, body: str, *, kind: str, message_id: str, topic: str, subscription: str, raw: bool
) -> int | str:
    """The HTTP status, or why there is none."""
    headers = {
        "Content-Type": "text/plain; charset=UTF-8",
        "User-Agent": "Amazon Simple Notification Service Agent",
        "x-amz-sns-message-type": kind,
        "x-amz-sns-message-id": message_id,
        "x-amz-sns-topic-arn": topic,
    }
    if subscription:
        headers["x-amz-sns-subscription-arn"] = subscription
    if raw:
        headers["x-amz-sns-rawdelivery"] = "true"
    request = urllib.request.Request(url, data=body.encode(), headers=headers, method="POST")
    try:
        with _opener.open(request, timeout=_PATIENCE) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError) as error:
        return f"{url} cannot be reached: {error}"
