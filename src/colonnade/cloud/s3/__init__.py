"""S3: buckets, and objects under keys. The index lies in the store, the bytes in the object store.

`bucket` and `bucket_settings` hold the operations on buckets, `objects`, `copying`, `multipart`, `listing` and `tagging` those on
objects; `index` says how both are remembered, `content` how bytes come in and go out. `storage` is the same for the
platform's own parts. Versioning, policies, encryption and public access are not built: what asks for them is refused.

Operations on buckets are audited. Those on objects are data events, which are not (as on AWS, unless switched on).
"""
