"""PutBucketVersioning, GetBucketVersioning. Once enabled it can be suspended, never undone."""

from __future__ import annotations

import msgspec

from colonnade.cloud.s3.access import on_bucket
from colonnade.cloud.s3.index import bucket_of, put_bucket
from colonnade.cloud.s3.refusals import not_built, refusal
from colonnade.kernel.operations import Call, Result, operation


@operation("s3", "PutBucketVersioning", demand=on_bucket("PutBucketVersioning"))
def put(call: Call) -> Result:
    wanted = call.parameters["VersioningConfiguration"]
    if wanted.get("MFADelete") == "Enabled" or call.parameters.get("MFA"):
        raise not_built("deletion with MFA (MFADelete)")
    status = wanted.get("Status")
    if status not in ("Enabled", "Suspended"):
        raise refusal("MalformedXML")
    with call.write() as transaction:
        bucket = msgspec.structs.replace(bucket_of(transaction, call), versioning=status)
        put_bucket(transaction, call, bucket)
    return {}


@operation("s3", "GetBucketVersioning", demand=on_bucket("GetBucketVersioning"))
def get(call: Call) -> Result:
    """Never enabled: S3 then answers without a status."""
    with call.platform.store.read() as reader:
        status = bucket_of(reader, call).versioning
    return {"Status": status} if status else {}
