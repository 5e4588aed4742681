"""PutBucketLifecycleConfiguration and its kin, and what makes the rules true.

A bucket with rules is active, so that the leader's reconciler looks at it: once a day, at midnight UTC of the platform's clock, as S3 counts
days, and when the rules change. It deletes as S3 does: a current version of a versioned bucket makes way for a delete marker.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec

from colonnade.cloud.s3.access import on_bucket
from colonnade.cloud.s3.expiry import expire, midnight_after
from colonnade.cloud.s3.index import Bucket, bucket_of, buckets, put_bucket
from colonnade.cloud.s3.refusals import invalid_argument, not_built, refusal
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal
from colonnade.kernel.reconcile import Again, Done, Outcome, reconciler, wake
from colonnade.kernel.store import Key

_MOST = 1000
_LONGEST_NAP = 3600.0
_SERVICE = "s3.amazonaws.com"


@operation("s3", "PutBucketLifecycleConfiguration", demand=on_bucket("PutLifecycleConfiguration"))
def put(call: Call) -> Result:
    rules = list((call.parameters.get("LifecycleConfiguration") or {}).get("Rules") or [])
    if not 0 < len(rules) <= _MOST:
        raise refusal("MalformedXML")
    named = [{**rule, "ID": rule.get("ID") or call.platform.ids.uuid()} for rule in rules]
    if len({rule["ID"] for rule in named}) != len(named):
        raise invalid_argument("Rule ID must be unique. Found same ID for more than one rule", "ID", "")
    for rule in named:
        _check(rule)
    _remember(call, named)
    return {}


@operation("s3", "DeleteBucketLifecycle", demand=on_bucket("PutLifecycleConfiguration"))
def delete(call: Call) -> Result:
    _remember(call, [])
    return {}


def _remember(call: Call, rules: list[dict[str, Any]]) -> None:
    with call.write() as transaction:
        bucket = msgspec.structs.replace(bucket_of(transaction, call), lifecycle=rules, lifecycle_due=0.0)
        put_bucket(transaction, call, bucket)
    wake(call.platform, buckets(call.partition).key(bucket.name))


@operation("s3", "GetBucketLifecycleConfiguration", demand=on_bucket("GetLifecycleConfiguration"))
def get(call: Call) -> Result:
    with call.platform.store.read() as reader:
        bucket = bucket_of(reader, call)
    if not bucket.lifecycle:
        raise refusal("NoSuchLifecycleConfiguration", BucketName=bucket.name)
    return {"Rules": bucket.lifecycle}


def _check(rule: Mapping[str, Any]) -> None:
    """Raises for what S3 would not take, and for what would not happen here."""
    if rule.get("Status") not in ("Enabled", "Disabled") or ("Filter" in rule) == ("Prefix" in rule):
        raise refusal("MalformedXML")
    if rule.get("Transitions") or rule.get("NoncurrentVersionTransitions"):
        raise not_built("transitions to other storage classes (it expires, and aborts uploads)")
    actions = ("Expiration", "NoncurrentVersionExpiration", "AbortIncompleteMultipartUpload")
    if not any(rule.get(action) for action in actions):
        raise invalid_argument("At least one action needs to be specified in a rule", "Rule", rule["ID"])
    expiration = rule.get("Expiration") or {}
    if len({"Days", "Date", "ExpiredObjectDeleteMarker"} & set(expiration)) > 1:
        raise refusal("MalformedXML")
    if "Date" in expiration and expiration["Date"] % 86_400:
        raise invalid_argument("'Date' must be at midnight GMT", "Date", expiration["Date"])
    for action, member, value in _numbers(rule):
        if value < 1:
            raise invalid_argument(
                f"'{member}' for {action} action must be a positive integer", member, value
            )


def _numbers(rule: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    members = {
        "Expiration": ("Days",),
        "NoncurrentVersionExpiration": ("NoncurrentDays", "NewerNoncurrentVersions"),
        "AbortIncompleteMultipartUpload": ("DaysAfterInitiation",),
    }
    for action, names in members.items():
        for name in names:
            if name in (rule.get(action) or {}):
                yield action, name, rule[action][name]


def _fail(platform: Platform, key: Key, reason: str) -> None:
    raise RuntimeError(f"{key} cannot fail: {reason}")


@reconciler("s3", "bucket", fail=_fail)
def reconcile(platform: Platform, key: Key) -> Outcome:
    now = platform.clock.now()
    with platform.store.read() as reader:
        stored = reader.get(key)
    bucket = msgspec.convert(stored.document, Bucket) if stored is not None else None
    if bucket is None or not bucket.lifecycle:
        return Done()
    if bucket.lifecycle_due <= now:
        call = _call(platform, key, bucket, now)
        for rule in bucket.lifecycle:
            if rule["Status"] == "Enabled":
                expire(call, bucket, rule)
        _done(call, bucket)
    return Again(min(max(midnight_after(now) - now, 1.0), _LONGEST_NAP))


def _done(call: Call, before: Bucket) -> None:
    """Nothing to do before midnight, unless the rules are others by now."""
    with call.platform.store.write() as transaction:
        stored = transaction.get(buckets(call.partition).key(before.name))
        bucket = msgspec.convert(stored.document, Bucket) if stored is not None else None
        if bucket is not None and bucket.lifecycle == before.lifecycle:
            due = partial(msgspec.structs.replace, lifecycle_due=midnight_after(call.now))
            put_bucket(transaction, call, due(bucket))


def _call(platform: Platform, key: Key, bucket: Bucket, now: float) -> Call:
    """S3's own: nobody is asked."""
    return Call(
        service="s3",
        operation="LifecycleExpiration",
        parameters={"Bucket": bucket.name},
        principal=Principal(_SERVICE, bucket.account, _SERVICE, "service"),
        platform=platform,
        account=bucket.account,
        region=bucket.region,
        request_id=platform.ids.uuid(),
        now=now,
        invoked_by=str(key),
    )
