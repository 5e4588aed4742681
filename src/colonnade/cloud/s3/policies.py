"""What a bucket's policy makes of a request, together with the caller's own: the judge of all that S3 authorises.

Each process keeps the policies of the buckets that it was asked for, and forgets them at the signal `bucket-policy`, which whoever changes
one publishes and waits for. A bucket without one costs a look into a dictionary.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from colonnade.cloud.s3.index import Bucket, buckets
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, judges
from colonnade.kernel.platform import Platform
from colonnade.kernel.policy import Decision, Kind, Policy, parse
from colonnade.kernel.ports import Principals

_ROOTS_OWN = frozenset({"s3:GetBucketPolicy", "s3:PutBucketPolicy", "s3:DeleteBucketPolicy"})
"""The account's root may always do these, so that a policy can lock nobody out for good."""
_MOST = 10_000
_HEADERS = {
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "ACL": "s3:x-amz-acl",
    "StorageClass": "s3:x-amz-storage-class",
    "CopySource": "s3:x-amz-copy-source",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "VersionId": "s3:VersionId",
}


KNOWN = frozenset({*_HEADERS.values(), "s3:prefix", "s3:delimiter", "s3:max-keys"})
"""Condition keys of S3 that requests have here."""


class Policies:
    """Of one platform."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._kept: dict[tuple[str, str], tuple[str, Policy] | None] = {}
        """By partition and bucket: owner and policy; None for a bucket without."""
        platform.signals.subscribe("bucket-policy", self._forget)
        platform.signals.subscribe("identity", self._forget)

    def _forget(self, subject: str) -> None:
        self._kept = {}

    def of(self, partition: str, bucket: str) -> tuple[str, Policy] | None:
        kept = self._kept  # Taken first: what is read before a change is put where nobody looks any more.
        if (partition, bucket) in kept:
            return kept[partition, bucket]
        with self._platform.store.read() as reader:
            stored = reader.get(buckets(partition).key(bucket))
        if stored is None:
            return None
        found = msgspec.convert(stored.document, Bucket)
        known = (found.account, parse(found.policy, Kind.RESOURCE)) if found.policy else None
        if len(kept) >= _MOST:
            kept.clear()
        kept[partition, bucket] = known
        return known


def policies(platform: Platform) -> Policies:
    if not platform.has(Policies):
        platform.provide(Policies, Policies(platform))
    return platform.the(Policies)


def changed(platform: Platform) -> None:
    """Tell every process, and wait until it holds everywhere."""
    refusals = platform.signals.publish("bucket-policy")
    if refusals:
        said = "; ".join(f"{refusal.process}: {refusal.reason}" for refusal in refusals)
        raise ServiceError(
            "InternalError",
            f"The policy is stored, but not every process has taken it in yet ({said}). Repeat the call or restart them.",
            status=500,
        )


@judges("s3")
def judge(call: Call, action: str, resource: str, context: Mapping[str, Any] | None) -> Decision:
    principals = call.platform.the(Principals)
    known = {**(context or {}), **_conditions(call)}
    found = _policy(call, resource)
    if found is None:
        return principals.decide(call.principal, action, resource, known)
    account, policy = found
    roots_own = call.principal.kind == "root" and action in _ROOTS_OWN
    if account != call.principal.account or roots_own:  # Buckets of other accounts are refused as such.
        return principals.decide(call.principal, action, resource, known)
    return principals.decide_with(call.principal, action, resource, policy, known)


def _policy(call: Call, resource: str) -> tuple[str, Policy] | None:
    bucket = resource.rpartition(":")[2].partition("/")[0]
    return policies(call.platform).of(call.partition, bucket) if bucket not in ("", "*") else None


def _conditions(call: Call) -> dict[str, Any]:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/amazon-s3-policy-keys.html"""
    parameters = call.parameters
    # Whoever terminates TLS in front of the server is nobody that it could believe; inside, nothing is on the wire.
    known: dict[str, Any] = {"aws:SecureTransport": "false" if call.source else "true"}
    known |= {key: parameters[name] for name, key in _HEADERS.items() if name in parameters}
    return known
