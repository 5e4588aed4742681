"""`s3://bucket/key` in requests."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.kernel.errors import validation


@dataclass(frozen=True, slots=True)
class Location:
    """
    >>> Location.parse("s3://bucket/some/prefix")
    Location(bucket='bucket', key='some/prefix')
    """

    bucket: str
    key: str
    """A key, or a prefix of keys; may be empty."""

    @classmethod
    def parse(cls, uri: str) -> Location:
        """Raises ValidationException."""
        scheme, mark, rest = uri.partition("://")
        bucket, _, key = rest.partition("/")
        if scheme != "s3" or not mark or not bucket:
            raise validation(f"The S3 URI {uri} is not valid: want s3://<bucket>/<key or prefix>.")
        return cls(bucket, key)

    def below(self, *names: str) -> Location:
        """
        >>> str(Location("b", "models/").below("job-1", "output"))
        's3://b/models/job-1/output'
        """
        return Location(self.bucket, "/".join([*filter(None, [self.key.rstrip("/")]), *names]))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.key}"
