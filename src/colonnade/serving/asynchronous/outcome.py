"""How a request ends: its output or failure object is in S3, its topic is told, and it has left the queue.

The last two are one transaction. Before the object is written the request says so; whoever goes on after a crash looks whether it was,
and does not write it twice. All of this blocks: it runs in threads.
"""

from __future__ import annotations

import io
import logging

from colonnade.kernel.errors import ServiceError
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Notifications, ObjectInfo, Principal, Principals, Storage
from colonnade.kernel.store import Stored, Transaction
from colonnade.serving.artifacts import s3_place
from colonnade.serving.asynchronous import notices, queue
from colonnade.serving.routes import Measure

_log = logging.getLogger(__name__)
_SERVICE = "sagemaker.amazonaws.com"


def role_of(platform: Platform, request: Stored) -> Principal:
    """Raises ServiceError where the role is gone, or trusts SageMaker no more."""
    return platform.the(Principals).assume_for_service(request.document["role"], _SERVICE, "SageMaker")


def written_before(platform: Platform, request: Stored) -> ObjectInfo | None:
    """The output object, when somebody who was killed had written it already."""
    intent = request.document.get("writing")
    if intent is None:
        return None
    account = request.key.account
    partition = request.key.partition
    # The platform itself looks: the role may write there and need not be able to read.
    owner = Principal(f"arn:{partition}:iam::{account}:root", account, account, "root")
    try:
        found = platform.the(Storage).read(owner, *s3_place(request.document["output"])).info
    except ServiceError:
        return None
    return found if found.size == intent["size"] and found.modified >= intent["at"] else None


def write_output(
    platform: Platform, role: Principal, request: Stored, body: bytes, content_type: str
) -> Stored:
    """Raises ServiceError. Answers the request as it is noted now."""
    intent = {"size": len(body), "at": platform.clock.now(), "content_type": content_type}
    request = queue.note(platform.store, request, writing=intent)
    _write(platform, role, request, request.document["output"], body, content_type)
    return request


def _write(
    platform: Platform, role: Principal, request: Stored, url: str, body: bytes, content_type: str
) -> None:
    platform.the(Storage).write(
        role,
        *s3_place(url),
        io.BytesIO(body),
        content_type=content_type or "application/octet-stream",
        kms_key_id=request.document["kms_key"],
    )


def complete(
    platform: Platform,
    role: Principal,
    request: Stored,
    body: bytes | None,
    content_type: str,
    measure: Measure,
) -> None:
    """Its output is written."""
    wanted = "SUCCESS_NOTIFICATION_TOPIC" in request.document["included_in"]
    now = platform.clock.now()
    text = notices.succeeded(request, request.key.region, now, content_type, body if wanted else None)
    _end(platform, role, request, request.document["success_topic"], text, measure)


def fail(
    platform: Platform, request: Stored, reason: str, measure: Measure, *, answer: bytes | None = None
) -> None:
    """For good: with the failure object where the endpoint wants one, and the error topic told."""
    role: Principal | None = None
    try:
        role = role_of(platform, request)
        if request.document["failure"]:
            _write(platform, role, request, request.document["failure"], reason.encode(), "text/plain")
    except ServiceError as error:
        measure("ResponseUploadFailures")
        _log.error("the failure of %s cannot be written to S3: %s", request.key, error)
    wanted = "ERROR_NOTIFICATION_TOPIC" in request.document["included_in"]
    text = notices.failed(
        request, request.key.region, platform.clock.now(), reason, answer if wanted else None
    )
    _end(platform, role, request, request.document["error_topic"], text, measure)


def _end(
    platform: Platform, role: Principal | None, request: Stored, topic: str, text: str, measure: Measure
) -> None:
    notifications = platform.the(Notifications) if topic else None
    if notifications is not None and role is not None:
        try:
            notifications.check(role, topic)
        except ServiceError as error:
            measure("NotificationFailures")
            _log.error("%s cannot be told of %s: %s", topic, request.key, error)
            notifications = None
    with platform.store.write() as transaction:
        queue.remove(transaction, request)
        if notifications is not None and role is not None:
            _publish(notifications, role, topic, text, transaction, measure)


def _publish(
    notifications: Notifications,
    role: Principal,
    topic: str,
    text: str,
    transaction: Transaction,
    measure: Measure,
) -> None:
    """A topic that went in this very moment keeps no request from ending."""
    try:
        notifications.publish(role, topic, text, within=transaction)
    except ServiceError:
        measure("NotificationFailures")
